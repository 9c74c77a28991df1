"""PROXY headers: taken from trusted peers only, and sent to backends that want them."""

import contextlib
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

from harness import field, web

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.9 192.0.2.7 40000 443\r\n"
V2_BLOCK = socket.inet_aton("203.0.113.9") + socket.inet_aton("192.0.2.7") + struct.pack(
    ">HH", 40000, 443)


def v2(block=V2_BLOCK, command=0x21, family=0x11):
    return SIGNATURE + struct.pack(">BBH", command, family, len(block)) + block


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def v2_with_checksum(error=0):
    head = v2(V2_BLOCK + b"\x03\0\x04" + bytes(4))
    return head[:-4] + struct.pack(">I", crc32c(head) ^ error)


def trusting(config, *networks):
    config["trusted_proxies"] = list(networks or ["127.0.0.0/8"])
    for listener in config["listeners"].values():
        listener["proxy_protocol"] = True
    return config


class Echo:
    """A TCP backend that keeps what each connection sent and sends it back."""

    def __init__(self):
        self.received = []
        self.peers = []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                sock, peer = self.listener.accept()
                record = bytearray()
                self.received.append(record)
                self.peers.append(peer)
                threading.Thread(target=self._serve, args=(sock, record), daemon=True).start()

    def _serve(self, sock, record):
        with contextlib.suppress(OSError), sock:
            while data := sock.recv(65536):
                record += data
                sock.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def tcp(*backends, **service):
    return {"listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}},
            "services": {"db": {"backends": [b.address for b in backends], **service}},
            "timeouts": service.pop("timeouts", {}), "access_log": "on"}


def refused(reason, count=1):
    return lambda scores: scores["rows"][0]["refused"][reason] == count


# --- in ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [V1, v2(), v2_with_checksum(), v2(V2_BLOCK + b"\x04\0\x02ab")],
                         ids=["v1", "v2", "v2-checksum", "v2-tlv"])
def test_address_of_the_client_comes_from_the_header(world, header):
    a = world.backend()
    bench = world.bench(trusting(web(a)))
    client = world.client(bench)
    client.send(header)
    assert client.get("/one").body == b"a" and client.get("/two").body == b"a"
    assert [field(r.fields, "x-forwarded-for") for r in a.requests] == ["203.0.113.9"] * 2
    assert "client=203.0.113.9:40000" in bench.log()


@pytest.mark.parametrize("header", [
    b"PROXY UNKNOWN\r\n", v2(b"", 0x20, 0), v2(b"xyz", 0x20, 0xFF), v2(bytes(216), 0x21, 0x31)],
    ids=["v1-unknown", "v2-local", "v2-local-with-block", "v2-unix"])
def test_header_without_addresses_leaves_the_connections_own(world, header):
    a = world.backend()
    client = world.client(world.bench(trusting(web(a))))
    client.send(header)
    assert client.get("/").body == b"a"
    assert field(a.requests[0].fields, "x-forwarded-for") == "127.0.0.1"


def test_header_of_an_untrusted_peer_is_not_read(world):
    a = world.backend()
    bench = world.bench(trusting(web(a), "10.0.0.0/8", "127.0.0.2"))
    client = world.client(bench)
    assert client.is_closed()
    bench.until(refused("untrusted-proxy"))
    assert a.connection_count == 0 and "why=untrusted-proxy" in bench.log()


@pytest.mark.parametrize("header, why", [
    (b"GET / HTTP/1.1\r\nHost: t\r\n\r\n", "missing"),
    (b"\x16\x03\x01\0\x10", "missing"),
    (b"PROXY TCP4 203.0.113.9 192.0.2.7 40000\r\n", "broken"),
    (b"PROXY TCP4 203.0.113.9 192.0.2.7 40000 443\n", "broken"),
    (b"PROXY TCP9 203.0.113.9 192.0.2.7 40000 443\r\n", "broken"),
    (b"PROXY UNKNOWN " + b"x" * 100, "too-long"),
    (v2(command=0x31), "broken"), (v2(command=0x22), "broken"), (v2(V2_BLOCK[:-1]), "broken"),
    (v2(V2_BLOCK + b"\x01\0\x09h"), "broken"), (v2_with_checksum(1), "checksum"),
    (SIGNATURE + b"\x21\x11\xff\xff", "too-long")],
    ids=lambda value: value if isinstance(value, str) else "")
