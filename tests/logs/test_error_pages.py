"""The operator's own pages for what the proxy answers itself."""
import pytest

from harness import unused_address, web

DEAD = {"queue": "0"}


def pages(world, **files):
    """{"503.html": "text"}: writes the files; returns their paths."""
    folder = world.folder / "pages"
    folder.mkdir(exist_ok=True)
    return {name: str(folder / name) for name, text in files.items() if (folder / name).write_bytes(text) or True}


def config(world, services, **more):
    return {"listeners": {"web": {"address": "127.0.0.1:0"}}, "services": services, "timeouts": DEAD, "access_log": "on", **more}


def test_a_service_has_pages_of_its_own_and_the_rest_those_for_all(world):
    at = pages(world, **{"busy.html": b"<h1>busy</h1>", "error.json": b'{"error":"all"}', "lost.txt": b"lost", "own.htm": b"own"})
    bench = world.bench(config(world, {
        "shop": {"backends": [unused_address()], "routes": [{"path": "/shop"}], "error_pages": {"5xx": at["own.htm"]}},
        "api": {"backends": [unused_address()], "routes": [{"path": "/api"}]},
    }, error_pages={"404": at["lost.txt"], "5xx": at["busy.html"], "502": at["error.json"], "4xx": at["busy.html"]}))
    client = world.client(bench)
    seen = [(answer.status, answer.field("content-type"), answer.body)
            for answer in (client.get("/shop"), client.get("/api"), client.get("/"))]
    assert seen == [(502, "text/html; charset=utf-8", b"own"), (502, "application/json", b'{"error":"all"}'),
                    (404, "text/plain; charset=utf-8", b"lost")]
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")  # no service is known: a class of the page for all
    answer = client.answer()
    assert (answer.status, answer.body) == (400, b"<h1>busy</h1>") and answer.field("connection") == "close"


def test_a_page_keeps_what_the_status_says_besides(world):
    """Retry-After, the length that a HEAD is told, and the connection."""
    at = pages(world, **{"busy.html": b"x" * 60000})
    a = world.backend()
    bench = world.bench(config(world, {"web": {"backends": [a.address], "healthcheck": {"tcp": {}},
                                                "error_pages": {"503": at["busy.html"]}}}))
    bench.ask("unhealthy 0")
    client = world.client(bench)
    for _ in range(3):
        answer = client.get("/")
        assert answer.status == 503 and answer.body == b"x" * 60000
        assert answer.field("retry-after") == "1" and answer.field("connection") is None
    client.request("/", method="HEAD")
    answer = client.answer("HEAD")
    assert (answer.status, answer.field("content-length"), answer.field("retry-after")) == (503, "60000", "1")
    bench.ask("healthy 0")
    assert client.get("/").body == b"a"  # on the same connection


def test_a_page_is_sent_as_it_is(world):
    """Nothing of a request gets into it, whatever it looks like."""
    raw = b"%s $uri {{path}} <!--#echo --> \0\xff\r\n\r\nHTTP/1.1 200 OK\r\n"
    at = pages(world, **{"404.html": raw})
    bench = world.bench({**config(world, {"web": {"backends": [unused_address()], "routes": [{"host": "x"}]}}),
                         "error_pages": {"404": at["404.html"]}})
    answer = world.client(bench).get("/%3Cscript%3E")
    assert (answer.status, answer.body) == (404, raw)


def test_a_backends_own_error_is_passed_on(world):
    at = pages(world, **{"5xx.html": b"page"})
    a = world.backend()
    a.on("/x", lambda c, r: c.answer(b"its own", status="503 Busy"))
    bench = world.bench({**web(a), "error_pages": {"5xx": at["5xx.html"]}})
    assert world.client(bench).get("/x").body == b"its own"


@pytest.mark.parametrize("kind", ["missing", "folder", "too-large", "empty"])
def test_a_page_that_cannot_be_read_is_told_and_left_out(world, kind):
    at = pages(world, **{"page.html": {"too-large": b"x" * 65537, "empty": b""}.get(kind, b"x")})
    path = {"missing": "/no/such/page", "folder": str(world.folder)}.get(kind, at["page.html"])
    bench = world.bench({**config(world, {"web": {"backends": [unused_address()]}}), "error_pages": {"502": path}})
    answer = world.client(bench).get("/")
    assert answer.status == 502
    if kind == "empty":
        assert (answer.body, answer.field("content-length")) == (b"", "0")
    else:
        assert b"backend could not be reached" in answer.body
    assert ("event=error-page-refused" in bench.log()) == (kind != "empty")
