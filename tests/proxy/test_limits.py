"""What clients may take: each limit is hit, its refusal counted by reason, and others are served."""

import socket
import threading

import pytest

from harness import Client, web


def refused(bench, reason):
    return sum(row["refused"][reason] for row in bench.scores()["rows"])


def until_refused(bench, reason, count):
    return bench.until(lambda s: sum(r["refused"][reason] for r in s["rows"]) >= count)


def head_of(size, fields=1):
    """A request head of exactly so many bytes."""
    start, end = b"GET / HTTP/1.1\r\nHost: t\r\n", b"\r\n\r\n"
    start += b"".join(b"A%d: b\r\n" % i for i in range(fields - 2)) + b"X: "
    return start + b"x" * (size - len(start) - len(end)) + end


# --- heads --------------------------------------------------------------------------------------

def test_head_up_to_the_limit_passes_and_a_byte_more_is_431(world):
    bench = world.bench(web(world.backend(), limits={"header_bytes": 2048}))
    client = world.client(bench)
    client.send(head_of(2048))
    assert client.answer().body == b"a"
    client.send(head_of(2049))
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (431, "close")
    assert client.is_closed()
    assert refused(bench, "head-size") == 1
    assert "status=431 why=head-too-large" in bench.log()


def test_endless_head_is_431_at_the_limit_and_not_at_the_parsers(world):
    bench = world.bench(web(world.backend(), limits={"header_bytes": 2048}))
    client = world.client(bench)
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: y\r\n" * 400)
    assert client.answer().status == 431


def test_fields_up_to_the_limit_pass_and_one_more_is_431(world):
    bench = world.bench(web(world.backend(), limits={"header_count": 10}))
    client = world.client(bench)
    client.send(head_of(300, fields=10))
    assert client.answer().body == b"a"
    client.send(head_of(300, fields=11))
    assert client.answer().status == 431
    assert refused(bench, "head-size") == 1


# --- bodies -------------------------------------------------------------------------------------

def chunked(size, piece=1000):
    body = b""
    while size > 0:
        body += b"%x\r\n%s\r\n" % (min(size, piece), b"x" * min(size, piece))
        size -= piece
    return b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def test_body_of_the_limit_passes_and_a_byte_more_is_413_before_a_backend_sees_it(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "10k"}))
    client = world.client(bench)
    client.request("/", method="POST", body=b"x" * 10240)
    assert client.answer().status == 200
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 10241\r\n\r\n")
    answer = client.answer(interim=True)
    assert (answer.status, answer.field("connection")) == (413, "close")
    assert client.is_closed()
    assert a.count() == 1 and refused(bench, "body-size") == 1
    assert "status=413 why=body-size" in bench.log()


def test_chunked_body_is_cut_when_it_passes_the_limit(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "10k"}))
    client = world.client(bench)
    client.send(chunked(10240))
    assert client.answer().status == 200
    client.send(chunked(1 << 20)[:30000])  # and never its end
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (413, "close")
    assert client.is_closed()
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0])
    assert refused(bench, "body-size") == 1
    assert "status=413" in bench.log() and "why=body-size" in bench.log()


def test_chunked_body_that_is_here_whole_is_not_taken_for_the_next_request(world):
    client = world.client(world.bench(web(world.backend(), limits={"body": 100})))
    client.send(chunked(101) + b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.answer().status == 413
    assert client.answer().body == b"a"


def test_service_may_take_larger_bodies_than_the_others(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "1k"}) | {"services": {
        "web": {"backends": [a.address], "routes": [{"path": "/"}]},
        "up": {"backends": [a.address], "routes": [{"path": "/up"}], "limits": {"body": "1m"}},
        "any": {"backends": [a.address], "routes": [{"path": "/any"}], "limits": {"body": 0}}}})
    for path, status in (("/", 413), ("/up", 200), ("/any", 200)):
        client = world.client(bench)
        client.request(path, method="POST", body=b"x" * 5000)
        assert client.answer().status == status, path


# --- connections --------------------------------------------------------------------------------

def test_idle_connection_makes_room_at_the_limit_and_the_longest_idle_first(world):
    bench = world.bench(web(world.backend(), limits={"connections": 3}))
    idle = [world.client(bench) for _ in range(3)]
    bench.until(lambda s: s["rows"][0]["clients"] == 3)
    assert idle[0].get("/").body == b"a"  # so it is not the longest idle one
    late = world.client(bench)
    assert late.get("/").body == b"a"
    assert idle[1].is_closed()
    assert idle[0].get("/").body == b"a" and idle[2].get("/").body == b"a"
    assert refused(bench, "shed") == 1 and refused(bench, "connections") == 0


def test_where_all_are_busy_at_the_limit_others_wait_and_are_served_then(world):
    go = threading.Event()
    a = world.backend()
    a.on("/slow", lambda c, r: go.wait(10) and c.answer(b"slow"))
    bench = world.bench(web(a, limits={"connections": 2}))
    busy = [world.client(bench) for _ in range(2)]
    for client in busy:
        client.request("/slow")
    bench.until(lambda s: s["backends"][0]["active"][0] == 2)
    late = world.client(bench)
    late.request("/")
    until_refused(bench, "connections", 1)
    assert bench.scores()["rows"][0]["accepted"] == 2
    go.set()
    assert late.answer().body == b"a"
    assert [client.answer().body for client in busy] == [b"slow"] * 2
    assert "event=connection-limit" in bench.log()