def test_header_that_is_none_closes_the_connection(world, header, why):
    a = world.backend()
    bench = world.bench(trusting(web(a)))
    client = world.client(bench)
    client.send(header)
    assert client.is_closed()
    bench.until(refused("proxy-header"))
    assert f"why=proxy-header-{why}" in bench.log() and a.connection_count == 0


@pytest.mark.parametrize("header", [V1, v2()], ids=["v1", "v2"])
def test_header_may_come_byte_by_byte(world, header):
    a = world.backend()
    bench = world.bench(trusting(web(a)))
    client = world.client(bench)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for byte in header:
        client.send(bytes([byte]))
    client.request("/")
    assert client.answer().body == b"a"
    assert field(a.requests[0].fields, "x-forwarded-for") == "203.0.113.9"


def test_piece_of_a_header_takes_no_processor_time_while_the_rest_is_waited_for(world):
    """A peek leaves the bytes where they are: a loop that wakes up for them spins."""
    bench = world.bench(trusting(web(world.backend(), timeouts={"header": "700ms"})))
    worker = int(next(p.name for p in Path("/proc").iterdir() if p.name.isdigit() and
                      parent_of(p) == bench.process.pid))
    client = world.client(bench)
    client.send(V1[:20])
    before = ticks(worker)
    assert client.is_closed()
    bench.until(refused("slow-client"))
    assert "why=proxy-header-late" in bench.log()
    assert ticks(worker) - before <= 20  # of 70 hundredths


def parent_of(process):
    with contextlib.suppress(OSError, IndexError):
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])


