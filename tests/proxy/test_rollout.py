"""What rollouts rest on: exact splits, drains with proof, ends, and the worker's own end."""

import threading

import pytest

from harness import Client, web
from test_tunnels import open_websocket, upgrade

READY_US = 100_000  # a drain is noticed within 100 ms


@pytest.mark.parametrize("weight", [0, 1, 500, 2500, 3333, 5000, 9999, 10000])
def test_split_is_exact_at_the_backends(world, weight):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, canary=[b]))
    client = world.client(bench)
    client.get("/")
    bench.ask(f"weight 0 {weight}")
    a.requests.clear(), b.requests.clear()
    for n in range(1, 401):
        client.get("/")
        assert abs(b.count() - n * weight / 10000) <= 1, n
    assert a.count() + b.count() == 400
    counted = 401 if weight == 0 else 400  # as it was at weight 0 already
    assert bench.scores()["rows"][0]["split"] == [weight, counted, b.count()]


def test_group_without_healthy_backend_gets_no_traffic(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, canary=[b], healthcheck={"tcp": {}}))
    bench.ask("healthy 0")
    bench.ask("weight 0 5000")
    client = world.client(bench)
    assert {client.get("/").body for _ in range(20)} == {b"a"}
    assert bench.scores()["rows"][0]["split"] == [5000, 0, 0]
    bench.ask("healthy 1")
    assert [client.get("/").body for _ in range(20)].count(b"b") == 10
    bench.ask("unhealthy 1")
    assert {client.get("/").body for _ in range(20)} == {b"a"}
    assert bench.scores()["rows"][0]["split"] == [5000, 20, 10]


def test_draining_backend_finishes_its_request_and_proves_it_at_once(world):
    entered, release = threading.Event(), threading.Event()

    def slow(c, r):
        entered.set()
        release.wait(10)
        c.answer(b"finished")

    a, b = world.backend("a"), world.backend("b")
    a.on("/slow", slow), b.on("/slow", slow)
    bench = world.bench(web(a, b))
    warm = [world.client(bench) for _ in range(8)]
    for client in warm:
        client.get("/")
    client = world.client(bench)
    client.request("/slow?secret=1")
    assert entered.wait(20)
    busy = next(i for i, s in enumerate(bench.scores()["backends"]) if s["active"][0] == 1)
    other = b"b" if busy == 0 else b"a"
    epoch = bench.ask(f"drain {busy}")["epoch"]
    scores = bench.scores()["backends"][busy]
    assert scores["idle"] == 0 and scores["open"] == 1 and scores["active"] == [1, 0, 0, 0, 0]
    assert bench.ask(f"proof {busy} {epoch}")["drained"] is False
    holds = bench.ask("holds")
    assert [(h["slot"], h["kind"], h["request"]) for h in holds] == [
        (busy, "request", "GET /slow?secret=1")]
    assert {c.get("/").body for c in warm} == {other}
    release.set()
    assert client.answer().body == b"finished"
    drained = bench.ask(f"await-drained {busy} {epoch}")
    assert drained["drained"] and drained["noticed_us"] < READY_US
    assert client.get("/").body == other  # the same client connection goes on elsewhere
    assert bench.ask("holds") == []


def test_drain_waits_for_a_websocket_which_can_be_ended(world):
    a, b = world.backend("a"), world.backend("b")
    a.on("/ws", upgrade), b.on("/ws", upgrade)
    bench = world.bench(web(a, b))
    client = open_websocket(world, bench)
    busy = next(i for i, s in enumerate(bench.scores()["backends"]) if s["active"][3] == 1)
    epoch = bench.ask(f"drain {busy}")["epoch"]
    client.send(b"still here")
    assert client.reader.exactly(10) == b"still here"
    holds = bench.ask("holds")
    assert [h["kind"] for h in holds] == ["websocket"]
    bench.ask(f"end {holds[0]['id']}")
    assert client.is_closed()
    assert bench.ask(f"await-drained {busy} {epoch}")["drained"]
    assert "why=ended" in bench.log()


def test_request_is_ended_by_kind(world):
    entered = threading.Event()
    a = world.backend()
    a.on("/stuck", lambda c, r: (entered.set(), c.sock.recv(1), False)[2])
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/stuck")
    assert entered.wait(20)
    bench.ask("end-kinds 0 1")
    answer = client.answer()
    assert (answer.status, answer.field("retry-after")) == (503, "1")


