"""Which backend: passive health, slow start, retries and their budget."""

import socket
import threading

from harness import unused_address, web

BROKEN = "500 Internal Server Error"


def names(client, count):
    return [client.get("/").body.decode() for _ in range(count)]


def break_down(backend):
    backend.on("/", lambda c, r: c.answer(b"broken", BROKEN))


def repair(backend):
    backend.handlers.pop("/")


# --- ejection -----------------------------------------------------------------------------------


def test_a_backend_that_fails_is_ejected_and_comes_back(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", ejection={"failures": 3, "time": "1s"}))
    client = world.client(bench)
    break_down(a)
    statuses = [client.get("/").status for _ in range(40)]
    assert statuses.count(500) == 3
    scores = bench.scores()["backends"]
    assert [s["ejected"] for s in scores] == [1, 0] and scores[0]["ejections"] == 1
    assert "event=backend-ejected" in bench.log()
    repair(a)
    bench.until(lambda s: s["backends"][0]["ejected"] == 0)
    assert "event=backend-returned" in bench.log()
    assert sorted(names(client, 10)) == ["a"] * 5 + ["b"] * 5


def test_a_good_answer_between_failures_saves_it(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", ejection={"failures": 3, "time": "30s"}))
    client = world.client(bench)
    for path, status in (("/bad", BROKEN), ("/404", "404 Not Found")):
        for backend in (a, b):
            backend.on(path, lambda c, r, status=status: c.answer(b"", status))
    for _ in range(10):
        for path in ("/bad", "/bad", "/404"):  # one after the other on either backend
            assert [client.get(path).status for _ in "ab"] == [500 if path == "/bad" else 404] * 2
    assert [s["ejections"] for s in bench.scores()["backends"]] == [0, 0]


def test_without_the_setting_nobody_is_ejected(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin"))
    client = world.client(bench)
    break_down(a)
    assert [client.get("/").status for _ in range(40)].count(500) == 20
    assert [s["ejections"] for s in bench.scores()["backends"]] == [0, 0]


def test_a_whole_group_that_fails_is_not_ejected_past_the_limit(world):
    backends = [world.backend(n) for n in "abcd"]
    for backend in backends:
        break_down(backend)
    bench = world.bench(web(*backends, balance="round_robin",
                            ejection={"failures": 1, "time": "30s", "max_ejection_percent": 50}))
    client = world.client(bench)
    for _ in range(60):
        assert client.get("/").status == 500  # none is refused by the proxy
    scores = bench.scores()["backends"]
    assert sum(s["ejected"] for s in scores) == 2 == sum(s["ejections"] for s in scores)
    left = [s["exchanges"] for s in scores if not s["ejected"]]
    assert sum(left) == 58 and abs(left[0] - left[1]) <= 1


def test_a_single_backend_is_never_ejected(world):
    a = world.backend("a")
    break_down(a)
    bench = world.bench(web(a, ejection={"failures": 1, "time": "30s"}))
    client = world.client(bench)
    assert [client.get("/").status for _ in range(10)] == [500] * 10
    assert bench.scores()["backends"][0]["ejections"] == 0


def test_below_half_in_rotation_ejections_are_looked_past(world):
    backends = [world.backend(n) for n in "abcd"]
    bench = world.bench(web(*backends, balance="round_robin", healthcheck={"tcp": {}},
                            ejection={"failures": 1, "time": "30s", "max_ejection_percent": 50}))
    for slot in range(4):
        bench.ask(f"healthy {slot}")
    client = world.client(bench)
    break_down(backends[0])
    [client.get("/") for _ in range(8)]
    assert [s["ejected"] for s in bench.scores()["backends"]] == [1, 0, 0, 0]
    repair(backends[0])
    bench.ask("unhealthy 2")
    bench.until(lambda s: not {"a", "c"} & set(names(client, 4)))  # half: b and d
    bench.ask("unhealthy 3")
    bench.until(lambda s: set(names(client, 4)) == {"a", "b"})  # a is ejected, but healthy


def test_unhealthy_stays_unhealthy_whatever_is_ejected(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, healthcheck={"tcp": {}}, timeouts={"queue": "100ms"},
                            ejection={"failures": 1, "time": "30s", "max_ejection_percent": 100}))
    bench.ask("healthy 0")
    bench.ask("healthy 1")
    client = world.client(bench)
    break_down(a)
    break_down(b)
    [client.get("/") for _ in range(6)]
    bench.ask("unhealthy 0")
    bench.ask("unhealthy 1")
    assert client.get("/").status == 503


def test_connect_failures_and_resets_eject_too(world):
    b = world.backend("b")
    config = web(b, balance="round_robin", ejection={"failures": 2, "time": "30s"})
    config["services"]["web"]["backends"].insert(0, unused_address())
    bench = world.bench(config)
    client = world.client(bench)
    assert names(client, 20) == ["b"] * 20
    scores = bench.scores()["backends"]
    assert scores[0]["connect_failures"] == 2 and scores[0]["ejected"] == 1


def test_a_tcp_backend_that_refuses_is_ejected(world):
    b = world.backend("b")
    config = web(b, balance="round_robin", ejection={"failures": 2, "time": "30s"},
                 listeners={"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "web"}})
    config["services"]["web"]["backends"].insert(0, unused_address())
    bench = world.bench(config)
    for _ in range(8):
        assert world.client(bench).get("/").body == b"b"
    scores = bench.scores()["backends"]
    assert scores[0]["connect_failures"] == 2 and scores[0]["ejected"] == 1


def test_a_backend_that_leaves_takes_its_ejection_along(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", ejection={"failures": 1, "time": "30s"}))
    client = world.client(bench)
    break_down(a)
    [client.get("/") for _ in range(4)]
    assert bench.scores()["backends"][0]["ejected"] == 1
    bench.ask("drain 0")
    assert bench.scores()["backends"][0]["ejected"] == 0
    repair(a)
    bench.ask("ready 0")
    assert "a" in names(client, 4)


# --- slow start ---------------------------------------------------------------------------------


def test_a_new_backend_starts_slowly(world):
    a, b = world.backend("a"), world.backend("b")
    for balance in ("round_robin", "least_requests", "random"):
        bench = world.bench(web(a, b, balance=balance, slow_start="1m"))
        client = world.client(bench)
        assert 25 <= names(client, 100).count("b") <= 75
        bench.ask("drain 1")
        assert set(names(client, 20)) == {"a"}
        bench.ask("ready 1")
        later = names(client, 400)
        # a tenth of what the other gets: 36; where it is drawn six standard deviations
        assert 12 <= later.count("b") <= 72, balance


def test_nobody_starts_slowly_where_all_are_new(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", slow_start="1m"))
    client = world.client(bench)
    for verb in ("drain 0", "drain 1", "ready 0", "ready 1"):
        bench.ask(verb)
    assert names(client, 40).count("b") == 20


def test_a_slow_start_ends(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", slow_start="1s"))
    client = world.client(bench)
    bench.ask("drain 1")
    bench.ask("ready 1")
    assert names(client, 20).count("b") <= 4
    bench.until(lambda s: names(client, 20).count("b") == 10)


def test_a_backend_that_was_found_healthy_again_starts_slowly(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin", slow_start="1m", healthcheck={"tcp": {}}))
    bench.ask("healthy 0 1")  # since the clock began
    client = world.client(bench)
    assert names(client, 4) == ["a"] * 4
    bench.ask("healthy 1")
    counts = names(client, 100).count("b")
    assert 5 <= counts <= 15


# --- retries ------------------------------------------------------------------------------------


def all_refuse(world, **service):
    config = web(world.backend(), **service)
    config["services"]["web"]["backends"] = [unused_address() for _ in range(4)]
    return world.bench(config)


def test_retries_end_with_the_budget(world):
    bench = all_refuse(world, retries={"attempts": 2, "budget": 20})
    client = world.client(bench)
    assert {client.get("/").status for _ in range(1000)} == {502}
    scores = bench.scores()
    connects = sum(b["connect_failures"] for b in scores["backends"])
    retries = sum(b["retries"] for b in scores["backends"])
    refused = scores["rows"][0]["refused"]
    assert connects == 1000 + retries
    # a fifth of them, 80 free ones, and 10 more each second that it took
    assert 280 <= retries <= 400
    assert refused["retry-budget"] + refused["connect-failed"] == 1000 and refused["retry-budget"] > 500
    assert "why=retry-budget" in bench.log()


def test_little_traffic_has_all_its_attempts(world):
    bench = all_refuse(world, retries={"attempts": 3, "budget": 0})
    client = world.client(bench)
    for _ in range(10):
        assert client.get("/").status == 502
    scores = bench.scores()
    assert sum(b["connect_failures"] for b in scores["backends"]) == 40
    assert scores["rows"][0]["refused"]["connect-failed"] == 10


def test_no_attempts_is_no_retry(world):
    bench = all_refuse(world, retries={"attempts": 0})
    assert world.client(bench).get("/").status == 502
    scores = bench.scores()
    assert sum(b["connect_failures"] for b in scores["backends"]) == 1
    assert sum(b["retries"] for b in scores["backends"]) == 0


def test_no_attempts_is_no_second_try_of_a_pooled_connection(world):
    for attempts, status in ((0, 502), (1, 200)):
        a = world.backend()
        served = threading.Event()

        def once_then_dead(connection, request):
            connection.answer(b"one")
            connection.reader.head()  # the second request is read, and the connection closed
            connection.sock.shutdown(socket.SHUT_RDWR)
            served.set()
            return False

        a.on("/one", once_then_dead)
        bench = world.bench(web(a, retries={"attempts": attempts}))
        client = world.client(bench)
        assert client.get("/one").status == 200
        assert client.get("/").status == status
        assert served.wait(20)
