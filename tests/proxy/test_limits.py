"""What clients may take: each limit is hit, its refusal counted by reason, and others are served."""

import select
import socket
import threading
import time

import pytest

from harness import Client, Reader, sanitized, web


def refused(bench, reason):
    return sum(row["refused"][reason] for row in bench.scores()["rows"])


def until_refused(bench, reason, count):
    return bench.until(lambda s: sum(r["refused"][reason] for r in s["rows"]) >= count)


def head_of(size, fields=1):
    """A request head of exactly so many bytes."""
    start, end = b"GET / HTTP/1.1\r\nHost: t\r\n", b"\r\n\r\n"
    start += b"".join(b"A%d: b\r\n" % i for i in range(fields - 2)) + b"X: "
    return start + b"x" * (size - len(start) - len(end)) + end


# --- heads --------------------------------------------------------------------------------------

def test_head_up_to_the_limit_passes_and_a_byte_more_is_431(world):
    bench = world.bench(web(world.backend(), limits={"header_bytes": 2048}))
    client = world.client(bench)
    client.send(head_of(2048))
    assert client.answer().body == b"a"
    client.send(head_of(2049))
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (431, "close")
    assert client.is_closed()
    assert refused(bench, "head-size") == 1
    assert "status=431 why=head-too-large" in bench.log()


def test_endless_head_is_431_at_the_limit_and_not_at_the_parsers(world):
    bench = world.bench(web(world.backend(), limits={"header_bytes": 2048}))
    client = world.client(bench)
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n" + b"X: y\r\n" * 400)
    assert client.answer().status == 431


def test_fields_up_to_the_limit_pass_and_one_more_is_431(world):
    bench = world.bench(web(world.backend(), limits={"header_count": 10}))
    client = world.client(bench)
    client.send(head_of(300, fields=10))
    assert client.answer().body == b"a"
    client.send(head_of(300, fields=11))
    assert client.answer().status == 431
    assert refused(bench, "head-size") == 1


# --- bodies -------------------------------------------------------------------------------------

def chunked(size, piece=1000):
    body = b""
    while size > 0:
        body += b"%x\r\n%s\r\n" % (min(size, piece), b"x" * min(size, piece))
        size -= piece
    return b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"


def test_body_of_the_limit_passes_and_a_byte_more_is_413_before_a_backend_sees_it(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "10k"}))
    client = world.client(bench)
    client.request("/", method="POST", body=b"x" * 10240)
    assert client.answer().status == 200
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 10241\r\n\r\n")
    answer = client.answer(interim=True)
    assert (answer.status, answer.field("connection")) == (413, "close")
    assert client.is_closed()
    assert a.count() == 1 and refused(bench, "body-size") == 1
    assert "status=413 why=body-size" in bench.log()


def test_chunked_body_is_cut_when_it_passes_the_limit(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "10k"}))
    client = world.client(bench)
    client.send(chunked(10240))
    assert client.answer().status == 200
    client.send(chunked(1 << 20)[:30000])  # and never its end
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (413, "close")
    assert client.is_closed()
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    assert refused(bench, "body-size") == 1
    assert "status=413" in bench.log() and "why=body-size" in bench.log()


def test_chunked_body_that_is_here_whole_is_not_taken_for_the_next_request(world):
    client = world.client(world.bench(web(world.backend(), limits={"body": 100})))
    client.send(chunked(101) + b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
    assert client.answer().status == 413
    assert client.answer().body == b"a"


def test_service_may_take_larger_bodies_than_the_others(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"body": "1k"}) | {"services": {
        "web": {"backends": [a.address], "routes": [{"path": "/"}]},
        "up": {"backends": [a.address], "routes": [{"path": "/up"}], "limits": {"body": "1m"}},
        "any": {"backends": [a.address], "routes": [{"path": "/any"}], "limits": {"body": 0}}}})
    for path, status in (("/", 413), ("/up", 200), ("/any", 200)):
        client = world.client(bench)
        client.request(path, method="POST", body=b"x" * 5000)
        assert client.answer().status == status, path


# --- rates of bytes -----------------------------------------------------------------------------

SLOW = {"min_rate": 1000, "min_rate_window": "300ms"}


