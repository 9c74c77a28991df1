"""Users keep to a version and a backend, on every worker alike; previews ask for the canary."""

import re
import socket

import pytest

from harness import Client, web
from test_tunnels import upgrade

ROWS = 2
COOKIE = re.compile(r"^user=([A-Za-z0-9_-]{32}); Path=/; HttpOnly; SameSite=Lax$")


class User:
    """A browser: one connection per worker, and the cookie that it was given."""

    def __init__(self, bench, cookie=None):
        self.bench, self.cookie, self.told = bench, cookie, 0

    def get(self, path="/", client=None, fields=()):
        own = client is None
        client = client or Client(self.bench.port)
        cookies = [("Cookie", f"a=1; user={self.cookie}; b=2")] if self.cookie else []
        answer = client.get(path, fields=[*cookies, *fields])
        if own:
            client.close()
        for name, value in answer.fields:
            if name == "set-cookie" and value.startswith("user="):
                self.cookie = COOKIE.match(value)[1]
                self.told += 1
        return answer.body


def on_each_row(world, bench):
    """A connection to each worker: told apart by what the workers count."""
    found = {}
    while len(found) < ROWS:
        before = [row["clients"] for row in bench.scores()["rows"]]
        client = world.client(bench)
        after = bench.until(lambda s: sum(r["clients"] for r in s["rows"]) > sum(before))
        row = next(i for i, r in enumerate(after["rows"]) if r["clients"] > before[i])
        found.setdefault(row, client)
    return found


def sticky_bench(world, weight=0, stable=1, canary=1, **service):
    stables = [world.backend(f"s{i}") for i in range(stable)]
    canaries = [world.backend(f"c{i}") for i in range(canary)]
    bench = world.bench(web(*stables, canary=canaries, **service), rows=ROWS)
    bench.ask("salt 0 4711")
    bench.ask(f"weight 0 {weight}")
    return bench, stables, canaries


def test_user_only_moves_to_canary_as_the_weight_rises(world):
    bench, _, _ = sticky_bench(world, sticky={"cookie": "user"})
    rows = on_each_row(world, bench)
    users = [User(bench) for _ in range(40)]
    for user in users:
        assert user.get() == b"s0" and user.told == 1
    assert len({user.cookie for user in users}) == len(users)
    canary = set()
    for weight in (100, 500, 2000, 5000, 9000, 10000):
        bench.ask(f"weight 0 {weight}")
        seen = [{user.get(client=client) for client in rows.values()} for user in users]
        assert all(len(places) == 1 for places in seen)  # every worker says the same
        now = {i for i, places in enumerate(seen) if places == {b"c0"}}
        assert canary <= now
        canary = now
    assert len(canary) == len(users)
    bench.ask("weight 0 0")
    assert {user.get(client=rows[0]) for user in users} == {b"s0"}
    assert all(user.told == 1 for user in users)


def test_split_is_counted_by_what_was_sent(world):
    bench, _, (canary,) = sticky_bench(world, weight=5000, sticky={"cookie": "user"})
    client = world.client(bench)
    user = User(bench)
    places = {user.get(client=client) for _ in range(10)}
    assert len(places) == 1
    rows = [row["split"] for row in bench.scores()["rows"]]
    assert sum(split[1] for split in rows) == 10
    assert sum(split[2] for split in rows) == canary.count() == (10 if places == {b"c0"} else 0)


def test_another_salt_takes_other_users(world):
    bench, _, _ = sticky_bench(world, weight=5000, sticky={"header": "X-User"})
    client = world.client(bench)
    users = [[("X-User", f"user-{i}")] for i in range(64)]
    first = [client.get("/", fields=user).body for user in users]
    assert [client.get("/", fields=user).body for user in users] == first
    assert 16 < first.count(b"c0") < 48
    bench.ask("salt 0 4712")
    second = [client.get("/", fields=user).body for user in users]
    assert 8 < sum(a != b for a, b in zip(first, second)) < 56


def test_without_the_header_the_split_is_by_exchange(world):
    bench, _, _ = sticky_bench(world, weight=5000, sticky={"header": "x-user"})
    client = world.client(bench)
    assert [client.get("/").body for _ in range(20)].count(b"c0") == 10
    assert [client.get("/", fields=[("X-User", "")]).body for _ in range(20)].count(b"c0") == 10


def test_user_keeps_to_a_backend_and_moves_only_when_it_goes(world):
    bench, backends, _ = sticky_bench(world, stable=4, canary=0, healthcheck={"tcp": {}},
                                      sticky={"cookie": "user"})
    for slot in range(4):
        bench.ask(f"healthy {slot}")
    rows = on_each_row(world, bench)
    users = [User(bench) for _ in range(48)]

    def places():
        seen = [{user.get(client=client) for client in rows.values()} for user in users]
        assert all(len(s) == 1 for s in seen)
        return [s.pop() for s in seen]

    first = places()
    assert all(first.count(b"s%d" % i) >= 3 for i in range(4))
    bench.ask("unhealthy 2")
    second = places()
    assert b"s2" not in second
    assert all(a == b for a, b in zip(first, second) if a != b"s2")
    assert len({b for a, b in zip(first, second) if a == b"s2"}) > 1
    bench.ask("healthy 2")
    assert places() == first
    epoch = bench.ask("drain 2")["epoch"]
    assert places() == second
    assert bench.ask(f"await-drained 2 {epoch}")["drained"]


