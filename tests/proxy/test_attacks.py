"""What hostile or clumsy clients and backends do to others: nothing."""

import os
import socket
import threading

import pytest

from harness import Client, sanitized, web

MIB = 1024 * 1024


class Process:
    """The worker as the kernel sees it."""

    def __init__(self, bench):
        self.pid = bench.ask("pids")[0]

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def resident(self, which="VmRSS"):
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(which)) * 1024


def is_at_rest(scores):
    return (all(b["active"] == [0, 0, 0, 0, 0] and b["connecting"] == 0 and b["open"] == b["idle"]
                for b in scores["backends"])
            and all(r["clients"] == 0 and r["queued"] == 0 for r in scores["rows"]))


def assert_at_rest(bench, descriptors=None):
    """Every gauge is back at zero, and (given how many there were) no descriptor was leaked."""
    scores = bench.until(is_at_rest, 10)
    pooled = sum(b["open"] for b in scores["backends"])
    if descriptors is not None:
        process = Process(bench)
        bench.until(lambda s: process.descriptors() - sum(b["open"] for b in s["backends"])
                    <= descriptors, 10)
    return pooled


def shut(client):
    client.sock.shutdown(socket.SHUT_WR)


# --- half-closed clients ------------------------------------------------------------------------

def test_half_closed_client_gets_its_answer(world):
    client = world.client(world.bench(web(world.backend())))
    client.request("/")
    shut(client)
    assert client.answer().body == b"a"
    assert client.is_closed()


def test_half_closed_client_gets_all_pipelined_answers(world):
    a = world.backend()
    client = world.client(world.bench(web(a)))
    for i in range(5):
        client.request(f"/{i}")
    shut(client)
    assert [client.answer().body for _ in range(5)] == [b"a"] * 5
    assert client.is_closed()


def test_half_closed_client_gets_a_large_answer_slowly(world):
    a = world.backend()
    a.on("/large", lambda c, r: c.answer(b"x" * 8 * MIB))
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/large")
    shut(client)
    client.reader.head()
    for _ in range(8):
        assert client.reader.exactly(MIB) == b"x" * MIB
    assert client.is_closed()
    assert_at_rest(bench)


def test_half_closed_client_in_the_queue_is_served(world):
    bench = world.bench(web(world.backend(), healthcheck={"tcp": {}}))
    client = world.client(bench)
    client.request("/")
    shut(client)
    bench.until(lambda s: s["rows"][0]["queued"] == 1)
    bench.ask("healthy 0")
    assert client.answer().body == b"a"


def test_half_closed_client_may_upgrade(world):
    def hello(c, r):
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
        assert c.sock.recv(1) == b""  # the end is passed on
        c.send(b" and goodbye")
        return False

    a = world.backend()
    a.on("/x", hello)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"GET /x HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    shut(client)
    assert client.answer().status == 101
    assert client.reader.rest() == b"hello and goodbye"
    assert_at_rest(bench)


def test_cut_head_is_400(world):
    client = world.client(world.bench(web(world.backend())))
    client.send(b"GET / HTTP/1.1\r\nHo")
    shut(client)
    assert client.answer().status == 400
    assert client.is_closed()


# --- clients that vanish ------------------------------------------------------------------------

