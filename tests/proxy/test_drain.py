"""How each class of exchange is ended when a drain's budget is over: told first, broken off only where that does not
help, and spread; seen from the client's side, and from the backend's."""

import socket
import struct
import threading
import time

import pytest

from harness import PATIENCE, Reader, web
from test_tunnels import UPGRADE, upgrade

REQUEST, UPLOAD, STREAM, WEBSOCKET, TCP = range(5)
GOING_AWAY = struct.pack("!H", 1001)
FAREWELL = 3  # seconds, as limits.h has it
EVENTS = (b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")


def chunk(data):
    return b"%x\r\n%s\r\n" % (len(data), data)


def frame(opcode, payload=b"", mask=None, fin=True):
    head = bytes([opcode | (0x80 if fin else 0)])
    length, bit = len(payload), 0x80 if mask else 0
    if length < 126:
        head += bytes([bit | length])
    else:
        head += bytes([bit | 126]) + struct.pack("!H", length)
    if mask:
        payload = mask + bytes(c ^ mask[i % 4] for i, c in enumerate(payload))
    return head + payload


def read_frame(reader):
    first, second = reader.exactly(2)
    length = second & 0x7f
    if length == 126:
        length = struct.unpack("!H", reader.exactly(2))[0]
    mask = reader.exactly(4) if second & 0x80 else b"\0\0\0\0"
    return first, bytes(c ^ mask[i % 4] for i, c in enumerate(reader.exactly(length)))


class WebSockets:
    """A backend's side: what each connection got, and a connection to send by."""

    def __init__(self, answers_close=True, busy=None):
        """`busy`: an event before which a close is not answered."""
        self.answers_close, self.busy, self.connections, self.closes = answers_close, busy, [], []
        self.ready = threading.Semaphore(0)

    def __call__(self, c, r):
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        self.connections.append(c)
        self.ready.release()
        while True:
            first, payload = read_frame(c.reader)
            if first & 0x0f == 8:
                self.closes.append(payload)
                assert self.busy is None or self.busy.wait(PATIENCE)
                if self.answers_close:
                    c.send(frame(8, payload))
                    return False
                assert c.sock.recv(1) == b""
                return False
            c.send(frame(first & 0x0f, payload))


def open_socket(world, bench, backend):
    client = world.client(bench)
    client.send(UPGRADE)
    assert client.answer().status == 101
    assert backend.ready.acquire(timeout=PATIENCE)
    return client


def drain(bench, kind, spread=0):
    bench.ask(f"close-spread 0 {spread}")
    epoch = bench.ask("drain 0")["epoch"]
    return epoch, lambda: bench.ask(f"end-kinds 0 {1 << kind}")


def left(bench, epoch):
    assert bench.ask(f"await-drained 0 {epoch}")["drained"]
    return bench.ask(f"proof 0 {epoch}")["left"]


def only(kind, how, count=1):
    expected = [[0] * 5 for _ in range(3)]
    expected[how][kind] = count
    return expected


BY_ITSELF, POLITELY, FORCED = range(3)


# --- requests ------------------------------------------------------------------------------------


def held_request(world, bench, backend, path="/held"):
    entered = threading.Event()
    backend.on(path, lambda c, r: (entered.set(), c.sock.recv(1), False)[2])
    client = world.client(bench)
    client.request(path)
    assert entered.wait(PATIENCE)
    return client


def test_request_without_an_answer_gets_503_and_its_connection_goes_on(world):
    a, b = world.backend("a"), world.backend("b")
    bench = world.bench(web(a, b, balance="round_robin"))
    for backend in (a, b):
        backend.on("/held", lambda c, r: (c.sock.recv(1), False)[1])
    client = world.client(bench)
    client.request("/held")
    scores = bench.until(lambda s: sum(x["active"][REQUEST] for x in s["backends"]) == 1)
    slot = next(i for i, x in enumerate(scores["backends"]) if x["active"][REQUEST])
    epoch = bench.ask(f"drain {slot}")["epoch"]
    bench.ask(f"end-kinds {slot} 1")
    answer = client.answer()
    assert (answer.status, answer.field("retry-after")) == (503, "1")
    assert client.get("/").body == (b"b" if slot == 0 else b"a")  # elsewhere
    assert bench.ask(f"await-drained {slot} {epoch}")["drained"]
    assert bench.ask(f"proof {slot} {epoch}")["left"] == only(REQUEST, POLITELY)
    assert bench.scores()["rows"][0]["refused"]["ended"] == 1


def test_answer_with_a_length_is_broken_off_for_there_is_no_other_way(world):
    a = world.backend()
    a.on("/", lambda c, r: (c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), c.sock.recv(1), False)[2])
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/")
    assert client.reader.head() and client.reader.exactly(4) == b"half"
    epoch, end = drain(bench, REQUEST)
    end()
    assert client.is_closed()
    assert left(bench, epoch) == only(REQUEST, FORCED)


