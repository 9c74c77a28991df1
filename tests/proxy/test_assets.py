"""retry_assets: what one version does not have, the other may; the client never sees both answers."""

import threading

import pytest

from harness import hanging_address, unused_address, web


def missing(body=b"not here", fields=()):
    return lambda c, r: c.answer(body, "404 Not Found", fields)


def found(c, r):
    c.answer(c.backend.name.encode() + b" has it")


def two_versions(world, weight=0, log="on", **service):
    """Stable a, canary b. Neither has anything that it was not given."""
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench({**web(a, canary=[b], retry_assets=True, **service), "access_log": log})
    bench.ask(f"weight 0 {weight}")
    return bench, a, b


def both_miss(path, *backends):
    for backend in backends:
        backend.on(path, missing(b"%s has it not" % backend.name.encode()))


@pytest.mark.parametrize("weight,first,second", [(0, "a", "b"), (10000, "b", "a")])
def test_asset_of_the_other_version_is_found(world, weight, first, second):
    bench, a, b = two_versions(world, weight)
    by_name = {"a": a, "b": b}
    by_name[first].on("/app.4711.js", missing())
    by_name[second].on("/app.4711.js", found)
    client = world.client(bench)
    for n in range(1, 4):
        answer = client.get("/app.4711.js?x=1")
        assert (answer.status, answer.body) == (200, f"{second} has it".encode())
        assert by_name[first].count() == by_name[second].count() == n
    # both connections were kept and used again
    assert a.connection_count == b.connection_count == 1
    scores = bench.until(lambda s: all(x["active"] == [0, 0, 0, 0, 0] for x in s["backends"]))
    tried, taken = scores["backends"] if first == "a" else reversed(scores["backends"])
    assert (tried["status"][4], tried["asset_retries"], taken["asset_retries"]) == (3, 3, 0)
    assert taken["status"][2] == 3
    assert scores["rows"][0]["split"] == [weight, 3, 3 if first == "b" else 0]  # each request once


def test_missing_in_both_is_one_404(world):
    bench, a, b = two_versions(world)
    both_miss("/x.css", a, b)
    client = world.client(bench)
    for _ in range(2):
        answer = client.get("/x.css")
        assert (answer.status, answer.body) == (404, b"b has it not")
    assert (a.count(), b.count()) == (2, 2)


@pytest.mark.parametrize("method,path,fields,status", [
    ("GET", "/page", (), "404 Not Found"), ("GET", "/api/x.json", (), "404 Not Found"),
    ("GET", "/a.js/", (), "404 Not Found"), ("GET", "/x?f=a.js", (), "404 Not Found"),
    ("POST", "/x.js", (), "404 Not Found"), ("DELETE", "/x.js", (), "404 Not Found"),
    ("GET", "/x.js", (), "410 Gone"), ("GET", "/x.js", (), "500 Oops"), ("GET", "/x.js", (), "403 No"),
    ("GET", "/x", (("Sec-Fetch-Dest", "document"),), "404 Not Found")])
def test_what_is_no_missing_asset_is_not_tried_again(world, method, path, fields, status):
    bench, a, b = two_versions(world)
    a.on(path.split("?")[0], lambda c, r: c.answer(b"", status))
    answer = world.client(bench).get(path, method=method, fields=fields)
    assert answer.status == int(status[:3])
    assert (a.count(), b.count()) == (1, 0)


def test_body_with_a_get_is_not_repeated(world):
    bench, a, b = two_versions(world)
    a.on("/x.js", lambda c, r: (c.body(r), c.answer(b"", "404 Not Found"))[1])
    assert world.client(bench).get("/x.js", body=b"data").status == 404
    assert b.count() == 0


def test_destination_tells_an_asset_without_an_extension(world):
    bench, a, b = two_versions(world)
    a.on("/logo", missing())
    b.on("/logo", found)
    assert world.client(bench).get("/logo", fields=[("Sec-Fetch-Dest", "image")]).body == b"b has it"