@pytest.mark.parametrize("text", [
    b"", b"G", b"GET / HTTP/1.1\r\nHost: t\r\nX", b"GET /slow HTTP/1.1\r\nHost: t\r\n\r\n",
    b"POST /slow HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\n12",
    b"POST /slow HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    b"POST /slow HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
    b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n", b"GET /stream HTTP/1.1\r\nHost: t\r\n\r\n",
], ids=lambda text: text.decode()[:12].strip() + str(len(text)))
@pytest.mark.parametrize("how", ["close", "reset"])
def test_client_that_vanishes_leaves_nothing_behind(world, text, how):
    def stream(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        c.sock.recv(1)
        return False

    def slow(c, r):
        c.reader.rest()
        return False

    a = world.backend()
    a.on("/slow", slow)
    a.on("/stream", stream)
    a.on("/large", lambda c, r: c.answer(b"x" * 8 * MIB))
    bench = world.bench(web(a))
    before = Process(bench).descriptors()
    clients = [world.client(bench) for _ in range(20)]
    for client in clients:
        client.send(text)
    bench.until(lambda s: s["rows"][0]["clients"] == 20)
    for client in clients:
        if how == "reset":
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
    assert_at_rest(bench, before)


# --- clients that take too much -----------------------------------------------------------------

def test_client_that_pipelines_and_never_reads_does_not_fill_memory(world):
    """What it sends must be left in the kernel, or it could be of any size."""
    a = world.backend()
    a.on("/big", lambda c, r: c.answer(b"x" * 60000))
    bench = world.bench(web(a))
    process = Process(bench)
    rude = world.client(bench)
    served = 0
    while served < 1000:  # until the rest of an answer waits for the client to read
        rude.request("/big")
        try:
            bench.until(lambda s: s["backends"][0]["exchanges"] == served + 1
                        and s["backends"][0]["active"][0] == 0, 0.3)
        except AssertionError:
            break
        served += 1
    assert served < 1000
    rude.sock.settimeout(0.5)
    sent = 0
    with pytest.raises(TimeoutError):
        while sent < 256 * MIB:
            sent += rude.sock.send(b"GET /no HTTP/1.1\r\nHost: t\r\n\r\n" * 4000)
    if not sanitized():
        assert process.resident("VmHWM") < 30 * MIB
    other = world.client(bench)
    assert other.get("/").body == b"a"
    other.close()
    rude.close()
    assert_at_rest(bench)


def test_client_that_never_reads_a_large_answer_is_cut_off(world):
    def large(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (100 * MIB))
        for _ in range(100):
            c.send(b"y" * MIB)

    a = world.backend()
    a.on("/l", large)
    bench = world.bench(web(a, timeouts={"response": "1s"}))
    process = Process(bench)
    before = process.descriptors()
    for client in [world.client(bench) for _ in range(10)]:
        client.request("/l")
    other = world.client(bench)
    for _ in range(20):
        assert other.get("/").body == b"a"
    other.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0, 15)
    assert bench.log().count("why=slow-client") == 10
    if not sanitized():
        assert process.resident("VmHWM") < 40 * MIB
    assert_at_rest(bench, before)


def test_slow_reader_of_a_last_answer_gets_it_all_though_the_worker_stops(world):
    size = 12 * MIB
    a = world.backend()
    a.on("/l", lambda c, r: c.answer(b"z" * size))
    bench = world.bench(web(a, timeouts={"response": "1s"}))
    client = Client(bench.port)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    client.request("/l")
    client.reader.head()
    bench.ask("terminate")
    pause, got = threading.Event(), 0
    while got < size:
        got += len(client.reader.exactly(min(MIB, size - got)))
        pause.wait(0.3)
    assert client.is_closed()
    assert bench.ask("wait") == [0]
    client.close()


def test_pipelined_refusals_do_not_starve_others(world):
    """Answered by the proxy itself, so nothing slows the one down that sends them."""
    bench = world.bench(web(world.backend(), routes=[{"host": "shop", "path": "/"}]))
    rude = world.client(bench)
    burst = b"GET / HTTP/1.1\r\nHost: no\r\n\r\n" * 3000
    sender = threading.Thread(target=rude.send, args=(burst,), daemon=True)
    sender.start()
    polite = world.client(bench)
    polite.send(b"GET / HTTP/1.1\r\nHost: shop\r\n\r\n")
    assert polite.answer().body == b"a"
    assert [rude.answer().status for _ in range(3000)] == [404] * 3000
    sender.join(10)


def test_slow_heads_are_cut_off_and_others_served(world):
    bench = world.bench(web(world.backend(), timeouts={"header": "500ms"}))
    before = Process(bench).descriptors()
    slow = [world.client(bench) for _ in range(200)]
    for client in slow:
        client.send(b"GET / HTTP/1.1\r\n")
    other = world.client(bench)
    assert other.get("/").body == b"a"
    pause = threading.Event()
    for i in range(10):  # a header field now and then does not buy more time
        pause.wait(0.1)
        for client in slow[:20]:
            try:
                client.send(b"X-%d: y\r\n" % i)
            except OSError:
                pass
    other.close()
    scores = bench.until(lambda s: s["rows"][0]["refusals"][6] == 200)
    assert scores["backends"][0]["exchanges"] == 1
    for client in slow:
        client.close()
    assert_at_rest(bench, before)


