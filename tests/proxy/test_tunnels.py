"""Upgraded connections and TCP listeners: bytes both ways."""

import hashlib
import os
import socket
import threading

from harness import Backend, unused_address, web

UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: x\r\n\r\n")


def upgrade(c, r):
    assert r.field("upgrade") == "websocket" and r.field("connection").lower() == "upgrade"
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Accept: y\r\n\r\nhello")
    while True:
        data = c.sock.recv(65536)
        if not data:
            return False
        c.send(data)


def open_websocket(world, bench):
    client = world.client(bench)
    client.send(UPGRADE)
    answer = client.answer()
    assert (answer.status, answer.field("upgrade")) == (101, "websocket")
    assert answer.field("connection").lower() == "upgrade"
    assert client.reader.exactly(5) == b"hello"
    return client


def test_upgrade_becomes_a_tunnel_and_is_counted_as_websocket(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench = world.bench(web(a))
    client = open_websocket(world, bench)
    assert bench.scores()["backends"][0]["active"] == [0, 0, 0, 1, 0]
    client.send(b"ping")
    assert client.reader.exactly(4) == b"ping"
    client.close()
    scores = bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    assert scores["backends"][0]["status"][1] == 1 and scores["backends"][0]["open"] == 0


def test_bytes_sent_along_with_the_upgrade_are_not_lost(world):
    a = world.backend()
    a.on("/ws", upgrade)
    client = world.client(world.bench(web(a)))
    client.send(UPGRADE + b"early")
    assert client.answer().status == 101
    assert client.reader.exactly(10) == b"helloearly"


def test_refused_upgrade_is_an_ordinary_answer(world):
    client = world.client(world.bench(web(world.backend())))
    client.send(UPGRADE)
    assert client.answer().body == b"a"
    assert client.get("/").body == b"a"


def test_silent_tunnel_ends(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench = world.bench(web(a, timeouts={"tunnel": "300ms"}))
    client = open_websocket(world, bench)
    assert client.is_closed()
    assert "why=tunnel-silent" in bench.log()


def test_websocket_is_ended_by_kind_and_others_go_on(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench = world.bench(web(a))
    client = open_websocket(world, bench)
    other = world.client(bench)
    assert other.get("/").body == b"a"
    bench.ask("end-kinds 0 8")
    assert client.is_closed()
    assert other.get("/").body == b"a"


class TcpServer:
    """Answers with the hash of everything sent once the client has ended its sending."""

    def __init__(self, greeting=b""):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.greeting = greeting
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        digest = hashlib.sha256()
        sock.sendall(self.greeting)
        while True:
            data = sock.recv(65536)
            if not data:
                break
            digest.update(data)
        sock.sendall(digest.hexdigest().encode())
        sock.close()

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def tcp_config(*addresses, **timeouts):
    return {"listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}},
            "services": {"db": {"backends": list(addresses)}}, "timeouts": timeouts,
            "access_log": "on"}


def test_tcp_carries_both_ways_with_half_close(world):
    server = world._add(TcpServer())
    bench = world.bench(tcp_config(server.address))
    data = os.urandom(3 * 1024 * 1024)
    client = world.client(bench)
    client.send(data)
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 1])
    client.sock.shutdown(socket.SHUT_WR)
    assert client.reader.rest() == hashlib.sha256(data).hexdigest().encode()
    scores = bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    assert scores["backends"][0]["bytes_out"] == len(data)
    assert scores["backends"][0]["open"] == 0


def test_tcp_server_may_speak_first(world):
    server = world._add(TcpServer(b"220 ready\r\n"))
    client = world.client(world.bench(tcp_config(server.address)))
    assert client.reader.line() == b"220 ready\r\n"


def test_tcp_connect_is_retried_on_another_backend(world):
    server = world._add(TcpServer(b"up\n"))
    config = tcp_config(unused_address(), server.address)
    bench = world.bench(config)
    for _ in range(10):
        assert world.client(bench).reader.line() == b"up\n"


def test_tcp_without_backend_is_closed(world):
    bench = world.bench(tcp_config(unused_address()))
    try:
        assert world.client(bench).is_closed()
    except ConnectionResetError:
        pass  # within connect() already
    bench.until(lambda s: s["rows"][0]["refusals"][3] == 1)


def test_tcp_half_open_side_may_go_on_for_long(world):
    """The backend ends its sending first; the client still sends."""
    received = []
    done = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        sock, _ = listener.accept()
        sock.shutdown(socket.SHUT_WR)
        while True:
            data = sock.recv(65536)
            if not data:
                break
            received.append(data)
        done.set()

    threading.Thread(target=serve, daemon=True).start()
    bench = world.bench(tcp_config("127.0.0.1:%d" % listener.getsockname()[1]))
    client = world.client(bench)
    assert client.sock.recv(1) == b""
    client.send(b"x" * 100000)
    client.sock.shutdown(socket.SHUT_WR)
    assert done.wait(20) and sum(map(len, received)) == 100000
    listener.close()