def trickle(client, pieces, pause=0.05):
    """Sends until the other side has had enough; returns how many pieces went."""
    for i, piece in enumerate(pieces):
        try:
            client.send(piece)
        except OSError:
            return i
        if select.select([client.sock], [], [], pause)[0]:
            return i + 1
    return len(pieces)


@pytest.mark.parametrize("head,piece", [
    (b"Content-Length: 5000", b"x"),
    (b"Transfer-Encoding: chunked", b"1\r\nx\r\n"),
    (b"Transfer-Encoding: chunked", b"1;extension=" + b"y" * 100 + b"\r\nx\r\n"),  # these bytes are no body
])
def test_body_that_trickles_is_408_though_it_never_pauses(world, head, piece):
    bench = world.bench(web(world.backend(), limits=SLOW))
    client = world.client(bench)
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\n" + head + b"\r\n\r\n")
    assert trickle(client, [piece] * 200) < 40  # how many fit in depends on how busy the machine is
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (408, "close")
    assert refused(bench, "slow-body") == 1
    assert "status=408" in bench.log() and "why=slow-body" in bench.log()
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 0])


def test_body_at_the_rate_passes_however_long_it_takes(world):
    client = world.client(world.bench(web(world.backend(), limits=SLOW)))
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 2000\r\n\r\n")
    assert trickle(client, [b"x" * 100] * 20) == 20  # 2 kB/s for a second
    assert client.answer().status == 200


def test_slow_backend_is_not_laid_to_the_clients_charge(world):
    """The client could send more, but is not read: what the backend does not take fills the way."""
    def lazy(c, r):
        for _ in range(10):
            c.reader.exactly(1000)
            threading.Event().wait(0.1)  # 10 kB/s, and mostly nothing is read from the client
        c.reader.exactly(int(r.field("content-length")) - 10000)
        c.answer(b"all")

    a = world.backend()
    a.on("/", lazy)
    bench = world.bench(web(a, limits={"min_rate": 1000000, "min_rate_window": "300ms"}))
    client = world.client(bench)
    size = 32 << 20
    sender = threading.Thread(daemon=True, target=client.send, args=(
        b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size,))
    sender.start()
    assert client.answer().body == b"all"
    sender.join(10)


def test_talk_both_ways_may_be_slow(world):
    """An answer that has begun before the body has ended: a stream of their own making."""
    def echo(c, r):
        c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            c.send(b"1\r\n" + c.reader.exactly(1) + b"\r\n")
        c.send(b"0\r\n\r\n")

    a = world.backend()
    a.on("/", echo)
    client = world.client(world.bench(web(a, limits=SLOW)))
    client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n")
    client.reader.head()
    for i in range(10):
        client.send(b"%d" % i)
        assert client.reader.exactly(6) == b"1\r\n%d\r\n" % i
        threading.Event().wait(0.1)


def small_client(bench, timeout=10):
    """A client with a small buffer of its own, so that what it reads is what it takes."""
    client = Client.__new__(Client)
    client.sock = socket.socket()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sock.settimeout(timeout)
    client.sock.connect(("127.0.0.1", bench.port))
    client.reader = Reader(client.sock)
    return client


def small_reader(bench, path):
    client = small_client(bench)
    client.request(path)
    return client


@pytest.mark.parametrize("how", ["chunked", "length", "last"])
def test_answer_that_is_taken_too_slowly_is_cut(world, how):
    size = 64 << 20
    a = world.backend()

    def large(c, r):
        c.send(b"HTTP/1.1 200 OK\r\n" + (b"Transfer-Encoding: chunked\r\n\r\n" if how == "chunked"
                                          else b"Content-Length: %d\r\n\r\n" % size))
        for _ in range(64):
            c.send((b"100000\r\n" if how == "chunked" else b"") + b"z" * (1 << 20)
                   + (b"\r\n" if how == "chunked" else b""))

    # "last": all of it is here already, only the client has not taken it
    a.on("/l", (lambda c, r: c.answer(b"z" * 6000000)) if how == "last" else large)
    bench = world.bench(web(a, limits={"min_rate": 20000, "min_rate_window": "300ms"}))
    client = world._add(small_reader(bench, "/l"))
    got, end = 0, time.monotonic() + 20
    try:
        while time.monotonic() < end:
            got += len(client.sock.recv(100))
            time.sleep(0.05)  # 2 kB/s: it takes some at each look
    except ConnectionResetError:
        pass
    assert time.monotonic() < end and got > 500
    assert refused(bench, "slow-read") == 1 and "why=slow-read" in bench.log()
    bench.until(lambda s: s["rows"][0]["clients"] == 0 and s["backends"][0]["active"] == [0, 0, 0, 0, 0])


