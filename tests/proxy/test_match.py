"""Requests that are the canary's whatever its weight: by a rollout's match, and by a listener of its own."""

import pytest

from harness import unused_address, web

HEADER, COOKIE = 1, 2
MATCHING = {HEADER: ("X-Match", "yes"), COOKIE: ("Cookie", "a=1; match=yes; b=2")}


def two_versions(world, weight=0, **service):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, canary=[b], **service))
    bench.ask(f"weight 0 {weight}")
    return bench, a, b


@pytest.mark.parametrize("kind", [HEADER, COOKIE])
def test_only_what_matches_goes_to_canary_at_weight_0(world, kind):
    bench, a, b = two_versions(world)
    bench.ask(f"match 0 {kind}")
    client = world.client(bench)
    for fields in ([], [("X-Match", "yes!")], [("X-Match", "Yes")], [("X-Matc", "yes")], [("Cookie", "match=yess")],
                   [("Cookie", "xmatch=yes")], [MATCHING[3 - kind]]):
        assert client.get(fields=fields).body == b"a"
    for _ in range(3):
        assert client.get(fields=[MATCHING[kind]]).body == b"b"
    assert client.get(fields=[("X-Match", "no"), ("x-match", "no"), MATCHING[kind]]).body == b"b"
    bench.ask("match 0 0")
    assert client.get(fields=[MATCHING[kind]]).body == b"a"
    # what matched is outside the split
    assert bench.scores()["rows"][0]["split"][2] == 0


def test_a_match_adds_to_the_split(world):
    bench, _, _ = two_versions(world, weight=5000)
    bench.ask(f"match 0 {HEADER}")
    client = world.client(bench)
    seen = []
    for _ in range(20):
        seen.append(client.get().body)
        assert client.get(fields=[MATCHING[HEADER]]).body == b"b"
    assert seen.count(b"b") == 10
    assert bench.scores()["rows"][0]["split"] == [5000, 20, 10]


def test_what_matches_is_served_by_stable_while_the_canary_is_down(world):
    bench, _, _ = two_versions(world)
    bench.ask(f"match 0 {HEADER}")
    bench.ask("drain 1")
    client = world.client(bench)
    assert client.get(fields=[MATCHING[HEADER]]).body == b"a"
    bench.ask("ready 1")
    assert client.get(fields=[MATCHING[HEADER]]).body == b"b"


def test_never_of_the_preview_comes_before_a_match(world):
    preview = {"header": {"name": "X-Canary", "value": "always", "never": "never"}}
    bench, _, _ = two_versions(world, preview=preview)
    bench.ask(f"match 0 {HEADER}")
    client = world.client(bench)
    assert client.get(fields=[MATCHING[HEADER]]).body == b"b"
    assert client.get(fields=[MATCHING[HEADER], ("X-Canary", "never")]).body == b"a"
    assert client.get(fields=[("X-Canary", "always")]).body == b"b"


def test_a_user_who_matched_is_where_his_share_puts_him_when_it_ends(world):
    bench, _, _ = two_versions(world, sticky={"cookie": "user"})
    bench.ask(f"match 0 {HEADER}")
    client = world.client(bench)
    answer = client.get(fields=[MATCHING[HEADER]])
    assert answer.body == b"b"
    cookie = ("Cookie", answer.field("set-cookie").split(";")[0])
    assert client.get(fields=[cookie]).body == b"a"
    assert client.get(fields=[cookie, MATCHING[HEADER]]).body == b"b"
    bench.ask("match 0 0")
    assert client.get(fields=[cookie, MATCHING[HEADER]]).body == b"a"


def test_an_upgrade_that_matches_goes_to_canary(world):
    bench, a, b = two_versions(world)
    bench.ask(f"match 0 {HEADER}")
    for backend in (a, b):
        backend.on("/ws", lambda c, r: c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                              b"Upgrade: websocket\r\n\r\n" + c.backend.name.encode()))
    client = world.client(bench)
    client.request("/ws", fields=[MATCHING[HEADER], ("Connection", "upgrade"), ("Upgrade", "websocket")])
    assert client.answer().status == 101
    assert client.reader.exactly(1) == b"b"


