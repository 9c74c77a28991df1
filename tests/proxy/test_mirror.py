"""Copies of safe requests for the canary: compared, thrown away, and never the client's matter."""

import os
import signal
import socket
import struct
import threading

import pytest

from harness import hanging_address, unused_address, web

ALL = 10000
MIRRORS_MAX, BODY_MAX = 64, 256 << 10  # proxy/limits.h
SENT, COMPARED, STATUS, BODY, FAILED = range(5)


class Gate:
    """A handler that says that it was asked, and answers when it may."""

    def __init__(self, body=b"late", answer=True):
        self.asked, self.open = threading.Semaphore(0), threading.Event()
        self.body, self.answers = body, answer

    def __call__(self, connection, request):
        self.asked.release()
        self.open.wait(20)
        if not self.answers:
            return False
        connection.answer(self.body)
        return None


def same(c, r):
    c.answer(b"" if r.method == "HEAD" else b"the same")


def two_versions(world, share=ALL, weight=0, same_path="/", **service):
    a, b = world.backend("a"), world.backend("b")
    for backend in (a, b):
        backend.on(same_path, same)
    bench = world.bench(web(a, canary=[b], **service))
    bench.ask(f"weight 0 {weight}")
    bench.ask(f"mirror 0 {share}")
    return bench, a, b


def mirror_of(scores, slot=1):
    return scores["backends"][slot]["mirror"]


def until_mirror(bench, *counts, slot=1):
    """Waits for these counts, and that nothing is active."""
    return bench.until(lambda s: mirror_of(s, slot) == list(counts) and
                       all(b["active"] == [0, 0, 0, 0, 0] for b in s["backends"]))


def test_a_copy_goes_to_canary_and_the_client_gets_the_stable_answer(world):
    bench, a, b = two_versions(world)
    client = world.client(bench)
    for n in range(1, 4):
        assert client.get("/name").body == b"a"
        until_mirror(bench, n, n, 0, n, 0)
    copy, original = b.requests[0], a.requests[0]
    assert copy.field("sluice-mirror") == "1" and original.field("sluice-mirror") is None
    assert copy.field("x-request-id") == original.field("x-request-id")
    assert (copy.method, copy.target) == ("GET", "/name")
    rest = [f for f in copy.fields if f[0] != "sluice-mirror"]
    assert rest == original.fields
    # one connection for all of them, kept; the split knows nothing of copies; nor does the log
    assert b.connection_count == 1
    scores = bench.scores()
    assert scores["rows"][0]["split"] == [0, 3, 0]
    assert scores["backends"][1]["exchanges"] == 3 and scores["backends"][1]["status"][2] == 3
    assert bench.log().count("event=exchange") == 3 and "group=canary" not in bench.log()


@pytest.mark.parametrize("share", [1, 2500, 9999])
def test_the_share_is_exact(world, share):
    bench, _, b = two_versions(world, share)
    client = world.client(bench)
    for _ in range(100):
        assert client.get().body == b"the same"
    expected = 100 * share / ALL
    scores = bench.until(lambda s: mirror_of(s)[SENT] == mirror_of(s)[COMPARED] and
                         s["backends"][1]["active"] == [0, 0, 0, 0, 0])
    assert abs(mirror_of(scores)[SENT] - expected) < 1 and mirror_of(scores)[SENT] == b.count()


def test_nothing_is_copied_where_it_is_off(world):
    bench, _, b = two_versions(world, 0)
    client = world.client(bench)
    for _ in range(20):
        client.get()
    assert b.connection_count == 0


def test_only_safe_requests_are_copied(world):
    bench, a, b = two_versions(world)
    a.on("/ws", lambda c, r: c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                    b"Upgrade: websocket\r\n\r\n"))
    client = world.client(bench)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "REPORT"):
        client.get(method=method)
        client.get(method=method, body=b"x")
    client.get(body=b"GET with a body")
    upgraded = world.client(bench)
    upgraded.request("/ws", fields=[("Connection", "upgrade"), ("Upgrade", "websocket")])
    assert upgraded.answer().status == 101
    large = [("X-Large", "x" * 8000), ("X-More", "y" * 9000)]
    assert client.get(fields=large).status == 200
    assert client.get("/last").body == b"a"
    until = bench.until(lambda s: mirror_of(s)[COMPARED] == 1)
    assert mirror_of(until)[SENT] == 1 and [r.target for r in b.requests] == ["/last"]


