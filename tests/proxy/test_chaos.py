"""Everything at once: clients and backends that do what they like while the table changes, with every
feature in some mix. Nothing is asked of single exchanges but that a whole answer is the right one; in the
end every gauge is back at zero, no descriptor and no memory is left, and every backend drains.
CHAOS_SECONDS and CHAOS_SEED make more of it."""

import contextlib
import os
import random
import socket
import ssl
import subprocess
import threading
import time

import pytest

from harness import Client, Reader, sanitized, web
from test_attacks import MIB, Process, assert_at_rest

SECONDS = float(os.environ.get("CHAOS_SECONDS", 2))
SEED = int(os.environ.get("CHAOS_SEED", random.randrange(10**6)))
BODY = b"0123456789abcdef" * 4096
RESET = b"\1\0\0\0\0\0\0\0"


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def answer_in_chunks(c, r):
    c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for i in range(0, len(BODY), 4096):
        c.send(b"1000\r\n" + BODY[i:i + 4096] + b"\r\n")
    c.send(b"0\r\n\r\n")


def cut_somewhere(c, r):
    text = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY
    c.send(text[:random.randrange(len(text))])
    if random.random() < 0.5:
        reset(c.sock)
    return False


def answer_early(c, r):
    c.answer(BODY, status="413 Content Too Large")
    return random.random() < 0.5


def switch(c, r):
    if r.field("upgrade") is None:
        return c.answer(BODY)
    protocol = r.field("upgrade")
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n" % protocol.encode())
    while True:
        data = c.sock.recv(65536)
        if not data or random.random() < 0.05:
            return False
        c.send(data if protocol == "x" else some_frames(b""))
        if random.random() < 0.1:
            c.sock.shutdown(socket.SHUT_WR)
            c.sock.recv(1)
            return False


def some_frames(mask):
    """Of a WebSocket; now and then with a close, or cut, or with what is none."""
    kinds = [0x81, 0x02, 0x00, 0x89, 0x88] + ([0x83] if random.random() < 0.1 else [])
    frames = b"".join(bytes([kind, len(mask) << 5 | size]) + mask + BODY[:size]
                      for kind, size in ((random.choice(kinds), random.choice([0, 5, 100])) for _ in range(3)))
    return frames[:random.randrange(1, len(frames))] if random.random() < 0.5 else frames


def stream_events(c, r):
    """Whole events, in pieces that end anywhere."""
    c.body(r)
    c.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    text = random.choice([b"data: 1\n\n", b"data: 2\r\n\r\n", b"event: x\rdata: 3\r\r"]) * random.randrange(1, 20)
    while text:
        size = random.randrange(1, len(text) + 1)
        c.send(b"%x\r\n%s\r\n" % (size, text[:size]))
        text = text[size:]
        time.sleep(random.random() * 0.1)
    c.send(b"0\r\n\r\n")


def whole(c, r):
    c.body(r)
    c.answer(BODY)


def answer_twice(c, r):
    c.body(r)
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall"
           b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")


def miss(c, r):
    c.body(r)
    c.answer(b"not here", status="404 Not Found")
    return random.random() < 0.8


def fail(c, r):
    c.body(r)
    c.answer(b"", status="500 Internal Server Error")


def behave(c, r):
    if r.target.endswith(".js") and random.random() < 0.7:
        return miss(c, r)
    behaviour = random.choices(
        [whole, answer_in_chunks, cut_somewhere, answer_early, switch,
         lambda c, r: c.send(b"HTTP/1.1 102 Processing\r\n\r\n") or whole(c, r),
         answer_twice, fail,
         lambda c, r: c.send(b"nonsense\r\n\r\n"),
         lambda c, r: reset(c.sock) or False,
         lambda c, r: False, stream_events], weights=[10, 6, 3, 2, 4, 2, 1, 2, 1, 2, 2, 2])[0]
    try:
        return behaviour(c, r)
    except AssertionError:  # a chunk that was none
        return False