# --- a listener for the preview


LISTENERS = {"web": {"address": "127.0.0.1:0"},
             "next": {"address": "127.0.0.1:0", "service": "web", "group": "canary"}}


def test_preview_listener_shows_the_canary_at_weight_0(world):
    bench, _, _ = two_versions(world, listeners=LISTENERS)
    public, preview = world.client(bench, "web"), world.client(bench, "next")
    for _ in range(3):
        assert public.get().body == b"a" and preview.get().body == b"b"
    assert bench.scores()["rows"][0]["split"] == [0, 3, 0]


def test_preview_listener_says_so_at_once_when_there_is_no_canary(world):
    bench, a, _ = two_versions(world, listeners=LISTENERS, timeouts={"queue": "1h"})
    bench.ask("drain 1")
    preview = world.client(bench, "next")
    for _ in range(2):
        answer = preview.get()
        assert answer.status == 503 and b"new version" in answer.body
        assert answer.field("retry-after") == "1"
    assert a.count() == 0
    assert bench.until(lambda s: s["rows"][0]["refused"]["no-canary"] == 2)
    assert "why=no-canary" in bench.log()
    bench.ask("ready 1")
    assert preview.get().body == b"b"


def test_preview_listener_leads_nowhere_else_when_the_canary_refuses(world):
    a = world.backend("a")
    config = web(a, listeners=LISTENERS)
    config["services"]["web"]["canary"] = [unused_address()]
    bench = world.bench(config)
    preview = world.client(bench, "next")
    assert preview.get().status == 502
    assert a.count() == 0


def test_preview_listener_waits_for_room_like_all_others(world):
    bench, a, b = two_versions(world, listeners=LISTENERS, max_connections=1)
    gate = []
    b.on("/slow", lambda c, r: (gate.append(c), None)[1])
    first, second = world.client(bench, "next"), world.client(bench, "next")
    first.request("/slow")
    while not gate:
        pass
    second.request()
    bench.until(lambda s: s["rows"][0]["queued"] == 1)
    gate[0].answer(b"done")
    assert first.answer().body == b"done" and second.answer().body == b"b"
    assert a.count() == 0


def test_preview_listener_makes_nobody_a_user_and_heeds_who_is_one(world):
    a = world.backend("a")
    canaries = [world.backend(f"c{i}") for i in range(4)]
    bench = world.bench(web(a, canary=canaries, listeners=LISTENERS, sticky={"cookie": "user"}))
    public, preview = world.client(bench, "web"), world.client(bench, "next")
    assert preview.get().field("set-cookie") is None
    cookie = ("Cookie", public.get().field("set-cookie").split(";")[0])
    seen = {preview.get(fields=[cookie]).body for _ in range(8)}
    assert len(seen) == 1 and seen != {b"a"}
    assert preview.get(fields=[cookie]).field("set-cookie") is None
    assert public.get(fields=[cookie]).body == b"a"


def test_a_missing_asset_of_the_preview_is_not_looked_for_in_stable(world):
    bench, a, b = two_versions(world, listeners=LISTENERS, retry_assets=True)
    b.on("/x.js", lambda c, r: c.answer(b"not here", "404 Not Found"))
    preview = world.client(bench, "next")
    assert (preview.get("/x.js").status, a.count()) == (404, 0)


def test_a_hold_holds_the_preview_too(world):
    bench, _, b = two_versions(world, listeners=LISTENERS)
    bench.ask("hold 0 60000")
    preview = world.client(bench, "next")
    preview.request()
    bench.until(lambda s: s["rows"][0]["queued"] == 1)
    assert b.count() == 0
    bench.ask("hold 0 0")
    assert preview.answer().body == b"b"