def test_answer_that_is_taken_at_the_rate_arrives_whole(world):
    """The kernel's buffer hides it from our queue for long: what is acknowledged counts."""
    size = 3 << 20
    a = world.backend()
    a.on("/l", lambda c, r: c.answer(b"z" * size))
    bench = world.bench(web(a, limits={"min_rate": 100000, "min_rate_window": "200ms"},
                            timeouts={"response": "400ms"}))
    client = world._add(small_reader(bench, "/l"))
    client.reader.head()
    got = 0
    while got < size:
        got += len(client.reader.exactly(min(65536, size - got)))
        time.sleep(0.05)  # some 1 MB/s
    assert refused(bench, "slow-read") == 0


def test_pipelined_bytes_do_not_buy_a_slow_reader_time(world):
    a = world.backend()
    a.on("/l", lambda c, r: c.answer(b"z" * (20 << 20)))
    bench = world.bench(web(a, limits=SLOW))
    client = world._add(small_reader(bench, "/l"))
    client.reader.head()
    for _ in range(100):
        try:
            client.send(b"G")
        except OSError:
            break
        time.sleep(0.05)
        if refused(bench, "slow-read"):
            break
    assert refused(bench, "slow-read") == 1


# --- clients ------------------------------------------------------------------------------------

# every request says whose it is, as from a proxy in front
def asks_as(client, address, path="/"):
    client.request(path, fields=[("X-Forwarded-For", address)])
    return client.answer()


def test_burst_of_one_client_passes_and_one_more_is_429_and_the_next_second_it_is_served(world):
    bench = world.bench(web(world.backend(), limits={"requests_per_client": {"rate": 5, "burst": 10}}))
    client = world.client(bench)
    assert [client.get("/").status for _ in range(10)] == [200] * 10
    answer = client.get("/")
    assert (answer.status, answer.field("retry-after"), answer.field("connection")) == (429, "1", None)
    count = refused(bench, "rate")
    assert count == 1 and "status=429 why=rate" in bench.log()
    threading.Event().wait(1.05)  # what Retry-After said
    assert client.get("/").status == 200
    statuses = []
    while 429 not in statuses and len(statuses) < 20:
        client.send(b"POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello")
        statuses.append(client.answer().status)
    assert statuses[-1] == 429 and client.is_closed()  # its body was not read


def test_clients_behind_a_trusted_proxy_are_told_apart_and_a_v6_client_is_its_64(world):
    config = web(world.backend(), limits={"requests_per_client": {"rate": 1, "burst": 2}})
    bench = world.bench(config | {"trusted_proxies": ["127.0.0.1"]})
    client = world.client(bench)
    for address in ("192.0.2.1", "192.0.2.2", "::ffff:192.0.2.3", "::ffff:192.0.2.4"):
        assert [asks_as(client, address).status for _ in range(3)] == [200, 200, 429], address
    assert asks_as(client, "192.0.2.3").status == 429  # written in IPv6 it was the same
    assert [asks_as(client, f"2001:db8::{i}").status for i in range(3)] == [200, 200, 429]
    assert asks_as(client, "2001:db8:0:1::1").status == 200


def test_stranger_does_not_choose_his_address(world):
    bench = world.bench(web(world.backend(), limits={"requests_per_client": {"rate": 1, "burst": 2}}))
    client = world.client(bench)
    assert [asks_as(client, f"192.0.2.{i}").status for i in range(3)] == [200, 200, 429]