def test_returning_backend_is_used_again(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin"))
    client = world.client(bench)
    bench.ask("drain 0")
    assert {client.get("/").body for _ in range(10)} == {b"b"}
    bench.ask("ready 0")
    assert {client.get("/").body for _ in range(10)} == {b"a", b"b"}


def test_round_robin_is_even(world):
    backends = [world.backend(name) for name in "abc"]
    bench = world.bench(web(*backends, balance="round_robin"))
    client = world.client(bench)
    for _ in range(30):
        client.get("/")
    assert [b.count() for b in backends] == [10, 10, 10]


def test_least_requests_avoids_the_busy_one_over_all_workers(world):
    release = threading.Event()
    backends = [world.backend(name) for name in "ab"]
    for backend in backends:
        backend.on("/hold", lambda c, r: release.wait(10) and c.answer(b"held"))
    bench = world.bench(web(*backends), rows=2)
    holder = world.client(bench)
    holder.request("/hold")
    scores = bench.until(lambda s: sum(b["active"][0] for b in s["backends"]) == 1)
    bench.ask("ready 0")  # with a table each worker looks who else is there
    free = next(i for i, s in enumerate(scores["backends"]) if s["active"][0] == 0)
    for _ in range(20):  # connections land on both workers
        bench.until(lambda s: sum(b["active"][0] for b in s["backends"]) == 1)
        assert world.client(bench).get("/").body == backends[free].name.encode()
    release.set()
    assert holder.answer().body == b"held"


def test_epoch_reaches_workers_in_a_moment(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, canary=[b]), rows=2)
    times = sorted(bench.ask(f"weight 0 {w}")["us"] for w in range(100, 5000, 100))
    assert times[len(times) // 2] < 5000


def test_terminated_worker_finishes_what_is_in_flight(world):
    entered, release = threading.Event(), threading.Event()

    def slow(c, r):
        entered.set()
        release.wait(10)
        c.answer(b"finished")

    a = world.backend()
    a.on("/slow", slow)
    bench = world.bench(web(a))
    busy, idle, unused = (world.client(bench) for _ in range(3))
    assert idle.get("/").body == b"a"
    busy.request("/slow")
    assert entered.wait(20)
    bench.until(lambda s: s["rows"][0]["clients"] == 3)
    bench.ask("terminate")
    assert idle.is_closed()
    release.set()
    answer = busy.answer()
    assert (answer.body, answer.field("connection")) == (b"finished", "close")
    answer = unused.get("/")  # accepted before the end: its first request is answered
    assert (answer.body, answer.field("connection")) == (b"a", "close")
    assert bench.ask("wait") == [0]


def test_terminated_worker_ends_tunnels_at_their_budget(world):
    a = world.backend()
    a.on("/ws", upgrade)
    bench = world.bench(web(a, rollout={"drain": {"websockets": "300ms"}}))
    client = open_websocket(world, bench)
    bench.ask("terminate")
    client.send(b"go on")
    assert client.reader.exactly(5) == b"go on"
    assert client.is_closed()
    assert bench.ask("wait") == [0]
    assert "why=worker-stopped" in bench.log()


def test_nothing_is_lost_while_backends_come_and_go_and_weights_change(world):
    backends = [world.backend(name) for name in "abcd"]
    bench = world.bench(web(*backends[:2], canary=backends[2:]), rows=2)
    done = threading.Event()
    failures, counts = [], []

    def run(fields, per_connection):
        count = 0
        try:
            while not done.is_set():
                client = Client(bench.port)
                for _ in range(per_connection):
                    body = b"x" * (count % 3000)
                    client.request("/", method="POST", fields=fields, body=body)
                    answer = client.answer()
                    if answer.status != 200:
                        failures.append(answer.status)
                    count += 1
                    if done.is_set():
                        break
                client.close()
        except Exception as error:  # any is a failure of the proxy
            failures.append(repr(error))
        counts.append(count)

    threads = [threading.Thread(target=run, args=((), n)) for n in (1, 10, 10**9, 10**9)]
    for thread in threads:
        thread.start()
    for turn in range(60):
        slot = turn % 4
        epoch = bench.ask(f"drain {slot}")["epoch"]
        drained = bench.ask(f"await-drained {slot} {epoch}")
        assert drained["drained"] and drained["noticed_us"] < READY_US
        before = backends[slot].count()
        bench.ask(f"weight 0 {turn * 150}")
        assert backends[slot].count() == before  # drained is a proof: nothing comes after it
        bench.ask(f"ready {slot}")
    done.set()
    for thread in threads:
        thread.join(20)
    assert failures == [] and sum(counts) > 100
    scores = bench.until(lambda s: all(b["active"] == [0, 0, 0, 0, 0] for b in s["backends"]))
    assert sum(b["exchanges"] for b in scores["backends"]) == sum(b.count() for b in backends)
    assert all(b["open"] == b["idle"] and b["connecting"] == 0 for b in scores["backends"])


def test_terminated_worker_answers_the_request_that_is_on_its_way(world):
    bench = world.bench(web(world.backend()))
    client = world.client(bench)
    assert client.get("/").body == b"a"
    bench.ask("terminate")
    answer = client.get("/")
    assert (answer.body, answer.field("connection")) == (b"a", "close")
    assert bench.ask("wait") == [0]