def test_what_finishes_within_its_budget_is_counted_so(world):
    release = threading.Event()
    a = world.backend()
    a.on("/", lambda c, r: release.wait(PATIENCE) and c.answer(b"whole"))
    bench = world.bench(web(a))
    client = world.client(bench)
    client.request("/")
    bench.until(lambda s: s["backends"][0]["active"] == [1, 0, 0, 0, 0])
    epoch, _ = drain(bench, REQUEST)
    release.set()
    assert client.answer().body == b"whole"
    assert left(bench, epoch) == only(REQUEST, BY_ITSELF)


# --- uploads -------------------------------------------------------------------------------------


def test_upload_whose_body_is_there_may_get_its_answer(world):
    release, there = threading.Event(), threading.Event()
    a = world.backend()
    a.on("/up", lambda c, r: (c.body(r), there.set(), release.wait(PATIENCE), c.answer(b"taken"))[3])
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf.")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 1, 0, 0, 0])
    epoch, end = drain(bench, REQUEST)
    hold = bench.ask("holds")[0]
    assert (hold["kind"], hold["bytes_left"]) == ("upload", 5)
    end()  # the budget of requests is over, that of uploads is not
    client.send(b"other")
    assert there.wait(PATIENCE)
    assert bench.scores()["backends"][0]["active"] == [0, 1, 0, 0, 0]
    release.set()
    answer = client.answer()
    assert (answer.status, answer.body) == (200, b"taken")
    assert left(bench, epoch) == only(UPLOAD, BY_ITSELF)


def test_upload_that_is_ended_gets_503_and_the_end_of_its_connection(world):
    a = world.backend()
    a.on("/up", lambda c, r: (c.body(r), c.answer())[1])
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf.")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 1, 0, 0, 0])
    epoch, end = drain(bench, UPLOAD)
    end()
    answer = client.answer()
    assert (answer.status, answer.field("connection")) == (503, "close")
    client.send(b"other")  # no reset may take the answer from who is still sending
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    assert left(bench, epoch) == only(UPLOAD, POLITELY)


def test_small_bodies_make_no_upload(world):
    a = world.backend()
    bench = world.bench(web(a))
    client = world.client(bench)
    client.get("/", method="POST", body=b"x" * 1000)
    epoch, _ = drain(bench, UPLOAD)
    assert left(bench, epoch) == [[0] * 5] * 3
    assert bench.scores()["backends"][0]["active"] == [0] * 5


# --- streams -------------------------------------------------------------------------------------


class Events:
    """A backend that streams what the test tells it to."""

    def __init__(self, head=EVENTS, first=b"data: 1\n\n"):
        self.head, self.first, self.ready = head, first, threading.Event()

    def __call__(self, c, r):
        self.connection = c
        c.send(self.head + (chunk(self.first) if self.first else b""))
        self.ready.set()
        c.sock.recv(1)
        return False


def open_events(world, bench, backend, events, version="1.1"):
    backend.on("/events", events)
    client = world.client(bench)
    client.request("/events", version=version)
    assert events.ready.wait(PATIENCE)
    head = client.reader.head()
    assert head[0].split()[1] == "200"
    return client