def talk(client):
    kind = random.random()
    path = f"/{random.randrange(100)}" + random.choice(["", "", ".js"])
    if kind < 0.3:
        client.request(path, fields=random.choices(
            [("X-Key", str(random.randrange(20))), ("Preview", "yes"), ("X-Match", "yes"), ("Cookie", "match=yes; user=forged"), ("Cookie", client.cookie)],
            k=random.randrange(3)))
    elif kind < 0.5:
        client.request(path, method=random.choice(["PUT", "POST"]), body=BODY[:random.randrange(65536)])
    elif kind < 0.6:
        client.send(b"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"10\r\n" + BODY[:16] + b"\r\n" * random.randrange(2) + b"0\r\n\r\n")
    elif kind < 0.75:
        client.send(b"GET /u HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: %s\r\n\r\n"
                    % random.choice([b"x", b"websocket"]))
    elif kind < 0.85:
        client.send(b"GET /p HTTP/1.1\r\nHost: t\r\n\r\n" * random.randrange(2, 10))
    elif kind < 0.95:
        client.send(b"GET / HTTP/1.1\r\nHost: t\r\nX: " + BODY[:random.randrange(3000)])
    else:
        client.send(os.urandom(random.randrange(1, 200)))
    if random.random() < 0.2:
        client.sock.shutdown(socket.SHUT_WR)
    if random.random() < 0.2:
        return False
    answer = client.answer()
    if answer.status == 101:
        client.send(b"ping" * random.randrange(1, 10000) if answer.field("upgrade") == "x" else some_frames(b"mask"))
        if random.random() < 0.3:
            client.sock.shutdown(socket.SHUT_WR)
        client.sock.recv(1000)
        client.sock.recv(1000)
        return False
    client.cookie = (answer.field("set-cookie") or client.cookie).partition(";")[0]
    if answer.field("content-type") == "text/event-stream":  # ended by whomever, no part of an event
        assert client.raw or answer.body[-2:] in (b"\n\n", b"\r\r", b"\r\n", b""), answer.body
    else:
        assert client.raw or answer.status != 200 or answer.body in (BODY, b"small"), "not the body of this answer"
    return answer.field("connection") != "close"


class Caller(Client):
    """A client of one of the listeners, that keeps its cookie."""

    def __init__(self, bench, cookie):
        name = random.choice(list(bench.ports))
        super().__init__(bench.ports[name], timeout=5)
        self.cookie, self.raw = cookie, name == "raw"  # there, what a backend did not read is its next request
        if name == "tls" and random.random() < 0.9:
            self.reader.file.close()
            self.sock = UNVERIFIED.wrap_socket(self.sock, suppress_ragged_eofs=False)
            self.reader = Reader(self.sock)


def run_client(bench, ends, failures):
    cookie = ""
    while time.monotonic() < ends:
        client = None
        try:
            client = Caller(bench, cookie)
            while time.monotonic() < ends and talk(client):
                pass
        except AssertionError as failure:
            failures.append(repr(failure))
        except (OSError, EOFError, ValueError, IndexError):
            pass
        if client is None:
            continue
        cookie = client.cookie
        if random.random() < 0.3:
            reset(client.sock)
        try:
            client.close()
        except OSError:
            pass


def shake(bench, ends):
    """The table changes all the while."""
    kinds = [f"drain {slot}" for slot in range(4)] + [f"ready {slot}" for slot in range(4)] * 2
    kinds += [f"weight 0 {w}" for w in (0, 100, 5000, 10000)] + ["end-kinds 0 31", "end-kinds 1 8", "salt 0 1", "salt 0 2"]
    kinds += ["hold 0 50", "hold 0 0"] + [f"mirror 0 {share}" for share in (0, 3000, 10000)] + [f"match 0 {k}" for k in range(3)]
    kinds += ["end-kinds 2 31", "end-kinds 3 12", "close-spread 0 200"]
    while time.monotonic() < ends:
        bench.ask(random.choice(kinds))
        holds = bench.ask("holds")
        if holds and random.random() < 0.2:
            bench.ask(f"end {random.choice(holds)['id']}")
        time.sleep(0.01)
    for slot in range(4):
        bench.ask(f"ready {slot}")
    for command in ("hold 0 0", "mirror 0 0", "match 0 0"):
        bench.ask(command)


def begin(bench, seconds, failures):
    ends = time.monotonic() + seconds
    threads = [threading.Thread(target=run_client, args=(bench, ends, failures)) for _ in range(16)]
    for thread in threads:
        thread.start()
    return ends, threads


def run_all(bench, seconds):
    failures = []
    ends, threads = begin(bench, seconds, failures)
    shake(bench, ends)
    for thread in threads:
        thread.join(30)
    assert failures == []


UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE

TIMEOUTS = {"response": "2s", "body": "2s", "header": "2s", "tunnel": "2s", "idle": "2s", "connect": "500ms"}
EJECTION = {"failures": 3, "time": "1s", "max_ejection_percent": 60}
MIXES = {
    "plain": {},
    "users": {"sticky": {"cookie": "user"}, "preview": {"header": {"name": "Preview", "value": "yes"}}, "retry_assets": True,
              "ejection": EJECTION, "hold": {"max": 4, "timeout": "300ms"}},
    "room": {"max_connections": 2, "queue": {"max": 4}, "timeouts": {"queue": "300ms"}, "retry_assets": True,
             "ejection": EJECTION, "retries": {"attempts": 3}, "balance": "round_robin", "rows": 2},
    "users' room": {"max_connections": 1, "queue": {"max": 20}, "sticky": {"cookie": "user"}, "slow_start": "500ms",
                    "retry_assets": True, "hold": {"max": 20, "timeout": "1s"}, "rows": 2},
    "hash": {"balance": "hash", "hash": {"header": "X-Key"}, "max_connections": 3, "queue": {"max": 8},
             "retry_assets": True, "ejection": EJECTION, "rows": 2},
    "limits": {"limits": {"connections": 12, "memory": "2m", "min_rate": 20000, "min_rate_window": "100ms",
                          "requests_per_client": {"rate": 400, "burst": 50}, "body": "32k", "header_bytes": "2k"}},
    "per client": {"limits": {"connections_per_client": 6, "body": "32k"}, "sticky": {"client_address": True},
                   "max_connections": 2},
}


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chaos")
    pair = {"cert": str(folder / "cert.pem"), "key": str(folder / "key.pem")}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=t", "-addext", "subjectAltName=DNS:t", "-keyout", pair["key"], "-out", pair["cert"]],
                   check=True, capture_output=True, timeout=60)
    (folder / "busy.html").write_text("busy")
    return pair, str(folder / "busy.html")


