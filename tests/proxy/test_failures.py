"""What fails: backends, clients, and time."""

import socket
import threading

import pytest

from harness import hanging_address, unused_address, web


def until_idle(bench):
    return bench.until(lambda s: all(b["active"] == [0, 0, 0, 0, 0] and b["connecting"] == 0
                                     and b["open"] == b["idle"] for b in s["backends"]))


def test_connect_failures_are_retried_on_another_backend(world):
    a = world.backend()
    config = web(a)
    config["services"]["web"]["backends"].insert(0, unused_address())
    config["services"]["web"]["balance"] = "round_robin"
    bench = world.bench(config)
    client = world.client(bench)
    for _ in range(20):
        assert client.get("/").body == b"a"
        client.request("/p", method="POST", body=b"body")
        assert client.answer().status == 200
    scores = until_idle(bench)
    dead, alive = scores["backends"]
    assert alive["status"][2] == 40 and dead["status"][0] == dead["connect_failures"] > 0
    assert dead["retries"] == dead["connect_failures"]
    assert dead["exchanges"] == dead["connect_failures"]


def test_all_connects_failed_is_502(world):
    config = web(world.backend())
    config["services"]["web"]["backends"] = [unused_address(), unused_address()]
    bench = world.bench(config)
    client = world.client(bench)
    assert client.get("/").status == 502
    assert client.get("/", method="HEAD").status == 502
    scores = until_idle(bench)
    assert [b["connect_failures"] for b in scores["backends"]] == [2, 2]
    assert scores["rows"][0]["refusals"][3] == 2


def test_connect_timeout_is_a_failure_that_is_retried(world):
    a = world.backend()
    config = web(a, timeouts={"connect": "200ms"}, balance="round_robin")
    with hanging_address() as address:
        config["services"]["web"]["backends"].insert(0, address)
        bench = world.bench(config)
        client = world.client(bench)
        for _ in range(3):
            assert client.get("/").body == b"a"
        scores = until_idle(bench)
        assert scores["backends"][0]["timeouts"] == scores["backends"][0]["connect_failures"] > 0


def test_slow_backend_is_504(world):
    release = threading.Event()
    a = world.backend()
    a.on("/slow", lambda c, r: release.wait(10) and c.answer(b"late"))
    bench = world.bench(web(a, timeouts={"response": "200ms"}))
    client = world.client(bench)
    assert client.get("/slow").status == 504
    release.set()
    assert client.get("/").body == b"a"
    scores = until_idle(bench)
    assert scores["backends"][0]["timeouts"] == 1 and scores["rows"][0]["refusals"][5] == 1


def test_no_healthy_backend_waits_in_the_queue_then_503(world):
    a = world.backend()
    bench = world.bench(web(a, healthcheck={"tcp": {}}, timeouts={"queue": "300ms"}))
    client = world.client(bench)
    answer = client.get("/")
    assert (answer.status, answer.field("retry-after")) == (503, "1")
    assert bench.scores()["rows"][0]["refusals"][2] == 1
    client.request("/")
    bench.until(lambda s: s["rows"][0]["queued"] == 1)
    bench.ask("healthy 0")
    assert client.answer().body == b"a"
    assert bench.scores()["rows"][0]["queued"] == 0


def test_client_that_leaves_the_queue_is_forgotten(world):
    bench = world.bench(web(world.backend(), healthcheck={"tcp": {}}))
    client = world.client(bench)
    client.request("/")
    bench.until(lambda s: s["rows"][0]["queued"] == 1)
    client.close()
    bench.until(lambda s: s["rows"][0]["queued"] == 0 and s["rows"][0]["clients"] == 0)


@pytest.mark.parametrize("text", [
    b"SSH-2.0-OpenSSH_9\r\n", b"HTTP/1.1 99 Low\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"",
    b"HTTP/1.1 200 OK\r\nContent-Le",
    b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n" * 100,
])
def test_answer_that_is_none_is_502(world, text):
    def garbage(c, r):
        c.send(text)
        return False

    a = world.backend()
    a.on("/g", garbage)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/g")
    assert client.answer().status == 502
    assert client.get("/").body == b"a"
    scores = until_idle(bench)
    assert scores["rows"][0]["refusals"][4] == 1


