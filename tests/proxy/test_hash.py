"""`balance: hash`: one key, one backend, and none overrun."""

import threading

from harness import web


def mapping(client, count=60, **options):
    """Who serves each of so many keys, said by the header X-Key."""
    return [client.get("/", fields=[("X-Key", f"key {i}")], **options).body for i in range(count)]


def of_header(world, count=5, rows=1, **service):
    backends = [world.backend(n) for n in "abcdefgh"[:count]]
    return backends, web(*backends, balance="hash", hash={"header": "x-key"}, **service)


def test_a_key_keeps_to_its_backend_on_every_worker(world):
    backends, config = of_header(world)
    # Out of the way: one worker may be asked before another has counted off what it just answered.
    config["services"]["web"]["hash"]["bound"] = 10000
    bench = world.bench(config, rows=2)
    clients = [world.client(bench) for _ in range(12)]
    bench.until(lambda s: all(r["clients"] > 0 for r in s["rows"]))
    first = mapping(clients[0])
    assert len(set(first)) == 5
    assert all(mapping(c) == first for c in clients[1:])
    assert mapping(world.client(world.bench(config))) == first  # and after a restart


def test_a_backend_that_goes_moves_its_keys_only_and_gets_them_back(world):
    backends, config = of_header(world, healthcheck={"tcp": {}})
    bench = world.bench(config)
    for slot in range(5):
        bench.ask(f"healthy {slot}")
    client = world.client(bench)
    before = mapping(client)
    for away, back in (("unhealthy 2", "healthy 2"), ("drain 2", "ready 2")):
        bench.ask(away)
        without = mapping(client)
        assert b"c" not in without
        assert all(now == then for now, then in zip(without, before) if then != b"c")
        bench.ask(back)
        assert mapping(client) == before


def test_one_key_does_not_overrun_its_backend(world):
    backends, config = of_header(world, 4)
    gate, lock, active = threading.Event(), threading.Lock(), {}

    def hold(connection, request):
        with lock:
            name = connection.backend.name
            active[name] = active.get(name, 0) + 1
        gate.wait(15)
        connection.answer_name(request)

    for backend in backends:
        backend.on("/", hold)
    bench = world.bench(config)
    clients = [world.client(bench) for _ in range(40)]
    for i, client in enumerate(clients):
        client.request("/", fields=[("X-Key", "hot")])
        scores = bench.until(lambda s: sum(sum(b["active"]) for b in s["backends"]) == i + 1)
        most = max(sum(b["active"]) for b in scores["backends"])
        assert most <= -(-(i + 1) * 125 // 400)  # 1.25 of the mean, rounded up
    gate.set()
    assert all(c.answer().status == 200 for c in clients)
    assert max(active.values()) == 13 and len(active) == 4


def test_without_a_key_the_less_busy_is_taken(world):
    backends, config = of_header(world, 3)
    client = world.client(world.bench(config))
    assert len({client.get("/").body for _ in range(60)}) == 3
    assert len({client.get("/", fields=[("X-Key", "")]).body for _ in range(60)}) == 3


def test_by_cookie(world):
    backends = [world.backend(n) for n in "abcde"]
    client = world.client(world.bench(web(*backends, balance="hash", hash={"cookie": "cart"})))
    for cart in ("1", "2", "3"):
        served = {client.get("/", fields=[("Cookie", f"seen={i}; cart={cart}")]).body for i in range(12)}
        assert len(served) == 1
    others = [client.get("/", fields=[("Cookie", f"cart={i}")]).body for i in range(600)]
    assert len(set(others)) == 5


def test_by_path_without_the_query(world):
    backends = [world.backend(n) for n in "abcde"]
    client = world.client(world.bench(web(*backends, balance="hash", hash={"path": True})))
    assert len({client.get(f"/a/b?page={i}").body for i in range(12)}) == 1
    assert len({client.get(f"/a/{i}").body for i in range(600)}) == 5


def test_by_client_address_for_http_and_tcp(world):
    backends = [world.backend(n) for n in "abcde"]
    # TCP connections stay: a bound as low as usual would spread them
    settings = {"balance": "hash", "hash": {"client_address": True, "bound": 10000}}
    http = world.bench(web(*backends, **settings))
    tcp = world.bench(web(*backends, **settings, listeners={
        "db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "web"}}))
    served = {world.client(bench).get("/").body for bench in (http, tcp) for _ in range(8)}
    assert len(served) == 1


def test_a_key_whose_backend_cannot_be_reached_goes_to_its_next(world):
    from harness import unused_address
    backends, config = of_header(world, 3)
    config["services"]["web"]["backends"].append(unused_address())
    client = world.client(world.bench(config))
    first = mapping(client, 30)
    assert set(first) == {b"a", b"b", b"c"} and mapping(client, 30) == first


def test_a_full_backend_gives_its_keys_to_the_next(world):
    backends, config = of_header(world, 3, max_connections=1)
    gate = threading.Event()
    for backend in backends:
        backend.on("/slow", lambda c, r: gate.wait(15) and c.answer_name(r))
    bench = world.bench(config)
    clients = [world.client(bench) for _ in range(3)]
    for i, client in enumerate(clients):
        client.request("/slow", fields=[("X-Key", "hot")])
        bench.until(lambda s: sum(sum(b["active"]) for b in s["backends"]) == i + 1)
    assert sorted(sum(b["active"]) for b in bench.scores()["backends"]) == [1, 1, 1]
    gate.set()
    assert sorted(c.answer().body for c in clients) == [b"a", b"b", b"c"]