def test_dead_backend_is_stepped_round(world):
    bench, backends, _ = sticky_bench(world, stable=3, canary=0, sticky={"cookie": "user"})
    users = [User(bench) for _ in range(24)]
    first = [user.get() for user in users]
    backends[0].close()
    second = [user.get() for user in users]
    assert b"s0" in first and b"s0" not in second
    assert all(a == b for a, b in zip(first, second) if a != b"s0")


def test_group_that_cannot_serve_is_left_for_the_time(world):
    bench, _, _ = sticky_bench(world, weight=10000, healthcheck={"tcp": {}},
                               sticky={"cookie": "user"})
    bench.ask("healthy 0"), bench.ask("healthy 1")
    user = User(bench)
    assert user.get() == b"c0"
    bench.ask("unhealthy 1")
    assert user.get() == b"s0"
    bench.ask("healthy 1")
    assert user.get() == b"c0" and user.told == 1


@pytest.mark.parametrize("cookie", [
    "user=", "user", "user=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "user=" + "A" * 4096,
    "user=127.0.0.1:9000", 'user="', "user==", "; ;user=\x80\xff;", "USER=x", "xuser=y; user=z"])
def test_garbage_is_replaced(world, cookie):
    bench, (a,), _ = sticky_bench(world, sticky={"cookie": "user"})
    client = world.client(bench)
    client.send(f"GET / HTTP/1.1\r\nHost: t\r\nCookie: {cookie}\r\n\r\n".encode("latin-1"))
    answer = client.answer()
    assert answer.status == 200 and COOKIE.match(answer.field("set-cookie"))
    assert "user=" not in (a.requests[0].field("cookie") or "").replace("xuser=", "")


def test_forged_cookie_is_replaced_and_the_good_one_beside_it_counts(world):
    bench, _, _ = sticky_bench(world, sticky={"cookie": "user"})
    user = User(bench)
    user.get()
    forged = ("B" if user.cookie[0] == "A" else "A") + user.cookie[1:]
    liar = User(bench, forged)
    liar.get()
    assert liar.told == 1 and liar.cookie not in (forged, user.cookie)
    client = world.client(bench)
    answer = client.get("/", fields=[("Cookie", f"user={forged}; user={user.cookie}")])
    assert answer.field("set-cookie") is None


def test_only_so_many_signatures_are_looked_at(world):
    bench, _, _ = sticky_bench(world, sticky={"cookie": "user"})
    user = User(bench)
    user.get()
    garbage = "user=" + "A" * 32 + "; "
    client = world.client(bench)
    for count, told in ((3, False), (4, True), (300, True)):
        answer = client.get("/", fields=[("Cookie", garbage * count + f"user={user.cookie}")])
        assert (answer.field("set-cookie") is not None) == told


def test_cookie_is_not_sent_on_and_says_nothing_of_backends(world):
    bench, (a,), _ = sticky_bench(world, sticky={"cookie": "user"})
    user = User(bench)
    user.get(), user.get()
    assert a.requests[0].field("cookie") is None
    assert a.requests[1].field("cookie") == "a=1; b=2"
    assert str(a.port) not in user.cookie


def test_cookie_of_the_backend_by_that_name_is_left_alone(world):
    bench, (a,), _ = sticky_bench(world, sticky={"cookie": "user"})
    a.on("/own", lambda c, r: c.answer(b"x", fields=[("Set-Cookie", "user=mine; Path=/")]))
    a.on("/other", lambda c, r: c.answer(b"x", fields=[("Set-Cookie", "username=mine")]))
    client = world.client(bench)

    def cookies(path):
        return [v for n, v in client.get(path).fields if n == "set-cookie"]

    assert cookies("/own") == ["user=mine; Path=/"]
    other = cookies("/other")
    assert len(other) == 2 and other[0] == "username=mine" and COOKIE.match(other[1])


def test_own_errors_and_interim_answers_set_no_cookie(world):
    bench, (a,), _ = sticky_bench(world, sticky={"cookie": "user"}, timeouts={"connect": "500ms"})
    a.on("/early", lambda c, r: (c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
                                 c.answer(b"x"))[1])
    client = world.client(bench)
    client.request("/early")
    assert client.answer(interim=True).field("set-cookie") is None
    assert client.answer().field("set-cookie") is not None
    a.close()
    bench.ask("drain 1")
    answer = world.client(bench).get("/")
    assert answer.status == 502 and answer.field("set-cookie") is None


