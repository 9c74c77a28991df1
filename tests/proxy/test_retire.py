"""A worker of an old generation: a reload must not touch live tunnels."""

import os
import socket
import threading

import pytest

from harness import field, web
from test_proxy_protocol import V1, trusting
from test_tunnels import TcpServer, open_websocket, tcp_config, upgrade


def retired(world, config):
    """A bench whose worker has retired behind one open WebSocket."""
    bench = world.bench(config)
    client = open_websocket(world, bench)
    bench.ask("retire")
    bench.until(lambda s: "event=worker-retires" in bench.log())
    return bench, client


def talks(client, text=b"go on"):
    client.send(text)
    return client.reader.exactly(len(text)) == text


def test_retired_worker_leaves_websockets_alone_and_finishes_with_the_last(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench, client = retired(world, web(a, rollout={"drain": {"websockets": "100ms"}}))
    client.sock.settimeout(2.2)  # two ticks: the budget does not count
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    client.sock.settimeout(10)
    client.send(b"go on")
    assert client.sock.recv(5) == b"go on"
    client.close()
    assert bench.ask("wait") == [0]


def test_retired_worker_leaves_tcp_connections_alone(world):
    server = TcpServer(b"hello")
    bench = world.bench(tcp_config(server.address))
    client = world.client(bench)
    assert client.reader.exactly(5) == b"hello"
    bench.ask("retire")
    bench.until(lambda s: "event=worker-retires" in bench.log())
    client.send(b"x")
    client.sock.shutdown(socket.SHUT_WR)
    assert len(client.reader.rest()) == 64
    assert bench.ask("wait") == [0]
    server.close()


def test_retired_worker_finishes_requests_and_closes_idle_connections(world):
    entered, release = threading.Event(), threading.Event()

    def slow(c, r):
        entered.set()
        release.wait(10)
        c.answer(b"finished")

    a = world.backend()
    a.on("/slow", slow)
    bench = world.bench(web(a, rollout={"drain": {"requests": "100ms"}}))
    busy, idle = world.client(bench), world.client(bench)
    assert idle.get("/").body == b"a"
    busy.request("/slow")
    assert entered.wait(20)
    bench.ask("retire")
    assert idle.is_closed()
    release.set()
    answer = busy.answer()
    assert (answer.body, answer.field("connection")) == (b"finished", "close")
    assert bench.ask("wait") == [0]


def test_client_whose_answer_had_begun_at_the_stop_may_ask_once_more(world):
    release = threading.Event()

    def in_two(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        release.wait(10)
        c.send(b"lf")

    a = world.backend()
    a.on("/slow", in_two)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/slow")
    status, fields = client.reader.head()
    assert "200" in status and field(fields, "connection") is None  # it says nothing of an end
    assert client.reader.exactly(2) == b"ha"
    bench.ask("retire")
    bench.until(lambda s: "event=worker-retires" in bench.log())
    release.set()
    assert client.reader.exactly(2) == b"lf"
    last = client.get("/")
    assert (last.body, last.field("connection")) == (b"a", "close")
    assert bench.ask("wait") == [0]


@pytest.mark.parametrize("begun", [False, True], ids=["before its answer", "in its answer"])
def test_of_pipelined_requests_the_last_one_that_is_answered_says_so(world, begun):
    """The rest is left (RFC 9112, 9.6): never is the connection closed behind an answer that has not told."""
    entered, release = threading.Event(), threading.Event()

    def second(c, r):
        if begun:
            c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nha")
        entered.set()
        release.wait(10)
        c.send(b"lf" if begun else b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhalf")

    a = world.backend()
    a.on("/second", second)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in (b"/", b"/second", b"/", b"/", b"/")))
    first = client.answer()
    assert (first.body, first.field("connection")) == (b"a", None)
    assert entered.wait(20)
    if begun:  # the client has its head: too late to tell
        status, fields = client.reader.head()
        assert "200" in status and field(fields, "connection") is None
    bench.ask("retire")
    bench.until(lambda s: "event=worker-retires" in bench.log())
    release.set()
    if begun:
        assert client.reader.exactly(4) == b"half"
    last = client.answer()
    assert (last.body, last.field("connection")) == (b"a" if begun else b"half", "close")
    assert client.reader.rest() == b""
    assert bench.ask("wait") == [0]


def test_retired_worker_accepts_nothing(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench, client = retired(world, web(a))
    accepted = bench.scores()["rows"][0]["accepted"]
    late = world.client(bench)  # into the socket's queue: the next generation's
    late.request("/")
    assert talks(client)
    assert bench.scores()["rows"][0]["accepted"] == accepted


def test_retired_worker_follows_drains_and_ends_by_kind(world):
    a, b = world.backend("a"), world.backend("b")
    a.on("/ws", upgrade)
    bench, client = retired(world, web(a, canary=[b]))
    epoch = bench.ask("drain 0")["epoch"]  # waits for the acknowledgement
    assert bench.ask(f"proof 0 {epoch}")["drained"] is False
    assert bench.ask("holds")[0]["request"] == "GET /ws"
    assert talks(client)
    bench.ask("end-kinds 0 8")
    assert client.is_closed()
    assert bench.ask("wait") == [0]


def test_silent_tunnel_ends_in_a_retired_worker_too(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench, client = retired(world, web(a, timeouts={"tunnel": "500ms"}))
    assert client.is_closed()
    assert bench.ask("wait") == [0]


def test_terminate_after_retire_counts_the_budget_from_then(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench, client = retired(world, web(a, rollout={"drain": {"websockets": "300ms"}}))
    assert talks(client)
    bench.ask("terminate")
    assert client.is_closed()
    assert bench.ask("wait") == [0]
    assert "why=worker-stopped" in bench.log()


def test_retired_worker_without_connections_is_gone_at_once(world):
    bench = world.bench(web(world.backend()))
    bench.ask("retire")
    assert bench.ask("wait") == [0]


def test_worker_refuses_to_start_with_a_descriptor_that_is_not_its_own(world):
    strange = os.open("/dev/null", os.O_RDONLY)
    high = os.dup2(strange, 300)
    os.close(strange)
    try:
        with pytest.raises(RuntimeError) as refused:
            world.bench(web(world.backend()), leak=(high,))
    finally:
        os.close(high)
    assert "event=strange-descriptor descriptor=300" in str(refused.value)
    assert "exit status 100" in str(refused.value)


def test_retired_worker_does_not_wait_long_for_the_request_behind_a_late_proxy_header(world):
    bench = world.bench(trusting(web(world.backend(), timeouts={"header": "500ms", "idle": "60s"})))
    client = world.client(bench)
    bench.until(lambda s: s["rows"][0]["accepted"] == 1)
    bench.ask("retire")
    bench.until(lambda s: "event=worker-retires" in bench.log())
    client.send(V1)
    assert client.is_closed()
    assert bench.ask("wait") == [0]