def ticks(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_cut_header_is_refused_at_once_and_an_open_port_check_is_not(world):
    bench = world.bench(trusting(web(world.backend(), timeouts={"header": "1h"})))
    check = world.client(bench)
    check.sock.shutdown(socket.SHUT_WR)
    assert check.is_closed()
    client = world.client(bench)
    client.send(V1[:20])
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    scores = bench.until(refused("proxy-header"))
    assert "why=proxy-header-cut" in bench.log()
    assert sum(scores["rows"][0]["refusals"]) == 1


def test_whole_header_with_the_end_right_behind_it_is_served(world):
    """A one-shot client: header, request and FIN before the worker looks."""
    a = world.backend()
    client = world.client(world.bench(trusting(web(a))))
    client.send(V1 + b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.answer().body == b"a"


def test_bytes_behind_the_header_reach_a_tcp_backend_untouched(world):
    echo = world._add(Echo())
    bench = world.bench(trusting(tcp(echo)))
    client = world.client(bench)
    client.send(v2() + b"PROXY is the first word of the payload")
    assert client.reader.exactly(38) == b"PROXY is the first word of the payload"
    assert bytes(echo.received[0]) == b"PROXY is the first word of the payload"


# --- out --------------------------------------------------------------------------------------


def expected_header(version, client, bench_port):
    host, port = client.sock.getsockname()
    if version == "v1":
        return f"PROXY TCP4 {host} 127.0.0.1 {port} {bench_port}\r\n".encode()
    return v2(socket.inet_aton(host) + socket.inet_aton("127.0.0.1") +
              struct.pack(">HH", port, bench_port))


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_tcp_backend_is_told_of_the_client(world, version):
    echo = world._add(Echo())
    bench = world.bench(tcp(echo, send_proxy_protocol=version))
    client = world.client(bench)
    client.send(b"hello")
    header = expected_header(version, client, bench.port)
    assert client.reader.exactly(len(header) + 5) == header + b"hello"
    assert bytes(echo.received[0]) == header + b"hello"


def test_backend_that_speaks_first_gets_the_header_before_the_client_says_a_word(world):
    echo = world._add(Echo())
    bench = world.bench(tcp(echo, send_proxy_protocol="v1"))
    client = world.client(bench)
    header = expected_header("v1", client, bench.port)
    assert client.reader.exactly(len(header)) == header


@pytest.mark.parametrize("version, header", [("v1", V1), ("v2", v2())])
def test_what_came_in_goes_out(world, version, header):
    echo = world._add(Echo())
    client = world.client(world.bench(trusting(tcp(echo, send_proxy_protocol=version))))
    client.send(v2() + b"x")
    assert client.reader.exactly(len(header) + 1) == header + b"x"


class HttpBehindProxy(Echo):
    """Takes a v1 header per connection, then answers each request with the header's client."""

    def _serve(self, sock, record):
        with contextlib.suppress(OSError), sock:
            file = sock.makefile("rb")
            told = file.readline()
            record += told
            while (line := file.readline()):
                while file.readline() != b"\r\n":
                    pass
                record += line
                body = told.split(b" ")[2] + b":" + told.split(b" ")[4]
                sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def test_http_clients_never_share_a_connection_that_was_announced(world):
    backend = world._add(HttpBehindProxy())
    bench = world.bench(web(backend, send_proxy_protocol="v1"))
    clients = [world.client(bench) for _ in range(5)]
    for _ in range(3):
        for client in clients:
            assert client.get("/").body.decode() == "%s:%d" % client.sock.getsockname()
    scores = bench.until(lambda s: s["backends"][0]["open"] == 0)
    assert scores["backends"][0]["idle"] == 0 and len(backend.received) == 15


def test_upgraded_connections_are_announced_too(world):
    echo = world._add(HttpBehindProxy())
    bench = world.bench(web(echo, send_proxy_protocol="v1"))
    client = world.client(bench)
    assert client.get("/", fields=[("Connection", "upgrade"), ("Upgrade", "x")]).status == 200
    assert echo.received[0].startswith(b"PROXY TCP4 127.0.0.1 127.0.0.1 ")


NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error info;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen unix:{folder}/unused;
        listen 127.0.0.1:{port} proxy_protocol;
        return 200 "$proxy_protocol_addr:$proxy_protocol_port $proxy_protocol_server_port\\n";
    }}
}}
"""


class Nginx:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-nginx-")
        with socket.create_server(("127.0.0.1", 0)) as sock:
            self.port = sock.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        config = Path(self.folder.name) / "nginx.conf"
        config.write_text(NGINX.format(folder=self.folder.name, port=self.port))
        self.process = subprocess.Popen(
            [shutil.which("nginx"), "-p", self.folder.name, "-c", config, "-e", "stderr"],
            stderr=subprocess.DEVNULL)
        self._await()

    def _await(self):
        import time
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            assert self.process.poll() is None, self.errors()
            time.sleep(0.01)
        raise AssertionError("nginx did not start")

    def errors(self):
        return (Path(self.folder.name) / "error").read_text()

    def close(self):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed")
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_nginx_understands_it(world, version):
    nginx = world._add(Nginx())
    bench = world.bench(web(nginx, send_proxy_protocol=version))
    for _ in range(3):
        client = world.client(bench)
        for _ in range(2):
            told = client.get("/").body.decode()
            assert told == "%s:%d %d\n" % (*client.sock.getsockname(), bench.port)
    assert "broken header" not in nginx.errors()


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_speaks_it(world):
    a = world.backend()
    bench = world.bench(trusting(web(a)))
    subprocess.run(["curl", "-fsS", "--haproxy-protocol", f"http://127.0.0.1:{bench.port}/"],
                   check=True, timeout=20, stdout=subprocess.DEVNULL)
    assert field(a.requests[0].fields, "x-forwarded-for") == "127.0.0.1"
