"""HTTP/1.1 through the worker: framing, bodies, connections, heads."""

import hashlib
import os
import socket
import threading

import pytest

from harness import sanitized, web

MIB = 1024 * 1024


def test_keeps_connections_on_both_sides(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    for _ in range(50):
        assert client.get("/").body == b"a"
    assert a.connection_count == 1
    row = bench.scores()["rows"][0]
    assert (row["accepted"], row["clients"]) == (1, 1)


def test_counts_what_a_backend_served(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    a.on("/missing", lambda c, r: c.answer(status="404 Not Found"))
    for path in ("/", "/", "/missing"):
        client.get(path)
    # the answer may arrive before its end is counted
    backend = bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])["backends"][0]
    assert (backend["open"], backend["idle"], backend["connecting"]) == (1, 1, 0)
    assert backend["exchanges"] == 3
    assert backend["status"] == [0, 0, 2, 0, 1, 0]
    assert backend["bytes_in"] > 0 and backend["bytes_out"] > 0


def test_answers_pipelined_requests_in_order(world):
    a = world.backend()
    bench = world.bench(web(a))
    for i in range(20):
        a.on(f"/{i}", lambda c, r: c.answer(r.target.encode()))
    client = world.client(bench)
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: t\r\n\r\n" % i for i in range(20)))
    assert [client.answer().body for _ in range(20)] == [b"/%d" % i for i in range(20)]


def test_pipelined_body_is_not_taken_for_a_request(world):
    a = world.backend()
    client = world.client(world.bench(web(a)))
    body = b"GET /no HTTP/1.1\r\nHost: t\r\n\r\n"
    client.request("/one", method="POST", body=body)
    client.request("/two")
    assert client.answer().body == hashlib.sha256(body).hexdigest().encode()
    assert client.answer().body == b"a"
    assert [r.target for r in a.requests] == ["/one", "/two"]


@pytest.mark.parametrize("size", [1, 4096, MIB, 5 * MIB])
def test_carries_bodies_of_known_length_both_ways_unchanged(world, size):
    a = world.backend()
    a.on("/echo", lambda c, r: c.answer(c.body(r)))
    bench = world.bench(web(a))
    client = world.client(bench)
    body = os.urandom(size)
    sender = threading.Thread(target=client.request, args=("/echo",),
                              kwargs={"method": "POST", "body": body})
    sender.start()
    answer = client.answer()
    sender.join()
    assert hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()
    assert client.get("/").body == b"a"


