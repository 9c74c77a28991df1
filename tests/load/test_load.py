"""sluice-load sees what goes wrong: each test runs it against a server with one fault."""

import asyncio
import base64
import contextlib
import hashlib
import json
import os
import signal
import subprocess
import threading

import pytest

LOAD = os.environ.get("SLUICE_LOAD", os.environ.get("SLUICE_BUILD", "build/release") + "/tests/sluice-load")
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server:
    """Speaks what the load generator asks for; `fault` names the one thing it does wrong."""

    def __init__(self, fault=None):
        self.fault = fault
        self.requests = 0
        self.hosts = set()
        self.first_request = threading.Event()

    async def serve_http(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self.serve_request(reader, writer):
                await writer.drain()
        writer.close()

    async def serve_request(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.hosts.add(fields["host"])
        self.requests += 1
        self.first_request.set()
        if target == "/ws":
            await self.serve_websocket(reader, writer, fields)
            return False
        if method == "POST":
            digest, length = await self.read_chunked(reader)
            body = f"{digest} {length}\n".encode()
        elif target.startswith("/bytes"):
            body = bytes(int(target.split("n=")[1].split("&")[0]))
        else:
            body = b"hello\n"
        return self.answer(writer, target, body, fields)

    def answer(self, writer, target, body, fields):
        status, fault, more = "200 OK", self.fault, ""
        if target.startswith("/bytes"):
            digest = hashlib.sha256(body).hexdigest()
            if fault == "wrong hash":
                digest = hashlib.sha256(b"other").hexdigest()
            more = f"X-Sha256: {digest}\r\n"
        elif fault == "wrong hash":
            body = b"0" + body[1:] if body[0] != ord("0") else b"1" + body[1:]
        if fault == "status" and self.requests == 2:
            status = "500 Oops"
        if fault == "framing" and self.requests == 2:
            more += "Content-Length: 1\r\n"
        if fault == "no answer" and self.requests == 2:
            return False
        if fault == "silence" and self.requests == 2:
            return True
        length = len(body) + (1 if fault == "cut" and self.requests == 2 else 0)
        close = fields.get("connection") == "close" or fault == "close each"
        writer.write((f"HTTP/1.1 {status}\r\nContent-Length: {length}\r\nX-Version: v{1 + self.requests % 2}\r\n"
                      f"{more}{'Connection: close' if close else 'X: y'}\r\n\r\n").encode() + body)
        if fault == "idle close":
            return False
        return not close and length == len(body)

    @staticmethod
    async def read_chunked(reader):
        digest, length = hashlib.sha256(), 0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            digest.update((await reader.readexactly(size + 2))[:-2])
            length += size
        await reader.readexactly(2)
        return digest.hexdigest(), length

    async def serve_websocket(self, reader, writer, fields):
        key = hashlib.sha1(fields["sec-websocket-key"].encode() + MAGIC).digest()
        if self.fault == "accept":
            key = bytes(20)
        writer.write(b"HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                     b"Sec-WebSocket-Accept: " + base64.b64encode(key) + b"\r\n\r\n")
        if self.fault == "websocket cut":
            writer.write_eof()  # and all that comes is read: a close with something unread would be a reset
            await reader.read()
            return
        if self.fault == "websocket closed":
            writer.write(b"\x88\x02\x03\xe9")
        if self.fault == "websocket close 1011":
            writer.write(b"\x88\x02\x03\xf3")
        while True:
            first, second = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            payload = await reader.readexactly(second & 0x7F)
            text = bytes(b ^ mask[i % 4] for i, b in enumerate(payload))
            if first & 0x0F == 8:
                return
            if self.fault == "wrong echo":
                text = text[::-1] + b"x"
            writer.write(bytes([first, len(text)]) + text)

    async def serve_tcp(self, reader, writer):
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                if self.fault == "tcp cut":
                    break
                writer.write(b"x" + line[1:] if self.fault == "wrong echo" else line)
                await writer.drain()
                if self.fault == "tcp closed":
                    break
        writer.close()


@contextlib.contextmanager
def running(fault=None):
    server, ready, ports, ends = Server(fault), threading.Event(), [], []

    async def main():
        end = asyncio.Event()
        for handler in (server.serve_http, server.serve_tcp):
            listener = await asyncio.start_server(handler, "127.0.0.1", 0)
            ports.append(listener.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        ends.append(lambda: loop.call_soon_threadsafe(end.set))
        ready.set()
        await end.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(10)
    server.address, server.tcp = (f"127.0.0.1:{port}" for port in ports)
    try:
        yield server
    finally:
        ends[0]()
        thread.join()


def load(server, *arguments, duration="1"):
    done = subprocess.run([LOAD, "--address", server.address, "--tcp", server.tcp, "--duration", duration,
                           "--host", "shop.example", *arguments], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_every_kind_passes_where_nothing_is_wrong():
    with running() as server:
        code, final = load(server, "--rate", "100", "--new-connections", "20", "--uploads", "1", "--downloads", "1",
                           "--websockets", "2", "--tcp-connections", "2", "--slow", "1")
    assert (code, final["failed"], final["failures"]) == (0, 0, [])
    assert 80 <= final["kinds"]["keepalive"]["requests"] <= 100
    assert 15 <= final["kinds"]["new"]["requests"] <= 20
    assert final["uploads"]["bytes"] == final["uploads"]["requests"] * 2**20 > 0
    assert final["downloads"]["bytes"] > 0
    assert final["websockets"]["open"] == 2 and final["websockets"]["messages"] >= 2
    assert final["tcp"]["open"] == 2 and final["tcp"]["messages"] >= 4
    assert set(final["versions"]) == {"v1", "v2"}
    http = sum(kind["requests"] for name, kind in final["kinds"].items() if name not in ("websocket", "tcp"))
    assert sum(final["versions"].values()) == final["requests"] == http
    assert server.hosts == {"shop.example"}


@pytest.mark.parametrize("fault, arguments, detail", [
    ("status", ["--rate", "20"], "status 500"),
    ("framing", ["--rate", "20"], "bad-content-length"),
    ("cut", ["--rate", "20"], "closed in the body"),
    ("no answer", ["--rate", "20"], "closed before the answer"),
    ("no answer", ["--new-connections", "20"], "closed before the answer"),
    ("silence", ["--rate", "20", "--connections", "4", "--timeout", "0.5"], "timeout before the answer"),
    ("wrong hash", ["--uploads", "1"], "wrong hash"),
    ("wrong hash", ["--downloads", "1"], "wrong hash"),
    ("websocket cut", ["--websockets", "1"], "closed without a close frame"),
    ("websocket close 1011", ["--websockets", "1"], "close with code 1011"),
    ("accept", ["--websockets", "1"], "handshake refused: status 101"),
    ("tcp cut", ["--tcp-connections", "1"], "closed before the echo"),
    ("wrong echo", ["--tcp-connections", "1"], "wrong echo"),
])
def test_sees_the_fault(fault, arguments, detail):
    with running(fault) as server:
        code, final = load(server, *arguments)
    assert code == 1
    assert final["failed"] >= 1
    assert {failure["detail"] for failure in final["failures"]} == {detail}


def test_sees_a_wrong_echo_of_a_websocket():
    with running("wrong echo") as server:
        code, final = load(server, "--websockets", "1", duration="2")
    assert code == 1 and final["websockets"]["broken"] >= 1
    assert final["failures"][0]["detail"] == "wrong echo"


def test_a_proper_close_of_a_websocket_is_no_failure_but_counted():
    with running("websocket closed") as server:
        code, final = load(server, "--websockets", "1")
    assert code == 0 and final["websockets"]["closed"] >= 1 and final["websockets"]["broken"] == 0


def test_a_tcp_connection_closed_between_echoes_is_no_failure_but_counted():
    with running("tcp closed") as server:
        code, final = load(server, "--tcp-connections", "1")
    assert code == 0 and final["tcp"]["closed"] >= 2 and final["tcp"]["broken"] == 0


@pytest.mark.parametrize("fault", ["idle close", "close each"])
def test_a_close_between_two_requests_is_no_failure(fault):
    with running(fault) as server:
        code, final = load(server, "--rate", "20", "--connections", "1")
    assert code == 0 and final["requests"] >= 15


def test_nobody_listening_is_a_failure():
    with running() as server:
        pass
    code, final = load(server, "--rate", "20")
    assert code == 1 and final["requests"] == 0
    assert final["failures"][0]["detail"] == "Connection refused"
    assert len(final["failures"]) <= 20


def test_reports_progress_and_stops_on_a_signal():
    with running() as server:
        process = subprocess.Popen([LOAD, "--address", server.address, "--rate", "50", "--report", "100"],
                                   stdout=subprocess.PIPE, text=True)
        assert server.first_request.wait(10)
        progress = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=20)
    assert {"elapsed_ms", "requests", "failed", "versions", "rps", "in_flight"} <= set(progress)
    assert json.loads(rest.splitlines()[-1])["final"] is True
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [[], ["--rate", "5"], ["--address", "x", "--rate", "1"], ["--bogus"],
                                       ["--address", "127.0.0.1:1", "--rate", "-1"],
                                       ["--address", "127.0.0.1:1", "--host", "a\r\nb", "--rate", "1"]])
def test_usage_is_exit_code_2(arguments):
    done = subprocess.run([LOAD, *arguments], capture_output=True, text=True, timeout=10)
    assert done.returncode == 2 and "usage" in done.stderr and done.stdout == ""