def test_trusted_clients_are_not_limited(world):
    limits = {"requests_per_client": {"rate": 1, "burst": 1}, "connections_per_client": 1,
              "trusted": ["127.0.0.0/8"]}
    bench = world.bench(web(world.backend(), limits=limits))
    for client in [world.client(bench) for _ in range(3)]:
        assert [client.get("/").status for _ in range(5)] == [200] * 5


def test_service_has_a_rate_of_its_own_or_none(world):
    a = world.backend()
    service = {"backends": [a.address]}
    config = web(a, limits={"requests_per_client": {"rate": 1, "burst": 1}}) | {"services": {
        "web": service | {"routes": [{"path": "/"}]},
        "also": service | {"routes": [{"path": "/also"}]},
        "own": service | {"routes": [{"path": "/own"}],
                          "limits": {"requests_per_client": {"rate": 1, "burst": 3}}},
        "free": service | {"routes": [{"path": "/free"}], "limits": {"requests_per_client": "none"}},
        "friend": service | {"routes": [{"path": "/friend"}], "limits": {"trusted": ["127.0.0.1"]}}}}
    client = world.client(world.bench(config))
    assert [client.get("/").status for _ in range(2)] == [200, 429]
    assert client.get("/also").status == 429  # counted together
    assert [client.get("/own").status for _ in range(4)] == [200] * 3 + [429]
    assert [client.get("/free").status for _ in range(5)] == [200] * 5
    assert [client.get("/friend").status for _ in range(5)] == [200] * 5


def test_what_has_no_route_counts_too(world):
    bench = world.bench(web(world.backend(), routes=[{"host": "shop"}],
                            limits={"requests_per_client": {"rate": 1, "burst": 2}}))
    client = world.client(bench)
    assert [client.get("/").status for _ in range(3)] == [404, 404, 429]


def test_connections_of_one_client_are_limited_and_the_end_of_one_lets_another_in(world):
    bench = world.bench(web(world.backend(), limits={"connections_per_client": 3}))
    clients = [world.client(bench) for _ in range(3)]
    bench.until(lambda s: s["rows"][0]["clients"] == 3)
    assert world.client(bench).is_closed()
    assert refused(bench, "client-connections") == 1 and "why=client-connections" in bench.log()
    assert [client.get("/").status for client in clients] == [200] * 3
    for _ in range(20):  # as often as it likes: none is forgotten
        clients.pop().close()
        bench.until(lambda s: s["rows"][0]["clients"] == 2)
        clients.append(world.client(bench))
        assert clients[-1].get("/").status == 200
    assert world.client(bench).is_closed()


