"""How tunnels end: each side, each kind, with bytes still under way and without."""

import hashlib
import os
import socket
import struct
import threading
import time
from pathlib import Path

import pytest

from harness import Client, sanitized

KINDS = ["tcp", "websocket"]
SIDES = ["client", "backend"]
MUCH = 6 * 1024 * 1024  # more than the kernel holds on its way


class Pair:
    """Both ends of one tunnel as plain sockets."""

    def __init__(self, world, kind, bench=None, listener=None, **timeouts):
        self.listener = listener or socket.create_server(("127.0.0.1", 0), backlog=512)
        self.listener.settimeout(10)
        address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.bench = bench or world.bench(config(kind, address, timeouts))
        world._add(self)
        client = Client(self.bench.port)
        if kind == "websocket":
            client.send(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        self.backend, _ = self.listener.accept()
        self.backend.settimeout(20)
        if kind == "websocket":
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.backend.recv(65536)
            self.backend.sendall(b"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
            assert client.answer().status == 101
        self.client = client.sock.dup()
        client.close()
        self.client.settimeout(20)

    def sides(self, first):
        return (self.client, self.backend) if first == "client" else (self.backend, self.client)

    def close(self):
        for sock in (self.client, self.backend, self.listener):
            sock.close()


def config(kind, address, timeouts):
    listener = {"address": "127.0.0.1:0"}
    if kind == "tcp":
        listener.update(protocol="tcp", service="s")
    return {"listeners": {"l": listener}, "services": {"s": {"backends": [address]}},
            "timeouts": timeouts, "access_log": "on"}


def send_and_end(sock, data):
    def run():
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def read_to_end(sock):
    data = bytearray()
    while piece := sock.recv(1 << 20):
        data += piece
    return bytes(data)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def sees_reset(sock):
    try:
        while sock.recv(1 << 20):
            pass
        return False
    except ConnectionResetError:
        return True


def idle(scores):
    backend = scores["backends"][0]
    return not any(backend["active"]) and backend["open"] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", SIDES)
@pytest.mark.parametrize("there, back", [(0, 0), (1, MUCH), (MUCH, 1), (MUCH, MUCH)],
                         ids=["empty", "answer-queued", "question-queued", "both-queued"])
def test_one_side_ends_and_the_other_goes_on(world, kind, first, there, back):
    pair = Pair(world, kind)
    ender, other = pair.sides(first)
    question, answer = os.urandom(there), os.urandom(back)
    sending = send_and_end(ender, question)
    if there < MUCH:
        sending.join(20)  # the end is on its way before anybody reads
    assert read_to_end(other) == question
    answering = send_and_end(other, answer)
    if back < MUCH:
        answering.join(20)
    assert read_to_end(ender) == answer
    scores = pair.bench.until(idle)
    out, into = (there, back) if first == "client" else (back, there)
    counted = scores["backends"][0]
    heads = 0 if kind == "tcp" else 400
    assert 0 <= counted["bytes_out"] - out <= heads and 0 <= counted["bytes_in"] - into <= heads
    assert "why=done" in pair.bench.log()


@pytest.mark.parametrize("kind", KINDS)
def test_both_directions_at_once_with_ends_at_different_times(world, kind):
    pair = Pair(world, kind)
    there, back = os.urandom(MUCH), os.urandom(MUCH // 3)
    results = {}
    readers = [threading.Thread(target=lambda n=n, s=s: results.update({n: read_to_end(s)}))
               for n, s in (("client", pair.client), ("backend", pair.backend))]
    threads = readers + [send_and_end(pair.client, there), send_and_end(pair.backend, back)]
    for reader in readers:
        reader.start()
    for thread in threads:
        thread.join(20)
    assert results["backend"] == there and results["client"] == back
    pair.bench.until(idle)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", SIDES)
@pytest.mark.parametrize("queued", [0, MUCH], ids=["quiet", "queued"])
def test_reset_of_one_side_is_one_for_the_other(world, kind, first, queued):
    pair = Pair(world, kind)
    ender, other = pair.sides(first)
    ender.sendall(b"x")
    assert other.recv(1) == b"x"
    met = []  # by the side that sends: the kernel tells of a reset once
    sending = threading.Thread(target=send_until_reset, args=(other, queued, met), daemon=True)
    sending.start()
    if queued:  # towards the side that resets: it reads nothing of it
        assert ender.recv(1, socket.MSG_PEEK) == b"\0"
    reset(ender)
    sending.join(20)
    assert met or sees_reset(other)
    pair.bench.until(idle)
    assert ("why=client-closed" if first == "client" else "why=backend-broke-off") in pair.bench.log()


def send_until_reset(sock, count, met):
    try:
        sock.sendall(bytes(count))
    except ConnectionResetError:
        met.append(True)


def quietly(function, *arguments):
    try:
        function(*arguments)
    except OSError:
        pass


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", SIDES)
def test_reset_after_a_half_close_is_one_too(world, kind, first):
    """The side that has ended its sending goes away while the other still sends."""
    pair = Pair(world, kind)
    ender, other = pair.sides(first)
    ender.shutdown(socket.SHUT_WR)
    assert other.recv(1) == b""
    other.sendall(b"y")
    assert ender.recv(1) == b"y"
    reset(ender)
    try:
        for _ in range(1000):
            other.sendall(bytes(65536))
    except OSError:
        pass
    else:
        raise AssertionError("the reset did not come through")
    pair.bench.until(idle)


@pytest.mark.parametrize("kind", KINDS)
def test_lifetime_ends_a_busy_tunnel_in_order(world, kind):
    """It is never silent for as long as `tunnel`; what is said just before the end would be reset."""
    pair = Pair(world, kind, tunnel_lifetime="2s", tunnel="1200ms")
    started = time.monotonic()
    while time.monotonic() - started < 1.4:
        pair.client.sendall(b"x")
        assert pair.backend.recv(1) == b"x"
        time.sleep(0.05)
    assert pair.client.recv(1) == b"", "an end and no reset"
    assert read_to_end(pair.backend) == b""
    pair.bench.until(idle)
    assert "why=tunnel-lifetime" in pair.bench.log()


def test_silence_ends_sooner_than_a_longer_lifetime(world):
    pair = Pair(world, "tcp", tunnel_lifetime="1h", tunnel="200ms")
    assert pair.client.recv(1) == b""
    assert "why=tunnel-silent" in pair.bench.log()


def test_one_that_takes_slowly_is_not_silent(world):
    """Queued bytes that go on bit by bit are no silence, though no new ones come."""
    pair = Pair(world, "tcp", tunnel="400ms")
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    data = os.urandom(MUCH)
    sending = send_and_end(pair.backend, data)
    digest, got = hashlib.sha256(), 0
    while piece := pair.client.recv(65536):
        digest.update(piece)
        got += len(piece)
        if got < MUCH // 2:
            time.sleep(0.02)  # the pace of a slow client: seconds for the whole
    sending.join(20)
    assert got == MUCH and digest.digest() == hashlib.sha256(data).digest()


def test_stuck_tunnel_is_silent(world):
    pair = Pair(world, "tcp", tunnel="300ms")
    threading.Thread(target=lambda: quietly(pair.backend.sendall, bytes(MUCH * 4)),
                     daemon=True).start()
    pair.bench.until(idle, 10)
    assert "why=tunnel-silent" in pair.bench.log()


def descriptors(pid):
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def resident_kib(pid):
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0])


def worker_of(bench):
    children = Path(f"/proc/{bench.process.pid}/task/{bench.process.pid}/children").read_text()
    return int(children.split()[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_thousand_tunnels_leave_nothing_behind(world, kind):
    first = Pair(world, kind)
    worker = worker_of(first.bench)

    def some(count):
        for i in range(count):
            pair = Pair(world, kind, first.bench, first.listener.dup())
            world.things.remove(pair)
            pair.client.sendall(bytes(100_000))
            taken = 0
            while taken < 100_000:
                taken += len(pair.backend.recv(1 << 20))
            (reset if i % 2 else socket.socket.close)(pair.client if i % 3 else pair.backend)
            pair.close()

    some(100)
    first.bench.until(lambda s: sum(s["backends"][0]["active"]) == 1)
    before, memory = descriptors(worker), resident_kib(worker)
    some(1000)
    first.bench.until(lambda s: sum(s["backends"][0]["active"]) == 1)
    assert descriptors(worker) == before
    if not sanitized():  # a sanitizer keeps what was freed
        assert resident_kib(worker) - memory < 1500
