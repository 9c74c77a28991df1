"""A held service: what comes waits, bounded, and goes on in order; nothing fails that need not."""

import socket
import threading
import time

import pytest

from harness import Client, web
from test_tunnels import upgrade

ROWS = 2


def hold(bench, ms=60_000, service=0):
    return bench.ask(f"hold {service} {ms}")


def release(bench, service=0):
    return bench.ask(f"hold {service} 0")


def queued(scores):
    return sum(row["queued"] for row in scores["rows"])


def test_held_requests_wait_and_go_on_in_order(world):
    a, places = world.backend(), {}

    def note(c, r):
        places[r.target] = a.sockets.index(c.sock)
        c.answer(b"x")

    for path in ("/before", "/0", "/1", "/2", "/3", "/4", "/last"):
        a.on(path, note)
    bench = world.bench(web(a))
    busy = world.client(bench)
    busy.get("/before")
    hold(bench)
    clients = [world.client(bench) for _ in range(5)]
    for n, client in enumerate(clients):
        client.request(f"/{n}")
        bench.until(lambda s, n=n: queued(s) == n + 1)
    busy.request("/last")  # a kept connection waits too
    bench.until(lambda s: queued(s) == 6)
    assert a.count() == 1
    release(bench)
    for client in [*clients, busy]:
        assert client.answer().status == 200
    # as the connections came: the first to go on had the one that was kept
    assert [places[path] for path in ("/before", "/0", "/1", "/2", "/3", "/4", "/last")] == [0, 0, 1, 2, 3, 4, 5]
    bench.until(lambda s: queued(s) == 0)


def test_exchange_in_progress_is_not_held(world):
    entered, go_on = threading.Event(), threading.Event()
    a = world.backend()
    a.on("/slow", lambda c, r: (entered.set(), go_on.wait(10), c.answer(b"finished"))[2])
    a.on("/ws", upgrade)
    bench = world.bench(web(a))
    slow, tunnel = world.client(bench), world.client(bench)
    slow.request("/slow")
    tunnel.send(b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert tunnel.answer().status == 101 and tunnel.reader.exactly(5) == b"hello"
    assert entered.wait(20)
    hold(bench)
    go_on.set()
    assert slow.answer().body == b"finished"
    tunnel.send(b"still")
    assert tunnel.reader.exactly(5) == b"still"


def test_no_more_wait_than_may(world):
    a = world.backend()
    bench = world.bench(web(a, hold={"max": 3}))
    hold(bench, 9500)
    waiting = [world.client(bench) for _ in range(3)]
    for client in waiting:
        client.request("/")
    bench.until(lambda s: queued(s) == 3)
    answer = world.client(bench).get("/")
    assert (answer.status, answer.field("retry-after")) == (503, "10")
    assert a.count() == 0
    waiting[0].close()  # its place is free again
    bench.until(lambda s: queued(s) == 2)
    late = world.client(bench)
    late.request("/")
    bench.until(lambda s: queued(s) == 3)
    release(bench)
    assert {client.answer().status for client in [*waiting[1:], late]} == {200}
    assert "why=held" in bench.log()


def test_none_waits_longer_than_its_time(world):
    a = world.backend()
    bench = world.bench(web(a, hold={"timeout": "200ms"}))
    client = world.client(bench)
    hold(bench)
    began = time.monotonic()
    answer = client.get("/")
    assert (answer.status, answer.field("retry-after")) == (503, "60")
    assert 0.19 < time.monotonic() - began < 5
    release(bench)
    assert client.get("/").status == 200  # the connection was kept


def test_hold_ends_by_itself_where_nobody_ends_it(world):
    a = world.backend()
    bench = world.bench(web(a), rows=ROWS)
    hold(bench, 300)  # and no new table comes, as if the updater were dead
    clients = [world.client(bench) for _ in range(6)]
    for client in clients:
        client.request("/")
    assert {client.answer().status for client in clients} == {200}


def test_hold_can_be_made_longer(world):
    a = world.backend()
    bench = world.bench(web(a))
    hold(bench, 1200)
    hold(bench, 60_000)
    client = world.client(bench)
    client.request("/")
    bench.until(lambda s: queued(s) == 1)
    client.sock.settimeout(2)  # past the first one's end, and a tick
    with pytest.raises(socket.timeout):
        client.sock.recv(1)
    assert a.count() == 0
    release(bench)
    client.sock.settimeout(10)
    assert client.answer().status == 200


def test_body_is_not_read_while_held(world):
    size = 16 << 20
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    hold(bench)
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size)
    bench.until(lambda s: queued(s) == 1)
    sent = []

    def send():
        for _ in range(size >> 16):
            client.send(b"x" * (1 << 16))
            sent.append(1)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    last = -1
    while len(sent) != last:  # until the kernel's buffers are full
        last = len(sent)
        time.sleep(0.2)
    assert last < size >> 16
    release(bench)
    assert client.answer().status == 200
    sender.join(10)