def test_tcp_connections_of_one_client_are_limited_too(world):
    a = world.backend()
    bench = world.bench(web(a, limits={"connections_per_client": 2}, listeners={
        "db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "web"}}))
    clients = [world.client(bench) for _ in range(2)]
    assert [client.get("/").body for client in clients] == [b"a"] * 2
    assert world.client(bench).is_closed()
    assert refused(bench, "client-connections") == 1
    clients.pop().close()
    bench.until(lambda s: s["backends"][0]["active"][4] == 1)
    assert world.client(bench).get("/").body == b"a"


# --- memory -------------------------------------------------------------------------------------

LARGE = bytes(8 << 20)


def answer_large(connection, request):
    """In two pieces: not a copy of it for each of many."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
    connection.send(LARGE)


def resident(bench, which="VmHWM"):
    pid = bench.ask("pids")[0]
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(which)) * 1024


def level(scores):
    return scores["rows"][0]["pressure"]


def until_level(bench, wanted, seconds=60):
    return bench.until(lambda s: level(s) == wanted, seconds)


def test_worker_at_its_memory_limit_sheds_rests_refuses_and_recovers(world):
    go = threading.Event()
    a = world.backend()
    a.on("/l", answer_large)
    a.on("/slow", lambda c, r: go.wait(100) and c.answer(b"slow"))
    # nothing ends for its time, however long the machine takes over the megabytes
    patient = {key: "100s" for key in ("header", "response", "idle")}
    bench = world.bench(web(a, limits={"memory": "4m"}, timeouts=patient))
    keeper, busy = world.client(bench, timeout=60), world.client(bench, timeout=60)
    assert keeper.get("/").field("connection") is None
    busy.request("/slow")
    begun = [world._add(small_client(bench, 60)) for _ in range(100)]
    for client in begun:
        client.send(b"GET /l HTTP/1.1\r\n")
    bench.until(lambda s: s["rows"][0]["clients"] == 102 and s["backends"][0]["active"][0] == 1)
    readers = []
    while level(bench.scores()) == 0:
        assert len(readers) < 40
        readers.append(world._add(small_reader(bench, "/l")))
        readers[-1].reader.head()
    assert keeper.is_closed()  # it was idle
    for client in begun[:80]:
        client.send(b"Host: t\r\n\r\n")
    until_level(bench, 2)
    bench.until(lambda s: s["rows"][0]["memory"] > 4 << 20, 60)
    for client in begun[80:]:
        client.send(b"Host: t\r\n\r\n")
    accepted = bench.scores()["rows"][0]["accepted"]
    late = world.client(bench)
    late.request("/")
    until_refused(bench, "out-of-memory", 1)
    go.set()
    answer = busy.answer()
    assert (answer.status, answer.body, answer.field("connection")) == (200, b"slow", "close")
    assert any(b" 503 " in client.reader.line() for client in begun[80:])
    scores = bench.scores()
    assert level(scores) == 2 and scores["rows"][0]["accepted"] == accepted
    assert scores["rows"][0]["memory"] < 8 << 20
    for client in readers + begun:
        client.close()
    until_level(bench, 0)
    assert late.answer().status == 200
    again = world.client(bench)
    assert again.get("/").field("connection") is None
    log = bench.log()
    changes = [line.split("pressure=")[1].split()[0] for line in log.splitlines() if "event=memory-pressure" in line]
    assert changes[0] in ("tight", "full") and "full" in changes and changes[-1] == "none"
    assert all(x != y for x, y in zip(changes, changes[1:])) and len(changes) <= 6
    assert refused(bench, "memory-pressure") == changes.count("full") and refused(bench, "shed") >= 1
    if not sanitized():
        assert resident(bench) < 40 << 20


def test_what_connections_hold_is_counted_down_to_nothing(world):
    a = world.backend()
    a.on("/l", answer_large)
    a.on("/cut", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!") and False)
    bench = world.bench(web(a, canary=[], limits={"body": "1m"}))
    for turn in range(3):
        for path in ("/", "/l", "/cut", "/none"):
            client = small_reader(bench, path)
            client.reader.line()
            client.close()
        client = Client(bench.port)
        client.send(chunked(2 << 20))
        client.answer()
        client.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0)
    a.drop_connections()
    bench.until(lambda s: s["backends"][0]["open"] == 0)
    bench.until(lambda s: s["rows"][0]["memory"] == 0)


# --- connections --------------------------------------------------------------------------------

def test_idle_connection_makes_room_at_the_limit_and_the_longest_idle_first(world):
    bench = world.bench(web(world.backend(), limits={"connections": 3}))
    idle = [world.client(bench) for _ in range(3)]
    bench.until(lambda s: s["rows"][0]["clients"] == 3)
    time.sleep(1.1)  # one that has just come is about to ask
    assert idle[0].get("/").body == b"a"  # so it is not the longest idle one
    late = world.client(bench)
    assert late.get("/").body == b"a"
    assert idle[1].is_closed()
    assert idle[0].get("/").body == b"a" and idle[2].get("/").body == b"a"
    assert refused(bench, "shed") == 1 and refused(bench, "connections") == 0


def test_where_all_are_busy_at_the_limit_others_wait_and_are_served_then(world):
    go = threading.Event()
    a = world.backend()
    a.on("/slow", lambda c, r: go.wait(10) and c.answer(b"slow"))
    bench = world.bench(web(a, limits={"connections": 2}))
    busy = [world.client(bench) for _ in range(2)]
    for client in busy:
        client.request("/slow")
    bench.until(lambda s: s["backends"][0]["active"][0] == 2)
    late = world.client(bench)
    late.request("/")
    until_refused(bench, "connections", 1)
    assert bench.scores()["rows"][0]["accepted"] == 2
    go.set()
    assert late.answer().body == b"a"
    assert [client.answer().body for client in busy] == [b"slow"] * 2
    assert "event=connection-limit" in bench.log()