def read_chunk(client):
    size = int(client.reader.line(), 16)
    data = client.reader.exactly(size)
    assert client.reader.line() == b"\r\n"
    return data


def test_stream_between_two_events_ends_clean_and_its_connection_goes_on(world):
    a, events = world.backend(), Events()
    b = world.backend("b")
    bench = world.bench(web(a, canary=[b]))
    client = open_events(world, bench, a, events)
    assert read_chunk(client) == b"data: 1\n\n"
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 1, 0, 0])
    epoch, end = drain(bench, STREAM)
    assert [h["kind"] for h in bench.ask("holds")] == ["stream"]
    end()
    assert read_chunk(client) == b""  # the last chunk: the body is whole
    bench.ask("weight 0 10000")
    assert client.get("/").body == b"b"
    assert left(bench, epoch) == only(STREAM, POLITELY)
    assert "why=ended" in bench.log()


def test_stream_within_an_event_ends_behind_it(world):
    a, events = world.backend(), Events(first=b"data: 1\n\ndata: ")
    bench = world.bench(web(a))
    client = open_events(world, bench, a, events)
    assert read_chunk(client) == b"data: 1\n\ndata: "
    epoch, end = drain(bench, STREAM)
    end()
    bench.until(lambda s: bench.ask("holds")[0]["ending"] == 2)  # told, and waited for
    events.connection.send(chunk(b"2\n") + chunk(b"\ndata: never"))
    assert client.reader.chunked() == b"2\n\n"  # to its end
    assert left(bench, epoch) == only(STREAM, POLITELY)


def test_stream_whose_event_does_not_end_is_broken_off(world):
    a, events = world.backend(), Events(first=b"data: never the")
    bench = world.bench(web(a))
    client = open_events(world, bench, a, events)
    assert read_chunk(client) == b"data: never the"
    epoch, end = drain(bench, STREAM)
    end()
    assert client.reader.rest() == b""  # no last chunk: nobody takes the part for the whole
    assert left(bench, epoch) == only(STREAM, FORCED)


def test_stream_to_an_old_client_ends_with_its_connection(world):
    a, events = world.backend(), Events()
    bench = world.bench(web(a))
    client = open_events(world, bench, a, events, version="1.0")
    assert client.reader.exactly(9) == b"data: 1\n\n"
    epoch, end = drain(bench, STREAM)
    end()
    assert client.reader.rest() == b""  # in order: a reset would raise
    assert left(bench, epoch) == only(STREAM, POLITELY)


def test_long_poll_becomes_a_stream_and_gets_503(world):
    a = world.backend()
    bench = world.bench(web(a, rollout={"drain": {"stream_after": "1s"}}))
    client = held_request(world, bench, a)
    epoch, end = drain(bench, STREAM)
    end()  # a request still
    bench.until(lambda s: s["rows"][0]["refused"]["ended"] == 1)
    assert client.answer().status == 503
    assert left(bench, epoch) == only(STREAM, POLITELY)


def test_chunked_answer_that_lasts_is_a_stream_but_never_ends_clean(world):
    a, events = world.backend(), Events(head=EVENTS.replace(b"text/event-stream", b"text/csv"), first=b"1;2\n")
    bench = world.bench(web(a, rollout={"drain": {"stream_after": "1s"}}))
    client = open_events(world, bench, a, events)
    assert read_chunk(client) == b"1;2\n"
    epoch, end = drain(bench, STREAM)
    end()
    assert client.reader.rest() == b""
    assert left(bench, epoch) == only(STREAM, FORCED)


def test_upload_whose_answer_lasts_is_a_stream(world):
    a, events = world.backend(), Events(head=EVENTS.replace(b"text/event-stream", b"text/csv"), first=b"1;2\n")
    a.on("/up", lambda c, r: (c.body(r), events(c, r))[1])
    bench = world.bench(web(a, rollout={"drain": {"stream_after": "1s"}}))
    client = world.client(bench)
    client.send(b"POST /up HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf.")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 1, 0, 0, 0])
    client.send(b"other")
    assert events.ready.wait(PATIENCE)
    bench.ask("drain 0")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 1, 0, 0])