def test_expect_100_waits_like_the_rest(world):
    a = world.backend()
    a.on("/", lambda c, r: (c.send(b"HTTP/1.1 100 Continue\r\n\r\n"), c.answer(c.body(r)))[1])
    bench = world.bench(web(a))
    client = world.client(bench)
    hold(bench)
    client.request("/", "POST", fields=[("Expect", "100-continue"), ("Content-Length", "2")])
    bench.until(lambda s: queued(s) == 1)
    release(bench)
    assert client.answer(interim=True).status == 100
    client.send(b"ok")
    assert client.answer().body == b"ok"


def test_client_that_leaves_is_forgotten(world):
    a = world.backend()
    bench = world.bench(web(a))
    hold(bench)
    clients = [world.client(bench) for _ in range(4)]
    for client in clients:
        client.request("/")
    bench.until(lambda s: queued(s) == 4)
    for client in clients[:2]:
        client.close()
    bench.until(lambda s: queued(s) == 2)
    half = clients[2]
    half.sock.shutdown(socket.SHUT_WR)  # has it gone, or does it only send no more?
    answer = half.answer()
    assert answer.status == 503
    release(bench)
    assert clients[3].answer().status == 200
    assert a.count() == 1


def test_pipelined_requests_wait_and_are_answered_in_order(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    hold(bench)
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(10)))
    bench.until(lambda s: queued(s) == 1)
    release(bench)
    assert [client.answer().status for _ in range(10)] == [200] * 10
    assert [r.target for r in a.requests] == [f"/{n}" for n in range(10)]


def test_other_services_are_not_held(world):
    a, b = world.backend("a"), world.backend("b")
    config = web(a)
    config["services"]["api"] = {"backends": [b.address], "routes": [{"path": "/api"}]}
    bench = world.bench(config)
    hold(bench, service=0)
    assert world.client(bench).get("/api").body == b"b"


def test_released_without_a_backend_it_waits_on_as_usual(world):
    a = world.backend()
    bench = world.bench(web(a, healthcheck={"tcp": {}}, timeouts={"queue": "300ms"}))
    hold(bench)
    clients = [world.client(bench) for _ in range(3)]
    for client in clients:
        client.request("/")
    bench.until(lambda s: queued(s) == 3)
    release(bench)  # nobody is healthy
    clients[0].request("/")  # lies behind the first
    answers = [client.answer() for client in clients]
    assert {(x.status, x.field("retry-after")) for x in answers} == {(503, "1")}
    bench.ask("healthy 0")
    assert world.client(bench).get("/").status == 200


def test_tcp_connections_wait_too(world):
    a = world.backend()
    config = {"listeners": {"raw": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "raw"}},
              "services": {"raw": {"backends": [a.address], "hold": {"max": 2, "timeout": "30s"}}}}
    bench = world.bench(config)
    hold(bench)
    clients = [world.client(bench) for _ in range(2)]
    for client in clients:
        client.request("/")
    bench.until(lambda s: queued(s) == 2)
    try:
        assert world.client(bench).is_closed()  # one too many
    except ConnectionResetError:
        pass  # even before connect() was told that it was accepted
    assert a.connection_count == 0
    release(bench)
    assert {client.answer().status for client in clients} == {200}


def test_ends_with_a_worker_that_stops(world):
    a = world.backend()
    bench = world.bench(web(a, rollout={"drain": {"requests": "200ms"}}))
    client = world.client(bench)
    hold(bench)
    client.request("/")
    bench.until(lambda s: queued(s) == 1)
    bench.ask("terminate")
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (503, "close")
    assert client.is_closed()


def test_retiring_worker_lets_go_when_the_hold_ends(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    hold(bench)
    client.request("/")
    bench.until(lambda s: queued(s) == 1)
    bench.ask("retire")
    release(bench)
    assert client.answer().status == 200


def test_under_load_nothing_fails(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b), rows=ROWS)
    stop, statuses = threading.Event(), []

    def visit():
        client = Client(bench.port, timeout=30)
        while not stop.is_set():
            statuses.append(client.get("/").status)
        client.close()

    visitors = [threading.Thread(target=visit) for _ in range(8)]
    for visitor in visitors:
        visitor.start()
    for _ in range(5):
        done = len(statuses)
        bench.until(lambda s: len(statuses) > done + 20)
        hold(bench)
        bench.until(lambda s: queued(s) == 8)
        served = a.count() + b.count()
        assert bench.scores() and a.count() + b.count() == served
        release(bench)
    stop.set()
    for visitor in visitors:
        visitor.join(20)
    assert set(statuses) == {200} and len(statuses) == a.count() + b.count()