def test_websocket_of_a_new_user_gets_the_cookie_too(world):
    bench, (a,), _ = sticky_bench(world, sticky={"cookie": "user"})
    a.on("/ws", upgrade)
    client = world.client(bench)
    client.send(b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    answer = client.answer()
    assert answer.status == 101 and COOKIE.match(answer.field("set-cookie"))
    assert client.reader.exactly(5) == b"hello"


def test_cookie_is_secure_where_a_trusted_proxy_says_tls(world):
    a = world.backend()
    config = web(a, sticky={"cookie": "user"})
    stranger = world.client(world.bench(config))
    https, twice = [("X-Forwarded-Proto", "https")], [("X-Forwarded-Proto", "https")] * 2
    assert "Secure" not in stranger.get(fields=https).field("set-cookie")
    trusted = world.client(world.bench({**config, "trusted_proxies": ["127.0.0.1"]}))
    assert trusted.get(fields=https).field("set-cookie").endswith("; SameSite=Lax; Secure")
    for fields in (twice, [("X-Forwarded-Proto", "http")], []):
        assert "Secure" not in trusted.get(fields=fields).field("set-cookie")


def from_address(port, address):
    sock = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(address, 0))
    return sock


def test_client_address_is_the_user_for_http_and_tcp(world):
    a, b = world.backend("a"), world.backend("b")
    config = web(a, canary=[b], sticky={"client_address": True}, listeners={
        "web": {"address": "127.0.0.1:0"},
        "raw": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "raw"}})
    config["services"]["raw"] = {"backends": [a.address], "canary": [b.address],
                                 "sticky": {"client_address": True}}
    bench = world.bench(config, rows=ROWS)
    for row in (0, 1):
        bench.ask(f"salt {row} 4711"), bench.ask(f"weight {row} 5000")

    def ask(listener, address):
        with from_address(bench.ports[listener], address) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            if listener == "raw":
                sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(65536), b""))[-1:]

    addresses = [f"127.0.0.{i}" for i in range(10, 42)]
    web_places = [{ask("web", address) for _ in range(4)} for address in addresses]
    raw_places = [{ask("raw", address) for _ in range(4)} for address in addresses]
    assert all(len(place) == 1 for place in web_places)
    assert web_places == raw_places
    assert 6 < web_places.count({b"b"}) < 26


def test_behind_a_trusted_proxy_the_user_is_whom_it_names(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench({**web(a, canary=[b], sticky={"client_address": True}), "trusted_proxies": ["127.0.0.1"]})
    bench.ask("salt 0 4711"), bench.ask("weight 0 5000")
    client = world.client(bench)

    def ask(address):
        return client.get("/", fields=[("X-Forwarded-For", address)]).body

    places = {f"192.0.2.{i}": ask(f"192.0.2.{i}") for i in range(40)}
    assert {ask(address) == place for address, place in places.items()} == {True}
    assert 8 < list(places.values()).count(b"b") < 32
    for network in ("2001:db8:0:1", "2001:db8:0:2", "2001:db8:0:3"):  # hosts give themselves addresses
        assert len({ask(f"{network}::{i}") for i in range(1, 20)}) == 1


def preview_header(value):
    return [("X-Canary", value)]


def preview_cookie(value):
    return [("Cookie", f"a=b; next={value}")]


@pytest.mark.parametrize("kind,name,fields", [
    ("header", "x-canary", preview_header), ("cookie", "next", preview_cookie)])
def test_preview_goes_to_the_canary_and_is_not_counted(world, kind, name, fields):
    bench, _, _ = sticky_bench(world, healthcheck={"tcp": {}},
                               preview={kind: {"name": name, "value": "1", "never": "0"}})
    bench.ask("healthy 0"), bench.ask("healthy 1")
    client = world.client(bench)
    assert client.get("/", fields=fields("1")).body == b"c0"
    assert client.get("/").body == b"s0"
    assert client.get("/", fields=fields("2")).body == b"s0"
    bench.ask("weight 0 10000")
    assert client.get("/", fields=fields("0")).body == b"s0"
    assert client.get("/").body == b"c0"
    splits = [row["split"] for row in bench.scores()["rows"]]
    assert sum(split[1] for split in splits) == 1
    bench.ask("unhealthy 1")
    assert client.get("/", fields=fields("1")).body == b"s0"  # the canary cannot serve


def test_preview_wins_over_the_users_place(world):
    bench, _, _ = sticky_bench(world, sticky={"cookie": "user"},
                               preview={"header": {"name": "X-Canary", "value": "1"}})
    user = User(bench)
    assert [user.get(), user.get(fields=preview_header("1")), user.get()] == [b"s0", b"c0", b"s0"]


def test_services_of_one_host_share_their_users(world):
    a, b = world.backend("a"), world.backend("b")
    config = web(a, sticky={"cookie": "user"})
    config["services"]["api"] = {"backends": [b.address], "routes": [{"path": "/api"}],
                                 "sticky": {"cookie": "user"}}
    bench = world.bench(config, rows=ROWS)
    user = User(bench)
    assert [user.get("/"), user.get("/api"), user.get("/")] == [b"a", b"b", b"a"]
    assert user.told == 1