def test_stream_after_0_finds_no_streams(world):
    a = world.backend()
    bench = world.bench(web(a, rollout={"drain": {"stream_after": "0s"}}))
    held_request(world, bench, a)
    bench.ask("drain 0")
    time.sleep(2.5)  # two looks of the worker's: the absence of something has no event
    assert [h["kind"] for h in bench.ask("holds")] == ["request"]


# --- WebSockets ----------------------------------------------------------------------------------


def test_websocket_is_told_1001_and_both_sides_take_their_leave(world):
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    client = open_socket(world, bench, sockets)
    client.send(frame(1, b"hello", b"mask"))
    assert read_frame(client.reader) == (0x81, b"hello")
    epoch, end = drain(bench, WEBSOCKET)
    end()
    assert read_frame(client.reader) == (0x88, GOING_AWAY)
    client.send(frame(8, GOING_AWAY, b"abcd"))
    assert client.reader.rest() == b""
    assert left(bench, epoch) == only(WEBSOCKET, POLITELY)
    assert sockets.closes == [GOING_AWAY]


def test_close_frame_waits_for_the_end_of_the_frame_that_is_under_way(world):
    sent = threading.Event()
    a, sockets = world.backend(), WebSockets(busy=sent)
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    client = open_socket(world, bench, sockets)
    whole = frame(2, b"x" * 300)
    sockets.connections[0].send(whole[:100])
    assert client.reader.exactly(100) == whole[:100]
    epoch, end = drain(bench, WEBSOCKET)
    end()
    bench.until(lambda s: bench.ask("holds")[0]["ending"] == 2)
    # the rest of it, a fragment that is dropped, and nothing of what comes later
    sockets.connections[0].send(whole[100:] + frame(1, b"never", fin=False))
    sent.set()
    assert client.reader.exactly(len(whole) - 100) == whole[100:]
    assert read_frame(client.reader) == (0x88, GOING_AWAY)
    client.send(frame(8, GOING_AWAY, b"abcd"))
    assert client.reader.rest() == b""
    assert left(bench, epoch) == only(WEBSOCKET, POLITELY)


@pytest.mark.parametrize("cut", range(1, 7))
def test_backend_gets_the_close_behind_the_clients_frame_wherever_that_is_cut(world, cut):
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    client = open_socket(world, bench, sockets)
    ping = frame(9, b"p", b"mask")  # 7 bytes
    client.send(frame(1, b"first", b"mask") + ping[:cut])
    assert read_frame(client.reader) == (0x81, b"first")
    epoch, end = drain(bench, WEBSOCKET)
    end()
    assert read_frame(client.reader) == (0x88, GOING_AWAY)
    assert sockets.closes == []
    client.send(ping[cut:] + frame(8, GOING_AWAY, b"abcd"))
    assert client.reader.rest() == b""
    assert left(bench, epoch) == only(WEBSOCKET, POLITELY)
    assert sockets.closes == [GOING_AWAY]


def test_client_that_never_answers_the_close_is_cut_off(world):
    a, sockets = world.backend(), WebSockets(answers_close=False)
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    client = open_socket(world, bench, sockets)
    epoch, end = drain(bench, WEBSOCKET)
    start = time.monotonic()
    end()
    assert read_frame(client.reader) == (0x88, GOING_AWAY)
    assert left(bench, epoch) == only(WEBSOCKET, FORCED)
    assert time.monotonic() - start > FAREWELL * 0.9
    assert client.is_closed()


def test_close_that_is_under_way_already_is_not_doubled(world):
    a, sockets = world.backend(), WebSockets(answers_close=False)
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    client = open_socket(world, bench, sockets)
    sockets.connections[0].send(frame(8, struct.pack("!H", 1000)))
    assert read_frame(client.reader) == (0x88, struct.pack("!H", 1000))
    epoch, end = drain(bench, WEBSOCKET)
    end()
    client.send(frame(8, struct.pack("!H", 1000), b"abcd"))
    assert client.reader.rest() == b""
    assert left(bench, epoch)[POLITELY][WEBSOCKET] + left(bench, epoch)[FORCED][WEBSOCKET] == 1