def test_head_and_pipelined_requests_are_copied_each_once(world):
    bench, a, b = two_versions(world)
    client = world.client(bench)
    assert client.get(method="HEAD").status == 200
    client.send(b"".join(b"%s / HTTP/1.1\r\nHost: t\r\n\r\n" % m for m in (b"GET", b"HEAD", b"GET")))
    for method in ("GET", "HEAD", "GET"):
        assert client.answer(method).status == 200
    until_mirror(bench, 4, 4, 0, 0, 0)
    assert sorted(r.method for r in b.requests) == sorted(r.method for r in a.requests)


def chunks(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for piece in (b"t", b"he s", b"ame"):
        c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
    c.send(b"0\r\n\r\n")


def until_close(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nthe same")
    return False


def behind_a_103(c, r):
    c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    c.answer(b"the same")


@pytest.mark.parametrize("way", [chunks, until_close, behind_a_103])
def test_what_is_framed_otherwise_is_the_same(world, way):
    bench, _, b = two_versions(world)
    b.on("/", way)
    client = world.client(bench)
    for n in range(1, 3):
        assert client.get().body == b"the same"
        until_mirror(bench, n, n, 0, 0, 0)


def test_differences_are_told_apart(world):
    bench, _, b = two_versions(world)
    b.on("/", lambda c, r: c.answer(b"the same", "500 Internal Server Error"))
    client = world.client(bench)
    assert client.get().status == 200
    until_mirror(bench, 1, 1, 1, 0, 0)
    for n, body in enumerate((b"the samE", b"the sam", b"the same\0", b""), 1):
        b.on("/", lambda c, r, body=body: c.answer(body))
        assert client.get().body == b"the same"
        until_mirror(bench, 1 + n, 1 + n, 1, n, 0)


def cut(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    return False


def garbage(c, r):
    c.send(b"no HTTP\r\n\r\n")
    return False


def upgraded_unasked(c, r):
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")


def silence(c, r):
    return False


@pytest.mark.parametrize("way", [cut, garbage, upgraded_unasked, silence])
def test_a_canary_that_breaks_off_is_a_failure_of_its_own(world, way):
    bench, _, b = two_versions(world, ejection={"failures": 1})
    b.on("/", way)
    client = world.client(bench)
    for n in range(1, 4):
        assert client.get().body == b"the same"
        until_mirror(bench, n, 0, 0, 0, n)
    assert bench.scores()["backends"][1]["ejections"] == 0


def test_a_canary_that_refuses_or_does_not_accept_is_a_failure_of_its_own(world):
    a = world.backend("a")
    a.on("/", same)
    with hanging_address() as hanging:
        config = web(a, timeouts={"connect": "200ms"})
        config["services"]["web"]["canary"] = [unused_address()]
        config["services"]["other"] = {"backends": [a.address], "canary": [hanging],
                                       "routes": [{"host": "other"}]}
        bench = world.bench(config)
        bench.ask(f"mirror 0 {ALL}")
        bench.ask(f"mirror 1 {ALL}")
        client = world.client(bench)
        for n in range(1, 4):
            assert client.get().body == b"the same"
            until_mirror(bench, n, 0, 0, 0, n)
        client.send(b"GET / HTTP/1.1\r\nHost: other\r\n\r\n")
        assert client.answer().body == b"the same"
        until_mirror(bench, 1, 0, 0, 0, 1, slot=3)
        assert sum(b["retries"] for b in bench.scores()["backends"]) == 0


def test_a_canary_that_hangs_delays_nobody_and_holds_a_bounded_number(world):
    bench, _, b = two_versions(world, timeouts={"response": "2s"})
    gate = Gate(answer=False)
    b.on("/", gate)
    clients = [world.client(bench) for _ in range(4)]
    for _ in range(40):
        for client in clients:
            assert client.get().body == b"the same"
    scores = bench.scores()
    assert scores["backends"][1]["active"] == [MIRRORS_MAX, 0, 0, 0, 0]
    assert scores["backends"][0]["active"] == [0, 0, 0, 0, 0]
    # each of them has its time, then the next ones are sent
    until_mirror(bench, MIRRORS_MAX, 0, 0, 0, MIRRORS_MAX)
    assert bench.scores()["backends"][1]["timeouts"] == MIRRORS_MAX
    gate.open.set()
    b.on("/", same)
    assert clients[0].get().body == b"the same"
    until_mirror(bench, MIRRORS_MAX + 1, 1, 0, 0, MIRRORS_MAX)


def test_a_trickling_canary_has_one_deadline_for_all(world):
    bench, _, b = two_versions(world, timeouts={"response": "300ms"})
    stop = threading.Event()

    def trickle(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stop.wait(0.02):
            c.send(b"x")

    b.on("/", trickle)
    assert world.client(bench).get().body == b"the same"
    until_mirror(bench, 1, 0, 0, 0, 1)
    stop.set()


def test_a_client_that_is_gone_leaves_nothing_to_compare(world):
    bench, a, b = two_versions(world)
    first, second = Gate(), Gate()
    a.on("/slow", first)
    b.on("/slow", second)
    client = world.client(bench)
    client.request("/slow")
    assert first.asked.acquire(timeout=20) and second.asked.acquire(timeout=20)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
    client.close()
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    assert bench.scores()["backends"][1]["active"] == [1, 0, 0, 0, 0]
    second.open.set()
    until_mirror(bench, 1, 0, 0, 0, 0)
    first.open.set()


def test_whichever_is_first_they_are_compared(world):
    bench, a, b = two_versions(world)
    for late, early in ((a, b), (b, a)):
        gate = Gate(b"x" * 1000)
        late.on("/slow", gate)
        early.on("/slow", lambda c, r: c.answer(b"x" * 1000))
        client = world.client(bench)
        client.request("/slow")
        assert gate.asked.acquire(timeout=20)
        bench.until(lambda s, slot=0 if early is a else 1: s["backends"][slot]["active"] == [0, 0, 0, 0, 0])
        gate.open.set()
        assert client.answer().body == b"x" * 1000
    until_mirror(bench, 2, 2, 0, 0, 0)


def test_a_draining_canary_is_not_waited_for(world):
    bench, _, b = two_versions(world, rollout={"drain": {"requests": "1h"}})
    gate = Gate(answer=False)
    b.on("/", gate)
    client = world.client(bench)
    assert client.get().body == b"the same"
    assert gate.asked.acquire(timeout=20)
    assert bench.scores()["backends"][1]["active"] == [1, 0, 0, 0, 0]
    epoch = bench.ask("drain 1")["epoch"]
    assert bench.ask(f"await-drained 1 {epoch}")["drained"]
    until_mirror(bench, 1, 0, 0, 0, 0)  # no failure of the canary's
    assert client.get().body == b"the same"  # and none is copied to it any more
    until_mirror(bench, 1, 0, 0, 0, 0)
    gate.open.set()


def test_a_copy_is_ended_with_its_kind_or_by_its_id(world):
    bench, _, b = two_versions(world)
    gate = Gate(answer=False)
    b.on("/", gate)
    client = world.client(bench)
    for way in ("end-kinds 1 1", "end 0"):
        assert client.get().body == b"the same"
        assert gate.asked.acquire(timeout=20)
        identity = max(int(line.split("id=")[1].split()[0]) for line in bench.log().splitlines()
                       if " event=exchange " in line) + 1
        bench.ask(way if "kinds" in way else f"end {identity}")
        bench.until(lambda s: s["backends"][1]["active"] == [0, 0, 0, 0, 0])
    assert mirror_of(bench.scores())[FAILED] == 0
    gate.open.set()


def test_a_worker_that_stops_or_retires_ends_its_copies(world):
    for verb in ("terminate", "retire"):
        bench, _, b = two_versions(world, rollout={"drain": {"requests": "1h"}})
        gate = Gate(answer=False)
        b.on("/", gate)
        client = world.client(bench)
        assert client.get().body == b"the same"
        assert gate.asked.acquire(timeout=20)
        bench.ask(verb)
        bench.until(lambda s: s["backends"][1]["active"] == [0, 0, 0, 0, 0])
        client.close()
        gate.open.set()


def test_copies_leave_every_second_place_to_clients(world):
    bench, _, b = two_versions(world, max_connections=4)
    gate = Gate(answer=False)
    b.on("/", gate)
    client = world.client(bench)
    for _ in range(20):
        assert client.get().body == b"the same"
    assert bench.scores()["backends"][1]["active"] == [2, 0, 0, 0, 0]
    bench.ask(f"weight 0 {ALL}")
    b.on("/", same)
    for _ in range(4):
        assert client.get().body == b"the same"
    gate.open.set()


def test_max_connections_of_one_leaves_none_for_copies(world):
    bench, _, b = two_versions(world, max_connections=1)
    client = world.client(bench)
    for _ in range(3):
        assert client.get().body == b"the same"
    until_mirror(bench, 0, 0, 0, 0, 0)
    assert b.count() == 0


def test_what_the_canary_answers_itself_is_not_copied(world):
    bench, a, b = two_versions(world, weight=5000)
    client = world.client(bench)
    for _ in range(20):
        client.get()
    until_mirror(bench, 10, 10, 0, 0, 0)
    assert (a.count(), b.count()) == (10, 20)
    assert bench.scores()["rows"][0]["split"] == [5000, 20, 10]


def test_an_asset_that_the_canary_had_is_not_compared_with_itself(world):
    bench, a, b = two_versions(world, retry_assets=True)
    a.on("/x.js", lambda c, r: c.answer(b"not here", "404 Not Found"))
    client = world.client(bench)
    assert client.get("/x.js").body == b"b"
    until_mirror(bench, 1, 0, 0, 0, 0)


def test_a_large_body_is_compared_in_its_first_part(world):
    body = os.urandom(BODY_MAX) + b"x" * (1 << 20)
    bench, a, b = two_versions(world)
    a.on("/large", lambda c, r: c.answer(body))
    b.on("/large", lambda c, r: c.answer(body[:BODY_MAX] + b"y" * (1 << 20)))
    client = world.client(bench)
    assert client.get("/large").body == body
    until_mirror(bench, 1, 1, 0, 0, 0)
    b.on("/large", lambda c, r: c.answer(body[:BODY_MAX - 1] + b"y" * (1 << 20)))
    assert client.get("/large").body == body
    until_mirror(bench, 2, 2, 0, 0 if body[BODY_MAX - 1] == ord("y") else 1, 0)
    assert b.connection_count == 2  # not read to its end


@pytest.mark.parametrize("media_type", [b"text/event-stream", b"Text/Event-Stream;charset=utf-8"])
def test_a_stream_of_events_is_not_waited_for(world, media_type):
    bench, _, b = two_versions(world, timeouts={"response": "3s"})  # a copy that is waited for fails
    b.on("/", lambda c, r: (c.send(b"HTTP/1.1 200 OK\r\nContent-Type: " + media_type + b"\r\n\r\ndata: 1\n\n"),
                            c.sock.recv(1), False)[2])
    assert world.client(bench).get().body == b"the same"
    until_mirror(bench, 1, 0, 0, 0, 0)


def test_a_slow_reader_keeps_no_copy_in_flight(world):
    body = b"z" * (8 << 20)
    bench, a, b = two_versions(world)
    for backend in (a, b):
        backend.on("/large", lambda c, r: c.answer(body))
    client = world.client(bench)
    client.request("/large")
    bench.until(lambda s: mirror_of(s)[SENT] == 1 and s["backends"][1]["active"] == [0, 0, 0, 0, 0])
    assert client.answer().body == body
    until_mirror(bench, 1, 1, 0, 0, 0)


def test_nobody_can_pass_for_a_copy(world):
    bench, a, _ = two_versions(world, 0)
    client = world.client(bench)
    client.get(fields=[("Sluice-Mirror", "1"), ("sluice_mirror", "1"), ("SLUICE-MIRROR", "2")])
    assert not [f for f in a.requests[0].fields if "mirror" in f[0]]


def test_a_users_copies_go_to_one_canary_backend(world):
    a, canaries = world.backend("a"), [world.backend(f"c{i}") for i in range(4)]
    bench = world.bench(web(a, canary=canaries, sticky={"header": "X-User"}))
    bench.ask(f"mirror 0 {ALL}")
    client = world.client(bench)
    for user in range(3):
        before = [c.count() for c in canaries]
        for _ in range(5):
            client.get(fields=[("X-User", str(user))])
        bench.until(lambda s: all(b["active"] == [0, 0, 0, 0, 0] for b in s["backends"]))
        assert sorted(c.count() - n for c, n in zip(canaries, before)) == [0, 0, 0, 5]


def test_copies_earn_no_retries(world):
    """The budget is the clients': 0 % of theirs and the 10 a second are all there is."""
    bench, _, b = two_versions(world, retries={"budget": 0})
    client = world.client(bench)
    for _ in range(50):
        client.get()
    until_mirror(bench, 50, 50, 0, 0, 0)


def test_a_worker_that_dies_takes_its_copies_along(world):
    bench, _, b = two_versions(world)
    gate = Gate(answer=False)
    b.on("/", gate)
    client = world.client(bench)
    assert client.get().body == b"the same"
    assert gate.asked.acquire(timeout=20)
    os.kill(bench.pids()[0], signal.SIGKILL)
    assert client.is_closed()
    gate.open.set()
    assert any(bench.stop())  # it did not end well, as it was told