def test_head_is_tried_too(world):
    bench, a, b = two_versions(world)
    a.on("/x.js", lambda c, r: c.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 900\r\n\r\n"))
    b.on("/x.js", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"))
    client = world.client(bench)
    for _ in range(2):
        answer = client.get("/x.js", method="HEAD")
        assert (answer.status, answer.field("content-length")) == (200, "7")
    assert a.connection_count == 1  # HEAD's 404 has no body: the connection is clean


def trickled(c, r):
    c.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 10\r\n\r\n12345")
    c.backend.half_sent.set()
    c.backend.rest.wait(5)
    c.send(b"67890")


def chunked(c, r):
    c.send(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")


def until_close(c, r):
    c.send(b"HTTP/1.1 404 Not Found\r\n\r\nnot here")
    return False


def closes(c, r):
    c.answer(b"not here", "404 Not Found", [("Connection", "close")])
    return False


def too_much(c, r):
    c.send(b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nabHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")


def large(c, r):
    c.answer(b"x" * (4 << 20), "404 Not Found")


@pytest.mark.parametrize("answer,kept", [
    (trickled, False), (chunked, True), (until_close, False), (closes, False), (too_much, False), (large, False)])
def test_404s_body_reaches_nobody_whatever_its_framing(world, answer, kept):
    bench, a, b = two_versions(world)
    a.half_sent, a.rest = threading.Event(), threading.Event()
    a.on("/x.js", answer)
    b.on("/x.js", found)
    client = world.client(bench)
    for _ in range(3):
        got = client.get("/x.js")
        assert (got.status, got.body) == (200, b"b has it")
        assert client.get("/page").body == b"a"  # on a clean connection
    a.rest.set()
    assert (a.connection_count == 1) == kept


def test_interim_answer_that_was_sent_on_settles_it(world):
    bench, a, b = two_versions(world)
    a.on("/x.js", lambda c, r: (c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </y.js>\r\n\r\n"),
                                c.answer(b"", "404 Not Found"))[1])
    client = world.client(bench)
    client.request("/x.js")
    assert [client.answer(interim=True).status for _ in range(2)] == [103, 404]
    assert b.count() == 0


def test_other_version_must_be_able_to_serve(world):
    bench, a, b = two_versions(world, healthcheck={"tcp": {}})
    both_miss("/x.js", a, b)
    bench.ask("healthy 0"), bench.ask("healthy 1"), bench.ask("unhealthy 1")
    client = world.client(bench)
    assert client.get("/x.js").body == b"a has it not"
    bench.ask("healthy 1")
    assert client.get("/x.js").body == b"b has it not"
    bench.ask("drain 1")
    assert client.get("/x.js").body == b"a has it not"
    assert b.count() == 1


def test_other_version_that_refuses_connections_leaves_the_404(world):
    a = world.backend("a")
    config = web(a, retry_assets=True)
    config["services"]["web"]["canary"] = [unused_address()]
    bench = world.bench(config)
    a.on("/x.js", missing(b"a has it not"))
    answer = world.client(bench).get("/x.js")
    assert (answer.status, answer.body) == (404, b"a has it not")
    assert a.count() == 2


def test_dead_pooled_connection_of_the_other_version_is_tried_anew(world):
    bench, a, b = two_versions(world)
    a.on("/x.js", missing())
    b.on("/x.js", found)
    client = world.client(bench)
    assert client.get("/x.js").body == b"b has it"
    b.drop_connections()
    assert client.get("/x.js").body == b"b has it"


def test_without_the_option_a_404_is_a_404(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, canary=[b]))
    a.on("/x.js", missing(b"a has it not"))
    assert world.client(bench).get("/x.js").body == b"a has it not"
    assert b.count() == 0


def test_user_stays_where_he_belongs(world):
    bench, a, b = two_versions(world, sticky={"cookie": "user"})
    a.on("/x.js", missing())
    b.on("/x.js", found)
    client = world.client(bench)
    answer = client.get("/x.js")
    cookie = answer.field("set-cookie").split(";")[0]
    assert answer.body == b"b has it"
    assert client.get("/page", fields=[("Cookie", cookie)]).body == b"a"


def test_pipelined_assets_are_answered_in_order(world):
    bench, a, b = two_versions(world)
    for n in range(8):
        (a if n % 2 else b).on(f"/{n}.js", lambda c, r: c.answer(r.target.encode()))
        (b if n % 2 else a).on(f"/{n}.js", missing())
    client = world.client(bench)
    client.send(b"".join(b"GET /%d.js HTTP/1.1\r\nHost: t\r\n\r\n" % n for n in range(8)))
    assert [client.answer().body for _ in range(8)] == [b"/%d.js" % n for n in range(8)]


def test_sizes_in_the_log_are_those_of_the_answer_that_was_given(world):
    bench, a, b = two_versions(world, log={"format": "combined"})
    a.on("/x.js", missing())
    b.on("/x.js", lambda c, r: False)
    assert world.client(bench).get("/x.js").status == 502
    bench.until(lambda s: '"GET /x.js HTTP/1.1" 502 - ' in bench.log())


def test_client_that_goes_on_sending_does_not_put_off_the_connect_timeout(world):
    a = world.backend("a")
    a.on("/x.js", missing(b"a has it not"))
    with hanging_address() as address:
        config = web(a, retry_assets=True, timeouts={"connect": "300ms", "response": "60s"})
        config["services"]["web"]["canary"] = [address]
        bench = world.bench(config)
        bench.ask("weight 0 0")
        client = world.client(bench)
        client.request("/x.js")
        bench.until(lambda s: s["backends"][1]["connecting"] == 1)
        client.request("/page")
        assert [client.answer().status for _ in range(2)] == [404, 200]
        assert bench.scores()["backends"][1]["timeouts"] == 1