def test_thousands_of_idle_connections_cost_little(world):
    bench = world.bench(web(world.backend()))
    process = Process(bench)
    before, resident = process.descriptors(), process.resident()
    idle = [socket.create_connection(("127.0.0.1", bench.port)) for _ in range(3000)]
    bench.until(lambda s: s["rows"][0]["clients"] == 3000)
    assert world.client(bench).get("/").body == b"a"
    if not sanitized():
        assert process.resident() - resident < 3000 * 1500
    for sock in idle:
        sock.close()
    world.things.pop().close()
    assert_at_rest(bench, before)


def test_full_house_still_reaches_its_backends(world):
    """Some descriptors are kept: whom the worker took on it can serve."""
    bench = world.bench(web(world.backend()), descriptors=820)
    before = Process(bench).descriptors()
    crowd = [world.client(bench) for _ in range(60)]
    for client in crowd:  # begun, so not idle: these are not closed to make room
        client.send(b"GET / HTTP/1.1\r\n")
    served = crowd[:60]
    crowd += [world.client(bench) for _ in range(800)]
    bench.until(lambda s: s["rows"][0]["refused"]["shed"] > 0)
    assert "event=out-of-descriptors" in bench.log()
    for client in served:
        client.send(b"Host: t\r\n\r\n")
    assert [client.answer().body for client in served] == [b"a"] * 60
    for client in crowd:
        client.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0, 15)
    assert world.client(bench).get("/").body == b"a"
    world.things.pop().close()
    assert_at_rest(bench, before)


# --- backends -----------------------------------------------------------------------------------

def test_backend_that_never_answers_is_504_for_all_and_forgotten(world):
    a = world.backend()
    a.on("/never", lambda c, r: c.reader.rest() and False)
    bench = world.bench(web(a, timeouts={"response": "300ms"}))
    before = Process(bench).descriptors()
    clients = [world.client(bench) for _ in range(50)]
    for client in clients:
        client.request("/never")
    assert [client.answer().status for client in clients] == [504] * 50
    for client in clients:
        client.close()
    assert_at_rest(bench, before)


ANSWER = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
          b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")


def test_backend_that_closes_after_each_number_of_bytes(world):
    """Never a whole answer made of a part, never a hanging client."""
    a = world.backend()

    def cut(c, r):
        c.send(ANSWER[:int(r.target.split("?")[1])])
        return False

    a.on("/cut", cut)
    bench = world.bench(web(a))
    before = Process(bench).descriptors()
    for count in range(len(ANSWER) + 1):
        client = Client(bench.port)
        client.request(f"/cut?{count}")
        try:
            answer = client.answer()
            whole = answer.status == 200
            assert whole or answer.status == 502
            assert not whole or answer.body == b"hello world"
        except (EOFError, ValueError, ConnectionResetError):
            whole = False
        assert whole == (count == len(ANSWER)), count
        client.close()
    assert_at_rest(bench, before)


def test_backend_that_answers_early_and_stops_reading(world):
    done = threading.Event()

    def refuse(c, r):
        c.answer(b"no", status="413 Content Too Large")
        done.wait(10)
        return False

    a = world.backend()
    a.on("/u", refuse)
    bench = world.bench(web(a))
    before = Process(bench).descriptors()
    client = world.client(bench)
    client.send(b"POST /u HTTP/1.1\r\nHost: t\r\nContent-Length: 99999999\r\n\r\n" + b"x" * 65536)
    answer = client.answer()
    assert (answer.status, answer.body, answer.field("connection")) == (413, b"no", "close")
    done.set()
    client.close()
    assert_at_rest(bench, before)