def open_all(world, mix, certificate):
    """A bench with listeners of all kinds and four backends, two of them canaries."""
    random.seed(SEED)
    print("seed", SEED)
    options = {**MIXES[mix]}
    backends = [world.backend(name) for name in "abcd"]
    for backend in backends:
        backend.handlers = Every(behave)
    rows, pair = options.pop("rows", 1), certificate[0]
    config = web(*backends[:2], canary=backends[2:], timeouts={**TIMEOUTS, **options.pop("timeouts", {})},
                 rollout={"drain": {"requests": "1s", "websockets": "1s", "tcp": "1s"}}, **options)
    config["listeners"] |= {"tls": {"address": "127.0.0.1:0", "tls": {"certificates": [pair]}},
                            "next": {"address": "127.0.0.1:0", "service": "web", "group": "canary"},
                            "raw": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "raw"}}
    config["services"]["raw"] = {"backends": [backends[0].address], "max_connections": 3, "queue": {"max": 2}}
    config["error_pages"] = {"5xx": certificate[1]}
    return world.bench(config, rows), backends


def assert_drains(bench, backends):
    """And all that was held for them is given back."""
    for slot in range(len(backends)):
        epoch = bench.ask(f"drain {slot}")["epoch"]
        assert bench.ask(f"await-drained {slot} {epoch}")["drained"], f"{slot}: {bench.scores()}"
    bench.ask("drain 4")  # the raw service's
    bench.until(lambda s: all(b["open"] == b["ejected"] == 0 for b in s["backends"])
                and all(r["memory"] == r["pressure"] == 0 for r in s["rows"]), 10)


@pytest.mark.parametrize("mix", MIXES)
def test_everything_at_once_leaves_nothing_behind(world, certificate, mix):
    bench, backends = open_all(world, mix, certificate)
    process = Process(bench)
    before = process.descriptors()
    run_all(bench, SECONDS / 2)
    assert_at_rest(bench, before)
    resident = process.resident()
    run_all(bench, SECONDS / 2)
    assert_at_rest(bench, before)
    if not sanitized():
        assert process.resident() - resident < 16 * MIB
    bench.until(lambda s: sum(r["memory"] for r in s["rows"]) < MIB)
    for backend in backends:
        backend.handlers = {}
    with contextlib.closing(Client(bench.port)) as client:
        assert client.get("/").status == 200
    assert_drains(bench, backends)


@pytest.mark.parametrize("mix", ["users", "room", "limits"])
def test_a_worker_that_stops_in_the_middle_of_it_ends(world, certificate, mix):
    bench, _ = open_all(world, mix, certificate)
    _, threads = begin(bench, 1.5, [])
    shake(bench, time.monotonic() + 0.5)
    bench.ask("retire")
    shake(bench, time.monotonic() + 0.3)
    assert not any(bench.stop())
    for thread in threads:
        thread.join(30)


class Every(dict):
    """One handler for every path."""

    def __init__(self, handler):
        super().__init__()
        self.handler = handler

    def get(self, key, default=None):
        return self.handler
