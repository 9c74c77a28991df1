"""The demo application keeps its promises: tests and the quickstart build on what it says."""

import base64
import hashlib
import http.client
import os
import pathlib
import re
import select
import signal
import socket
import struct
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).parent.parent.parent
BUILD = ROOT / os.environ.get("SLUICE_BUILD", "build/release")


class Demo:
    """One running instance; its lines are read as they come."""

    def __init__(self, **settings):
        environment = {"PORT": "0", "TCP_PORT": "0", "LOG_ENDS": "1", "VERSION": "v7", **settings}
        self.process = subprocess.Popen([BUILD / "demo" / "sluice-demo"], env=environment,
                                        stdout=subprocess.PIPE)
        self.pending = b""
        self.lines = []
        match = self.wait_for(r"listening port=(\d+) tcp_port=(\d+) version=v7")
        self.port, self.tcp_port = int(match[1]), int(match[2])

    def wait_for(self, pattern, seconds=10):
        """The next line that matches, after those seen before."""
        end = time.monotonic() + seconds
        while True:
            while b"\n" in self.pending:
                line, self.pending = self.pending.split(b"\n", 1)
                self.lines.append(line.decode())
                if match := re.search(pattern, self.lines[-1]):
                    return match
            ready, _, _ = select.select([self.process.stdout], [], [], end - time.monotonic())
            more = os.read(self.process.stdout.fileno(), 65536) if ready else b""
            assert more, f"no line {pattern!r} in {self.lines}"
            self.pending += more

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def get(self, target, **headers):
        connection = self.connect()
        connection.request("GET", target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        return response, body

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def start():
    demos = []

    def make(**settings):
        demos.append(Demo(**settings))
        return demos[-1]

    yield make
    for demo in demos:
        demo.stop()


@pytest.fixture
def demo(start):
    return start()


def test_index_tells_version_and_container(demo):
    response, body = demo.get("/")
    assert response.status == 200
    assert body == f"v7 {socket.gethostname()}\n".encode()
    assert response.headers["X-Version"] == "v7"
    assert response.headers["X-Container"] == socket.gethostname()


def test_connection_serves_many_requests_and_tells_each_end(demo):
    connection = demo.connect()
    before = time.monotonic()
    for i in range(50):
        connection.request("GET", f"/?{i}")
        assert connection.getresponse().read().startswith(b"v7 ")
        match = demo.wait_for(r"end kind=request monotonic_us=(\d+) path=(\S+)")
        assert match[2] == f"/?{i}"
        assert before <= int(match[1]) / 1e6 <= time.monotonic()
    connection.close()


@pytest.mark.parametrize("health, status", [("ok", 200), ("fail", 500), ("fail-after=3600", 200),
                                            ("fail-after=0", 500)])
def test_health_is_as_told(start, health, status):
    assert start(HEALTH=health).get("/healthz")[0].status == status


def test_check_command_asks_the_running_instance(start):
    for health, code in (("ok", 0), ("fail", 1)):
        demo = start(HEALTH=health)
        result = subprocess.run([BUILD / "demo" / "sluice-demo", "check"],
                                env={"PORT": str(demo.port)}, timeout=10)
        assert result.returncode == code


def test_slow_answers_after_its_time(demo):
    before = time.monotonic()
    assert demo.get("/slow?ms=300")[0].status == 200
    assert time.monotonic() - before >= 0.3


def test_status_and_unknown_path(demo):
    assert demo.get("/status?code=503")[0].status == 503
    assert demo.get("/status?code=204")[0].status == 204
    assert demo.get("/nowhere")[0].status == 404


@pytest.mark.parametrize("size", [0, 1, 63, 64, 8193, 1048576])
@pytest.mark.parametrize("chunked", [0, 1])
def test_bytes_are_what_their_hash_says(demo, size, chunked):
    response, body = demo.get(f"/bytes?n={size}&seed=7&chunked={chunked}")
    assert len(body) == size
    assert response.headers["X-Sha256"] == hashlib.sha256(body).hexdigest()
    again = demo.get(f"/bytes?n={size}&seed=7")[1]
    assert again == body
    assert size < 8 or demo.get(f"/bytes?n={size}&seed=8")[1] != body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [0, 5, 1048576])
def test_upload_is_hashed(demo, size, chunked):
    body = os.urandom(size)
    connection = demo.connect()
    pieces = (body[i:i + 10007] for i in range(0, size, 10007)) if chunked else body
    connection.request("POST", "/upload", body=pieces, encode_chunked=chunked,
                       headers={"Transfer-Encoding": "chunked"} if chunked else {})
    assert connection.getresponse().read().decode() == \
        f"{hashlib.sha256(body).hexdigest()} {size}\n"
    connection.request("GET", "/")  # and the connection is still in step
    assert connection.getresponse().read().startswith(b"v7 ")
    connection.close()


def test_expected_continue_is_sent_before_the_body(demo):
    with socket.create_connection(("127.0.0.1", demo.port), timeout=10) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n"
                           b"Expect: 100-continue\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b"hi")
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")


def test_stream_comes_in_pieces_or_events(demo):
    assert demo.get("/stream?n=3&ms=1")[1] == b"piece 0\npiece 1\npiece 2\n"
    response, body = demo.get("/stream?n=2&ms=1", Accept="text/event-stream")
    assert response.headers["Content-Type"] == "text/event-stream"
    assert body == b"data: 0\n\ndata: 1\n\n"


def test_head_shows_what_arrived(demo):
    assert b"\r\nX-Mine: 5\r\n" in demo.get("/head", **{"X-Mine": "5"})[1]