def test_backend_that_answers_early_and_goes_on_reading(world):
    """The answer streams while the request does."""
    def echo(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(5):
            c.send(b"4\r\n" + c.reader.exactly(4) + b"\r\n")
        c.send(b"0\r\n\r\n")

    a = world.backend()
    a.on("/echo", echo)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"POST /echo HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\n\r\n")
    client.reader.head()
    for i in range(5):
        client.send(b"%04d" % i)
        assert client.reader.line() == b"4\r\n"
        assert client.reader.exactly(6) == b"%04d\r\n" % i
    assert client.reader.exactly(5) == b"0\r\n\r\n"
    client.close()
    assert_at_rest(bench)


def test_backend_that_resets_during_a_chunked_upload(world):
    def reset(c, r):
        c.reader.exactly(10)
        c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        c.reader.file.close()
        c.sock.close()
        return False

    a = world.backend()
    a.on("/u", reset)
    bench = world.bench(web(a))
    before = Process(bench).descriptors()
    for _ in range(5):
        client = Client(bench.port)
        client.send(b"POST /u HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(200):
                client.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        except OSError:
            pass
        try:
            assert client.answer().status == 502
        except ConnectionResetError:
            pass  # it was still sending
        client.close()
    assert a.count("/u") == 5  # never sent twice
    assert_at_rest(bench, before)


def test_flood_of_chunks_of_one_byte_passes_both_ways(world):
    body = os.urandom(100000)
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"

    def echo(c, r):
        got = c.body(r)
        assert got == body
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks)

    a = world.backend()
    a.on("/e", echo)
    bench = world.bench(web(a))
    client = world.client(bench)
    head = b"POST /e HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
    sender = threading.Thread(target=client.send, args=(head + chunks,), daemon=True)
    sender.start()
    assert client.answer().body == body
    sender.join(10)
    client.close()
    assert_at_rest(bench)