def chunks_of(body, size):
    pieces = [body[i:i + size] for i in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("size,chunk", [(1, 1), (5000, 1), (5000, 7), (MIB, 8192), (MIB, 300000)])
def test_carries_chunked_bodies_both_ways_unchanged(world, size, chunk):
    def echo(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               + chunks_of(c.body(r), chunk))

    a = world.backend()
    a.on("/echo", echo)
    client = world.client(world.bench(web(a)))
    body = os.urandom(size)
    head = b"POST /echo HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    sender = threading.Thread(target=client.send, args=(head + chunks_of(body, chunk),))
    sender.start()
    answer = client.answer()
    sender.join()
    assert answer.field("transfer-encoding") == "chunked"
    assert answer.body == body
    assert client.get("/").body == b"a"


def test_trickled_request_is_put_together(world):
    a = world.backend()
    client = world.client(world.bench(web(a)))
    body = b"0123456789"
    text = b"POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks_of(body, 3)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for i in range(len(text)):
        client.send(text[i:i + 1])
    assert client.answer().body == hashlib.sha256(body).hexdigest().encode()


def test_trickled_answer_is_put_together(world):
    def trickle(c, r):
        text = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks_of(b"trickled", 2)
        for i in range(len(text)):
            c.send(text[i:i + 1])

    a = world.backend()
    a.on("/t", trickle)
    client = world.client(world.bench(web(a)))
    assert client.get("/t").body == b"trickled"
    assert client.get("/").body == b"a"


def test_answer_until_close_becomes_chunked(world):
    def until_close(c, r):
        c.send(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100000)
        return False

    a = world.backend()
    a.on("/c", until_close)
    client = world.client(world.bench(web(a)))
    answer = client.get("/c")
    assert answer.field("transfer-encoding") == "chunked" and answer.body == b"x" * 100000
    assert client.get("/").body == b"a"


def test_http_1_0_client_gets_no_chunks(world):
    def chunked(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks_of(b"abc", 1))

    a = world.backend()
    a.on("/c", chunked)
    client = world.client(world.bench(web(a)))
    client.request("/c", version="1.0", fields=[("Connection", "keep-alive")])
    answer = client.answer()
    assert answer.field("transfer-encoding") is None and answer.body == b"abc"
    assert client.is_closed()


def test_http_1_0_client_may_keep_its_connection(world):
    client = world.client(world.bench(web(world.backend())))
    for _ in range(3):
        answer = client.get("/", version="1.0", fields=[("Connection", "keep-alive")])
        assert answer.field("connection") == "keep-alive" and answer.body == b"a"
    client.request("/", version="1.0")
    assert client.answer().field("connection") == "close"
    assert client.is_closed()


def test_connection_close_is_honoured(world):
    client = world.client(world.bench(web(world.backend())))
    answer = client.get("/", fields=[("Connection", "close")])
    assert answer.body == b"a" and answer.field("connection") == "close"
    assert client.is_closed()


def test_answers_without_bodies(world):
    a = world.backend()
    a.on("/204", lambda c, r: c.send(b"HTTP/1.1 204 No Content\r\n\r\n"))
    a.on("/304", lambda c, r: c.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"))
    a.on("/head", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"))
    client = world.client(world.bench(web(a)))
    for _ in range(2):
        assert client.get("/204").field("content-length") is None
        assert client.get("/304").field("content-length") == "7"
        assert client.get("/head", method="HEAD").field("content-length") == "12345"
    assert a.connection_count == 1


def test_heads_are_built_anew(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/x?y=1", fields=[
        ("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("Forwarded", "for=6.6.6.6"),
        ("X_Forwarded_For", "7.7.7.7"), ("Connection", "X-Secret, keep-alive"), ("X-Secret", "1"),
        ("Keep-Alive", "5"), ("TE", "trailers"), ("Proxy-Connection", "x"), ("X-Kept", "yes")])
    client.answer()
    request = a.requests[0]
    assert request.target == "/x?y=1" and request.version == "HTTP/1.1"
    assert request.field("host") == "test" and request.field("x-kept") == "yes"
    assert [v for n, v in request.fields if n == "x-forwarded-for"] == ["127.0.0.1"]
    assert request.field("x-forwarded-proto") == "http"
    assert request.field("x-forwarded-host") == "test"
    assert request.field("via") == "1.1 sluice"
    assert request.field("forwarded") == 'for=127.0.0.1;host="test";proto=http'
    for gone in ("x-secret", "keep-alive", "te", "proxy-connection", "connection",
                 "x_forwarded_for"):
        assert request.field(gone) is None, gone


def test_hop_by_hop_fields_of_answers_stay_behind(world):
    a = world.backend()
    a.on("/h", lambda c, r: c.answer(b"h", fields=[
        ("Connection", "X-Hop"), ("X-Hop", "1"), ("Keep-Alive", "timeout=5"), ("X-Kept", "yes")]))
    answer = world.client(world.bench(web(a))).get("/h")
    assert answer.field("x-kept") == "yes" and answer.field("date") is not None
    assert answer.field("x-hop") is None and answer.field("keep-alive") is None
    assert answer.field("connection") is None


def test_expect_continue_is_relayed(world):
    def wait(c, r):
        assert r.field("expect") == "100-continue"
        c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        c.answer(c.body(r))

    a = world.backend()
    a.on("/e", wait)
    client = world.client(world.bench(web(a)))
    client.send(b"POST /e HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.answer(interim=True).status == 100
    client.send(b"body")
    assert client.answer().body == b"body"
    assert client.get("/").body == b"a"


def test_final_status_instead_of_continue_ends_the_connection(world):
    a = world.backend()
    a.on("/e", lambda c, r: c.answer(b"no", status="403 Forbidden"))
    client = world.client(world.bench(web(a)))
    client.send(b"POST /e HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.body, answer.field("connection")) == (403, b"no", "close")
    assert client.is_closed()


def test_other_interim_answers_are_relayed_to_1_1_clients_only(world):
    def early(c, r):
        c.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        c.answer(b"late")

    a = world.backend()
    a.on("/i", early)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/i")
    hint = client.answer(interim=True)
    assert (hint.status, hint.field("link")) == (103, "</a.css>")
    assert client.answer().body == b"late"
    old = world.client(bench)
    old.request("/i", version="1.0")
    assert old.answer(interim=True).body == b"late"


def test_early_answer_reaches_a_client_that_still_sends(world):
    def refuse(c, r):
        c.answer(b"too much", status="413 Content Too Large")
        return False

    a = world.backend()
    a.on("/u", refuse)
    client = world.client(world.bench(web(a)))
    client.send(b"POST /u HTTP/1.1\r\nHost: t\r\nContent-Length: 500000\r\n\r\n" + b"x" * 100000)
    answer = client.answer()
    assert (answer.status, answer.body) == (413, b"too much")
    assert answer.field("connection") == "close"


def test_event_stream_arrives_at_once_and_may_be_silent(world):
    go = threading.Event()

    def stream(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
        go.wait(10)
        c.send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

    a = world.backend()
    a.on("/s", stream)
    client = world.client(world.bench(web(a, timeouts={"response": "300ms"})))
    client.request("/s")
    client.reader.head()
    assert client.reader.line() == b"9\r\n" and client.reader.exactly(11) == b"data: 1\n\n\r\n"
    client.sock.settimeout(0.6)  # twice the response timeout: nothing must come, nor an end
    with pytest.raises(TimeoutError):
        client.sock.recv(1)
    client.sock.settimeout(10)
    go.set()
    rest = b""
    while not rest.endswith(b"0\r\n\r\n"):
        rest += client.sock.recv(4096)
    assert rest == b"9\r\ndata: 2\n\n\r\n0\r\n\r\n"


def test_slow_reader_gets_everything_and_holds_up_the_backend(world):
    size = 40 * MIB
    sent = []

    def large(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            c.send(b"y" * 65536)
            sent.append(65536)

    a = world.backend()
    a.on("/l", large)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/l")
    client.reader.head()
    settled = -1
    while settled != len(sent):  # what the kernels' buffers and ours take, and no more
        settled = len(sent)
        threading.Event().wait(0.2)
    assert settled * 65536 < size
    pid = bench.ask("pids")[0]
    with open(f"/proc/{pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    if not sanitized():  # a sanitizer keeps what was freed
        assert resident < 30 * 1024  # KiB
    assert len(client.reader.exactly(size)) == size


def test_no_route_is_404_and_keeps_the_connection(world):
    a = world.backend()
    bench = world.bench(web(a, routes=[{"host": "shop.example", "path": "/api"}]))
    client = world.client(bench)
    assert client.get("/api").status == 404
    client.send(b"GET /api/x HTTP/1.1\r\nHost: SHOP.example:8080\r\n\r\n")
    assert client.answer().body == b"a"
    client.send(b"GET /apix HTTP/1.1\r\nHost: shop.example\r\n\r\n")
    assert client.answer().status == 404
    assert bench.scores()["rows"][0]["refusals"][1] == 2


@pytest.mark.parametrize("text,status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"GET / HTTP/2.0\r\nHost: t\r\n\r\n", 505),
    (b"CONNECT t:80 HTTP/1.1\r\nHost: t:80\r\n\r\n", 501),
    (b"TRACE / HTTP/1.1\r\nHost: t\r\n\r\n", 405),
    (b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: t\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: t\r\n" + b"a: b\r\n" * 200 + b"\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: t\r\nX: " + b"a" * 70000 + b"\r\n\r\n", 431),
    (b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
], ids=lambda value: value[:40] if isinstance(value, bytes) else None)
def test_what_is_not_http_is_refused_and_closed(world, text, status):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(text)
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (status, "close")
    assert client.is_closed()
    bench.until(lambda s: s["rows"][0]["clients"] == 0 and s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    reason = "head-size" if status in (414, 431) else "bad-request"
    assert bench.scores()["rows"][0]["refused"][reason] == 1