def test_crash_ends_the_process(demo):
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        demo.get("/crash")
    assert demo.process.wait(10) == 1


def frame(opcode, payload, final=True, mask=b"\x01\x02\x03\x04"):
    head = bytes([(0x80 if final else 0) | opcode])
    if len(payload) < 126:
        head += bytes([0x80 | len(payload)])
    elif len(payload) < 65536:
        head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
    repeated = (mask * (len(payload) // 4 + 1))[:len(payload)]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big"))
    return head + mask + masked.to_bytes(len(payload), "big")


def read_frame(stream):
    first, length = stream.read(2)
    if length == 126:
        length, = struct.unpack(">H", stream.read(2))
    elif length == 127:
        length, = struct.unpack(">Q", stream.read(8))
    return first, stream.read(length)


@pytest.fixture
def websocket(demo):
    connection = socket.create_connection(("127.0.0.1", demo.port), timeout=10)
    stream = connection.makefile("rwb")
    stream.write(b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 b"Sec-WebSocket-Version: 13\r\n\r\n")
    stream.flush()
    assert stream.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.readline()
    # The example of RFC 6455, section 1.3.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
    yield demo, stream
    stream.close()
    connection.close()


def test_websocket_echoes_pings_and_closes(websocket):
    demo, stream = websocket
    for size in (0, 125, 126, 65535, 65536, 1048576):
        payload = os.urandom(size)
        stream.write(frame(2, payload))
        stream.flush()
        assert read_frame(stream) == (0x82, payload)
    stream.write(frame(1, b"one ", final=False) + frame(9, b"ping") + frame(0, b"two"))
    stream.flush()
    assert read_frame(stream) == (0x8A, b"ping")
    assert read_frame(stream) == (0x81, b"one two")
    stream.write(frame(8, struct.pack(">H", 1000) + b"bye"))
    stream.flush()
    assert read_frame(stream) == (0x88, struct.pack(">H", 1000))
    assert stream.read(1) == b""
    demo.wait_for(r"end kind=websocket monotonic_us=\d+ path=/ws$")


@pytest.mark.parametrize("bad, reason", [
    (frame(0, b"nothing to continue"), 1002),
    (frame(3, b""), 1002),
    (frame(9, b"", final=False), 1002),
    (b"\x81\x01a", 1002),  # not masked
    (b"\x82\xff" + struct.pack(">Q", 1048577) + b"mask", 1009),
])
def test_websocket_refuses_what_breaks_the_protocol(websocket, bad, reason):
    _, stream = websocket
    stream.write(bad)
    stream.flush()
    assert read_frame(stream) == (0x88, struct.pack(">H", reason))


def test_tcp_waits_and_echoes(demo):
    with socket.create_connection(("127.0.0.1", demo.tcp_port), timeout=10) as connection:
        demo.wait_for(r"connect kind=tcp monotonic_us=\d+")
        assert select.select([connection], [], [], 0.1)[0] == []  # the client speaks first
        data = os.urandom(100000)
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        got = b""
        while piece := connection.recv(65536):
            got += piece
        assert got == data
    demo.wait_for(r"end kind=tcp monotonic_us=\d+ path=-")


def test_sigterm_ends_an_idle_instance_at_once(demo):
    demo.get("/")
    keep_alive = demo.connect()
    keep_alive.connect()
    before = time.monotonic()
    demo.process.send_signal(signal.SIGTERM)
    demo.wait_for(r"sigterm monotonic_us=\d+ active=0")
    assert demo.process.wait(10) == 0
    assert time.monotonic() - before < 2
    keep_alive.close()


def test_sigterm_waits_for_what_is_in_flight(demo):
    connection = demo.connect()
    connection.request("GET", "/stream?n=6&ms=100")
    response = connection.getresponse()
    assert response.read(8) == b"piece 0\n"
    demo.process.send_signal(signal.SIGTERM)
    demo.wait_for(r"sigterm monotonic_us=\d+ active=1")
    with pytest.raises(ConnectionRefusedError):
        for _ in range(1000):  # the sockets are closed a moment after the signal
            socket.create_connection(("127.0.0.1", demo.port), timeout=10).close()
    assert response.read().endswith(b"piece 5\n")
    demo.wait_for(r"end kind=request")
    assert demo.process.wait(10) == 0
    connection.close()


def test_sigterm_gives_up_after_five_seconds(demo):
    with socket.create_connection(("127.0.0.1", demo.tcp_port), timeout=10):
        demo.wait_for(r"connect kind=tcp")
        before = time.monotonic()
        demo.process.send_signal(signal.SIGTERM)
        demo.wait_for(r"sigterm monotonic_us=\d+ active=1")
        assert demo.process.wait(10) == 0
        assert 4.5 < time.monotonic() - before < 7


def test_bad_settings_are_refused():
    for settings in ({"HEALTH": "perhaps"}, {"PORT": "http"}):
        result = subprocess.run([BUILD / "demo" / "sluice-demo"], env=settings, timeout=10,
                                capture_output=True, text=True)
        assert result.returncode == 2
        assert "allowed" in result.stderr


def test_a_share_of_the_answers_fails_as_told():
    demo = Demo(FAIL="5", DELAY_MS="1")
    try:
        statuses = [demo.get("/")[0].status for _ in range(100)]
        assert statuses.count(500) == 5 and statuses.count(200) == 95
        assert demo.get("/healthz")[0].status == 200
    finally:
        demo.stop()
