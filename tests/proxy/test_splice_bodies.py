"""Long answers of known length go through pipes: what arrives, what comes behind them, and how they break."""
import os
import random
import socket
import threading

import pytest

from harness import web

MIB = 1 << 20
THRESHOLD = 256 << 10  # BODY_SPLICED_BYTES of proxy/limits.h
PIPES_MAX = 16


def spliced(scores):
    return scores["rows"][0]["spliced"]


def at_rest(scores):
    backend = scores["backends"][0]
    return sum(backend["active"]) == 0 and backend["open"] == backend["idle"]


@pytest.fixture
def serving(world):
    """A backend that answers /N with the first N bytes of `content`, a bench and a client."""
    a = world.backend()
    content = os.urandom(6 * MIB)
    for size in SIZES:
        a.on(f"/{size}", lambda c, r, size=size: c.answer(content[:size]))
    bench = world.bench(web(a))
    return a, bench, content


SIZES = (THRESHOLD - 1, THRESHOLD, 3 * THRESHOLD + 17, 5 * MIB + 1)


def test_bodies_arrive_whole_and_the_connections_go_on(world, serving):
    a, bench, content = serving
    client, order = world.client(bench), random.Random(7)
    asked = [order.choice(SIZES) for _ in range(20)]
    for size in asked:
        assert client.get(f"/{size}").body == content[:size]
    scores = bench.until(at_rest)
    assert spliced(scores) > 5 * MIB
    assert a.connection_count == 1
    assert 0 < scores["backends"][0]["bytes_in"] - sum(asked) < 200 * len(asked), "the heads, and every byte of the bodies once"


def test_requests_sent_at_once_are_answered_in_their_order(world, serving):
    _, bench, content = serving
    client = world.client(bench)
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % size for size in SIZES + SIZES[::-1]))
    for size in SIZES + SIZES[::-1]:
        assert client.answer().body == content[:size]


def test_a_slow_reader_gets_it_all_and_the_end_of_its_connection(world, serving):
    _, bench, content = serving
    client = world.client(bench, timeout=30)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256 << 10)
    client.request(f"/{SIZES[-1]}", fields=[("Connection", "close")])
    data = bytearray()
    while piece := client.sock.recv(30_000):
        data += piece
    assert data.endswith(content[:SIZES[-1]]) and len(data) - SIZES[-1] < 400
    assert spliced(bench.until(at_rest)) > MIB


def test_what_comes_behind_a_body_is_nobodys_answer(world):
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    body = os.urandom(3 * MIB)
    a = world.backend()
    a.on("/p", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body + poison))
    bench = world.bench(web(a))
    client = world.client(bench)
    for _ in range(5):
        assert client.get("/p").body == body
        bench.until(lambda s: s["backends"][0]["open"] == 0)
        assert client.get("/").body == b"a"
    assert spliced(bench.scores()) > MIB


def test_a_body_that_breaks_off_is_not_taken_for_a_whole_one(world):
    a = world.backend()

    def cut(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (4 * MIB) + bytes(3 * MIB))
        return False

    a.on("/cut", cut)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/cut")
    with pytest.raises((EOFError, ConnectionError)):
        client.answer()
    scores = bench.until(at_rest)
    assert spliced(scores) > MIB and scores["backends"][0]["resets"] == 1
    assert "why=backend-broke-off" in bench.log()


def test_a_client_that_leaves_takes_the_backends_connection_with_it(world):
    a, gone = world.backend(), threading.Event()

    def endless(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 40))
        try:
            while True:
                c.send(bytes(MIB))
        except OSError:
            gone.set()
            raise

    a.on("/endless", endless)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/endless")
    while spliced(bench.scores()) < 8 * MIB:
        client.sock.recv(MIB)
    client.close()
    assert gone.wait(20)
    assert bench.until(at_rest)["backends"][0]["open"] == 0
    assert "why=client-closed" in bench.log()


def test_more_at_once_than_there_are_pipes_arrive_whole(world, serving):
    _, bench, content = serving
    clients = [world.client(bench, timeout=30) for _ in range(2 * PIPES_MAX)]
    for client in clients:
        client.request(f"/{SIZES[-1]}")
    for client in clients:
        assert client.answer().body == content[:SIZES[-1]]
    bench.until(at_rest)


def test_other_framings_and_short_bodies_are_copied(world):
    body = os.urandom(2 * MIB)
    a = world.backend()
    a.on("/chunked", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body +
                                         b"\r\n0\r\n\r\n"))
    a.on("/short", lambda c, r: c.answer(body[:THRESHOLD - 1]))
    a.on("/head", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)))
    bench = world.bench(web(a))
    client = world.client(bench)
    assert client.get("/chunked").body == body
    assert client.get("/short").body == body[:THRESHOLD - 1]
    assert client.get("/head", method="HEAD").body == b""
    assert client.get("/").body == b"a"
    assert spliced(bench.scores()) == 0