@pytest.mark.parametrize("side", ["client", "backend"])
def test_side_that_has_ended_its_sending_is_told_no_more_and_harms_nobody(world, side):
    released = threading.Event()
    a = world.backend()

    def half_closing(c, r):
        c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        c.sock.shutdown(socket.SHUT_WR) if side == "backend" else c.sock.recv(1)  # its end, or the client's
        released.wait(PATIENCE)
        return False

    a.on("/ws", half_closing)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(UPGRADE)
    assert client.answer().status == 101
    if side == "client":
        client.sock.shutdown(socket.SHUT_WR)
    else:
        assert client.reader.rest() == b""
    epoch, end = drain(bench, WEBSOCKET)
    end()
    if side == "client":
        assert read_frame(client.reader) == (0x88, GOING_AWAY)
    bench.until(lambda s: [h["ending"] for h in bench.ask("holds")] in ([2], []))
    released.set()
    client.close()
    assert sum(x[WEBSOCKET] for x in left(bench, epoch)) == 1


def test_upgrade_to_something_else_ends_by_fin(world):
    a = world.backend()
    a.on("/ws", upgrade)  # what it speaks is no WebSocket, whatever it says
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(UPGRADE)
    assert client.answer().status == 101
    assert client.reader.exactly(5) == b"hello"
    epoch, end = drain(bench, WEBSOCKET)
    end()
    assert client.reader.rest() == b""
    client.close()
    assert left(bench, epoch) == only(WEBSOCKET, POLITELY)


# --- TCP -----------------------------------------------------------------------------------------


def tcp(backend, **rollout):
    return {"listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}},
            "services": {"db": {"backends": [f"127.0.0.1:{backend.getsockname()[1]}"], **rollout}}, "access_log": "on"}


@pytest.fixture
def tcp_backend():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def test_tcp_gets_a_fin_on_both_sides(world, tcp_backend):
    bench = world.bench(tcp(tcp_backend))
    client = world.client(bench)
    server, _ = tcp_backend.accept()
    client.send(b"question")
    assert Reader(server).exactly(8) == b"question"
    epoch, end = drain(bench, TCP)
    end()
    assert client.reader.rest() == b"" and server.recv(1) == b""
    client.close(), server.close()
    assert left(bench, epoch) == only(TCP, POLITELY)


def test_tcp_that_does_not_take_its_leave_is_reset(world, tcp_backend):
    bench = world.bench(tcp(tcp_backend))
    client = world.client(bench)
    server, _ = tcp_backend.accept()
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 1])
    epoch, end = drain(bench, TCP)
    end()
    assert client.reader.rest() == b"" and server.recv(1) == b""
    assert left(bench, epoch) == only(TCP, FORCED)
    for sock in (client.sock, server):
        with pytest.raises(ConnectionError):
            for _ in range(100):
                sock.sendall(b"x" * 1000)
                time.sleep(0.01)
    server.close()


# --- turns ---------------------------------------------------------------------------------------


def test_ends_are_spread_evenly_and_the_first_comes_at_once(world):
    count, spread = 10, 2000
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    clients = [open_socket(world, bench, sockets) for _ in range(count)]
    times, lock = [], threading.Lock()

    def await_close(client):
        assert read_frame(client.reader) == (0x88, GOING_AWAY)
        with lock:
            times.append(time.monotonic())
        client.send(frame(8, GOING_AWAY, b"abcd"))

    threads = [threading.Thread(target=await_close, args=(c,)) for c in clients]
    for thread in threads:
        thread.start()
    epoch, end = drain(bench, WEBSOCKET, spread)
    start = time.monotonic()
    end()
    # all have their turn; where processors are short some, or all, have had it before this is asked
    assert {h["ending"] for h in bench.ask("holds")} <= {1, 2}
    for thread in threads:
        thread.join(PATIENCE)
    assert len(times) == count
    # the last one's turn is at 9/10 of the time; none may come earlier than it has to, all may come late
    offsets = sorted(t - start for t in times)
    for i, offset in enumerate(offsets):
        assert offset > i * spread / count / 1000 - 0.15, offsets
    assert left(bench, epoch) == only(WEBSOCKET, POLITELY, count)