def test_late_second_answer_does_not_reach_the_next_request(world):
    """The poison comes once the connection is idle."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
    sent, go = threading.Event(), threading.Event()

    def two(c, r):
        c.answer(b"ok")
        go.wait(10)
        c.send(poison)
        sent.set()

    a = world.backend()
    a.on("/p", two)
    bench = world.bench(web(a))
    client = world.client(bench)
    assert client.get("/p").body == b"ok"
    go.set()
    assert sent.wait(10)
    bench.until(lambda s: s["backends"][0]["open"] == 0)
    assert client.get("/").body == b"a"


def test_a_request_in_the_turn_of_an_answer_takes_another_idle_connection(world):
    """The kernel has been asked about that one since its last answer; the one just kept it would have to be asked about."""
    a = world.backend()
    seen = []
    a.on("/who", lambda c, r: (seen.append(c), c.answer(b"who"))[1])
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"GET /who HTTP/1.1\r\nHost: t\r\n\r\n" * 2)  # one idle connection at most: it is asked about, and taken
    assert [client.answer().body for _ in range(2)] == [b"who"] * 2
    assert seen[0] is seen[1] and a.connection_count == 1
    gate = threading.Event()
    a.on("/wait", lambda c, r: (gate.wait(10), c.answer(b"late"))[1])
    client.request("/wait")
    assert world.client(bench).get("/who").body == b"who"  # by a second one
    gate.set()
    assert client.answer().body == b"late"
    bench.until(lambda s: s["backends"][0]["idle"] == 2)
    del seen[:]
    client.send(b"GET /who HTTP/1.1\r\nHost: t\r\n\r\n" * 2)
    assert [client.answer().body for _ in range(2)] == [b"who"] * 2
    assert len(seen) == 2 and seen[0] is not seen[1] and a.connection_count == 2


# --- tried again --------------------------------------------------------------------------------

def dies_when_reused(seen):
    def handler(c, r):
        body = c.body(r)
        if getattr(c, "used", False):
            seen.append((r.method, body))
            return False
        c.used = True
        c.answer(body)

    return handler


@pytest.mark.parametrize("chunked", [False, True])
def test_small_body_of_an_idempotent_request_is_sent_again(world, chunked):
    a = world.backend()
    seen = []
    a.on("/d", dies_when_reused(seen))
    bench = world.bench(web(a))
    client = world.client(bench)
    client.get("/d")
    body = os.urandom(5000)
    if chunked:
        client.send(b"PUT /d HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(0, 5000, 1000):
            client.send(b"3e8\r\n" + body[i:i + 1000] + b"\r\n")
        client.send(b"0\r\n\r\n")
    else:
        client.request("/d", method="PUT", body=body)
    assert client.answer().body == body
    assert seen == [("PUT", body)]
    assert bench.scores()["backends"][0]["retries"] == 1


def test_body_too_large_to_keep_is_not_sent_again(world):
    a = world.backend()
    seen = []
    a.on("/d", dies_when_reused(seen))
    bench = world.bench(web(a))
    client = world.client(bench)
    client.get("/d")
    client.request("/d", method="PUT", body=b"x" * 20000)
    assert client.answer().status == 502
    assert a.count("/d") == 2
    assert bench.scores()["backends"][0]["retries"] == 0


def test_post_is_not_sent_again_nor_over_a_connection_seen_to_be_closed(world):
    a = world.backend()
    seen = []
    a.on("/d", dies_when_reused(seen))
    bench = world.bench(web(a))
    client = world.client(bench)
    client.get("/d")
    client.request("/d", method="POST", body=b"once")
    assert client.answer().status == 502
    assert seen == [("POST", b"once")]
    for _ in range(20):  # closed by the backend just before: noticed, so that none is lost
        assert client.get("/").body == b"a"
        a.drop_connections()
        client.request("/", method="POST", body=b"")
        assert client.answer().body == b"a"


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
def test_any_method_is_tried_elsewhere_where_the_connect_failed(world, method):
    from harness import unused_address
    a = world.backend()
    config = web(a, balance="round_robin")
    config["services"]["web"]["backends"].insert(0, unused_address())
    bench = world.bench(config)
    client = world.client(bench)
    for _ in range(4):
        client.request("/", method=method, body=b"body" if method != "GET" else None)
        assert client.answer().status == 200
    assert bench.scores()["backends"][0]["connect_failures"] == 2


# --- heads --------------------------------------------------------------------------------------

def test_claims_of_where_a_request_comes_from_do_not_reach_a_backend(world):
    a = world.backend()
    client = world.client(world.bench(web(a)))
    client.request("/", fields=[("X-Forwarded-Port", "1"), ("X-Forwarded-Prefix", "/x"),
                                ("X-Forwarded-Ssl", "on"), ("X-Real-IP", "6.6.6.6"),
                                ("x_real_ip", "6.6.6.6"), ("X_Forwarded-Scheme", "https")])
    client.answer()
    names = sorted(n for n, _ in a.requests[0].fields if n.startswith("x"))
    assert names == ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id"]


def test_client_of_a_trusted_proxy_is_the_one_that_is_logged(world):
    a = world.backend()
    config = {**web(a), "trusted_proxies": ["127.0.0.1"]}
    bench = world.bench(config)
    client = world.client(bench)
    client.get("/one", fields=[("X-Forwarded-For", "6.6.6.6, 192.0.2.7")])
    request_id = a.requests[0].field("x-request-id")
    client.get("/two", fields=[("X-Request-Id", "from-the-edge")])
    bench.until(lambda s: bench.log().count("event=exchange") == 2)
    log = [line for line in bench.log().splitlines() if "event=exchange" in line]
    assert "client=192.0.2.7:0" in log[0] and f"request_id={request_id}" in log[0]
    assert "client=127.0.0.1:" in log[1] and "request_id=from-the-edge" in log[1]


def test_204_with_a_length_of_0_is_passed_on_without_it(world):
    a = world.backend()
    a.on("/p", lambda c, r: c.answer(b"", status="204 No Content"))
    client = world.client(world.bench(web(a)))
    for _ in range(2):
        answer = client.get("/p", method="OPTIONS")
        assert answer.status == 204 and answer.field("content-length") is None


def test_switch_to_another_protocol_than_asked_for_is_502(world):
    a = world.backend()
    a.on("/ws", lambda c, r: c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                                    b"Upgrade: other\r\n\r\n"))
    client = world.client(world.bench(web(a)))
    client.send(b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    assert client.answer().status == 502


def test_http_1_0_client_is_told_by_the_close_that_an_error_is_over(world):
    bench = world.bench(web(world.backend(), routes=[{"host": "shop", "path": "/"}]))
    client = world.client(bench)
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (404, "close")
    assert client.is_closed()