@pytest.mark.parametrize("head", [
    b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly \r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nonly \r\nnot a size\r\n",
])
@pytest.mark.parametrize("version", ["1.1", "1.0"])
def test_broken_answer_is_not_taken_for_a_whole_one(world, head, version):
    def broken(c, r):
        c.send(head)
        return False

    a = world.backend()
    a.on("/b", broken)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/b", version=version)
    try:
        assert client.answer().status == 502  # nothing had been sent on yet
    except (EOFError, ValueError, ConnectionResetError):
        pass  # cut off, and to be seen as such
    until_idle(bench)


def test_dead_pooled_connection_is_retried_for_idempotent_requests(world):
    """The backend closes just as the next request goes out: nothing of an answer, so once more."""
    a = world.backend()
    seen = []

    def die_when_reused(c, r):
        c.body(r)
        if getattr(c, "used", False):
            seen.append(r.method)
            return False
        c.used = True
        c.answer(b"fresh")

    a.on("/d", die_when_reused)
    bench = world.bench(web(a))
    client = world.client(bench)
    assert client.get("/d").body == b"fresh"
    assert client.get("/d").body == b"fresh"
    assert seen == ["GET"]
    client.request("/d", method="POST", body=b"once")
    assert client.answer().status == 502
    assert seen == ["GET", "POST"]  # never sent twice
    scores = until_idle(bench)
    assert scores["backends"][0]["retries"] == 1 and scores["backends"][0]["resets"] == 2


def test_bytes_behind_an_answer_do_not_reach_the_next_request(world):
    a = world.backend()
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    a.on("/p", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + poison))
    client = world.client(world.bench(web(a)))
    assert client.get("/p").body == b"ok"
    assert client.get("/").body == b"a"
    assert a.connection_count == 2


def test_vanished_client_frees_the_backend(world):
    entered, gone = threading.Event(), threading.Event()

    def wait(c, r):
        entered.set()
        if c.sock.recv(1) == b"":
            gone.set()
        return False

    a = world.backend()
    a.on("/w", wait)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/w")
    assert entered.wait(20)
    client.close()
    assert gone.wait(20)
    scores = bench.until(lambda s: s["rows"][0]["clients"] == 0)
    assert scores["backends"][0]["status"] == [1, 0, 0, 0, 0, 0]
    assert scores["backends"][0]["active"] == [0, 0, 0, 0, 0]
    assert "status=499" in bench.log() and "why=client-closed" in bench.log()


def test_slow_head_is_408(world):
    bench = world.bench(web(world.backend(), timeouts={"header": "200ms"}))
    client = world.client(bench)
    client.send(b"GET / HT")
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (408, "close")
    assert client.is_closed()
    assert bench.scores()["rows"][0]["refusals"][6] == 1


def test_slow_body_is_408(world):
    bench = world.bench(web(world.backend(), timeouts={"body": "200ms"}))
    client = world.client(bench)
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
    assert client.answer().status == 408
    assert client.is_closed()
    until_idle(bench)


def test_idle_connection_is_closed_without_an_answer(world):
    bench = world.bench(web(world.backend(), timeouts={"idle": "200ms"}))
    client = world.client(bench)
    assert client.get("/").body == b"a"
    assert client.is_closed()


def test_idle_pooled_connection_that_the_backend_closes_is_dropped(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    assert client.get("/").body == b"a"
    a.drop_connections()
    bench.until(lambda s: s["backends"][0]["open"] == 0 and s["backends"][0]["idle"] == 0)
    assert client.get("/").body == b"a"
    assert bench.scores()["backends"][0]["retries"] == 0


def test_out_of_descriptors_rests_and_recovers(world):
    a = world.backend()
    bench = world.bench(web(a), descriptors=820)
    keeper = world.client(bench)
    assert keeper.get("/").body == b"a"
    keeper.send(b"GET / HTTP/1.1\r\n")  # none of them is idle: none can make room
    clients = []

    def crowd(scores):
        for _ in range(100):
            clients.append(world.client(bench))
            clients[-1].send(b"GET / HTTP/1.1\r\n")
        return scores["rows"][0]["refused"]["descriptors"] > 0

    bench.until(crowd, 10)
    assert "event=out-of-descriptors" in bench.log()
    keeper.send(b"Host: t\r\n\r\n")
    assert keeper.answer().body == b"a"
    for client in clients:
        client.close()
    assert world.client(bench).get("/").body == b"a"