def test_what_is_taken_back_goes_on(world):
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    clients = [open_socket(world, bench, sockets) for _ in range(2)]
    epoch, end = drain(bench, WEBSOCKET, 3_600_000)
    end()
    first = {h["id"]: h["ending"] for h in bench.ask("holds")}
    assert sorted(first.values()) in ([1, 2], [1])  # one was told at once, one has its turn in half an hour
    bench.ask("end-kinds 0 0")  # an extension
    bench.until(lambda s: [h["ending"] for h in bench.ask("holds")] == [0])
    told = [c for c in clients if not is_silent(c)]
    assert len(told) == 1
    other = next(c for c in clients if c is not told[0])
    other.send(frame(1, b"still", b"mask"))
    assert read_frame(other.reader) == (0x81, b"still")
    other.close()
    assert left(bench, epoch)[BY_ITSELF][WEBSOCKET] == 1


def is_silent(client):
    client.sock.settimeout(1)
    try:
        return client.sock.recv(1, socket.MSG_PEEK) == b"nothing"
    except TimeoutError:
        return True
    finally:
        client.sock.settimeout(PATIENCE)


def test_an_operator_ends_one_at_once_and_politely(world):
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    bench = world.bench(web(a))
    clients = [open_socket(world, bench, sockets) for _ in range(3)]
    bench.ask("close-spread 0 3600000")
    bench.ask("drain 0")
    one = bench.ask("holds")[1]["id"]
    bench.ask(f"end {one}")
    bench.until(lambda s: one not in [h["id"] for h in bench.ask("holds")] or
                s["backends"][0]["active"][WEBSOCKET] == 3)
    told = [c for c in clients if not is_silent(c)]
    assert len(told) == 1 and read_frame(told[0].reader) == (0x88, GOING_AWAY)


def test_stopping_worker_says_goodbye_too(world):
    a, sockets = world.backend(), WebSockets()
    a.on("/ws", sockets)
    events = Events()
    bench = world.bench(web(a, rollout={"drain": {"websockets": "0s", "streams": "0s", "close_spread": "0s"}}))
    client = open_socket(world, bench, sockets)
    stream = open_events(world, bench, a, events)
    assert read_chunk(stream) == b"data: 1\n\n"
    bench.ask("terminate")
    assert read_frame(client.reader) == (0x88, GOING_AWAY)
    client.send(frame(8, GOING_AWAY, b"abcd"))
    assert read_chunk(stream) == b""
    assert client.reader.rest() == b""
    assert bench.ask("wait") == [0]
    assert sockets.closes == [GOING_AWAY]


def test_gauges_never_show_a_drained_backend_while_exchanges_change_their_class(world):
    """Uploads become requests and streams: the proof must not miss them on the way."""
    a = world.backend()

    def answer(c, r):
        c.body(r)
        c.send(EVENTS + chunk(b"data: 1\n\n"))
        release.wait(PATIENCE)
        c.send(b"0\r\n\r\n")

    release = threading.Event()
    a.on("/up", answer)
    bench = world.bench(web(a))
    client = world.client(bench)
    client.send(b"POST /up HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 1, 0, 0, 0])
    epoch = bench.ask("drain 0")["epoch"]
    for _ in range(50):
        client.send(chunk(b"x" * 100))
        assert not bench.ask(f"proof 0 {epoch}")["drained"]
    client.send(b"0\r\n\r\n")
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 1, 0, 0])
    assert not bench.ask(f"proof 0 {epoch}")["drained"]
    release.set()
    assert client.answer().body == b"data: 1\n\n"
    assert left(bench, epoch) == only(STREAM, BY_ITSELF)
