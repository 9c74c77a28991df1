"""Everything at once: clients and backends that do what they like while the table changes. Nothing is
asked of single exchanges but that a whole answer is the right one; in the end every gauge is back at
zero, no descriptor is left and memory is flat. CHAOS_SECONDS and CHAOS_SEED make more of it."""

import os
import random
import socket
import threading
import time

from harness import Client, sanitized, web
from test_attacks import MIB, Process, assert_at_rest

SECONDS = float(os.environ.get("CHAOS_SECONDS", 4))
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
    c.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    while True:
        data = c.sock.recv(65536)
        if not data or random.random() < 0.05:
            return False
        c.send(data)


def whole(c, r):
    c.body(r)
    c.answer(BODY)


def answer_twice(c, r):
    c.body(r)
    c.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nsmall"
           b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")


def behave(c, r):
    behaviour = random.choices(
        [whole, answer_in_chunks, cut_somewhere, answer_early, switch,
         lambda c, r: c.send(b"HTTP/1.1 102 Processing\r\n\r\n") or whole(c, r),
         answer_twice,
         lambda c, r: c.send(b"nonsense\r\n\r\n"),
         lambda c, r: reset(c.sock) or False,
         lambda c, r: False], weights=[10, 6, 3, 2, 4, 2, 1, 1, 2, 2])[0]
    return behaviour(c, r)


def talk(client):
    kind = random.random()
    path = f"/{random.randrange(100)}"
    if kind < 0.3:
        client.request(path)
    elif kind < 0.5:
        client.request(path, method=random.choice(["PUT", "POST"]), body=BODY[:random.randrange(65536)])
    elif kind < 0.6:
        client.send(b"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + b"10\r\n" + BODY[:16] + b"\r\n" * random.randrange(2) + b"0\r\n\r\n")
    elif kind < 0.75:
        client.send(b"GET /u HTTP/1.1\r\nHost: t\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
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
        client.send(b"ping" * random.randrange(1, 10000))
        client.sock.recv(1000)
        return False
    assert answer.status != 200 or answer.body in (BODY, b"small"), "not the body of this answer"
    return answer.field("connection") != "close"


def run_client(bench, ends, failures):
    while time.monotonic() < ends:
        client = Client(bench.port, timeout=5)
        try:
            while time.monotonic() < ends and talk(client):
                pass
        except AssertionError as failure:
            failures.append(repr(failure))
        except (OSError, EOFError, ValueError):
            pass
        if random.random() < 0.3:
            reset(client.sock)
        client.close()


def shake(bench, ends):
    """The table changes all the while."""
    kinds = [f"drain {slot}" for slot in range(4)] + [f"ready {slot}" for slot in range(4)] * 2
    kinds += [f"weight 0 {w}" for w in (0, 100, 5000, 10000)] + ["end-kinds 0 7", "end-kinds 1 2"]
    while time.monotonic() < ends:
        bench.ask(random.choice(kinds))
        bench.ask("holds")
        time.sleep(0.01)
    for slot in range(4):
        bench.ask(f"ready {slot}")


def run_all(bench, seconds):
    failures, ends = [], time.monotonic() + seconds
    threads = [threading.Thread(target=run_client, args=(bench, ends, failures)) for _ in range(16)]
    for thread in threads:
        thread.start()
    shake(bench, ends)
    for thread in threads:
        thread.join(30)
    assert failures == []


def test_everything_at_once_leaves_nothing_behind(world):
    random.seed(SEED)
    print("seed", SEED)
    backends = [world.backend(name) for name in "abcd"]
    for backend in backends:
        backend.handlers = Every(behave)
    bench = world.bench(web(*backends[:2], canary=backends[2:],
                            timeouts={"response": "2s", "body": "2s", "header": "2s", "tunnel": "2s"}))
    process = Process(bench)
    before = process.descriptors()
    run_all(bench, SECONDS / 2)
    assert_at_rest(bench, before)
    resident = process.resident()
    run_all(bench, SECONDS / 2)
    assert_at_rest(bench, before)
    if not sanitized():
        assert process.resident() - resident < 16 * MIB


class Every(dict):
    """One handler for every path."""

    def __init__(self, handler):
        super().__init__()
        self.handler = handler

    def get(self, key, default=None):
        return self.handler
