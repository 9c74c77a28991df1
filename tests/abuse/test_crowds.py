"""Crowds of our own making, each of one kind. Memory stays bounded, nothing is left behind."""

import random
import socket
import threading

import pytest

from harness import sanitized

MIB = 1 << 20
HEADER = b"GET / HTTP/1.1\r\nHost: t\r\n"


def connect(port, receive=None):
    sock = socket.socket()
    if receive:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
    sock.settimeout(10)
    sock.connect(("127.0.0.1", port))
    return sock


def push(sock, data):
    try:
        sock.sendall(data)
    except OSError:
        pass  # cut off


def idle(port, round_number):
    return [connect(port) for _ in range(2000)] if round_number == 0 else []


def half_heads(port, round_number):
    socks = [connect(port) for _ in range(1000)] if round_number == 0 else []
    for sock in socks:
        push(sock, HEADER + b"X-%d: y\r\n" % random.randrange(100))
    return socks


def pipelines(port, round_number):
    socks = [connect(port, 4096) for _ in range(20)]
    for sock in socks:
        sock.settimeout(0.2)  # nothing is read: it blocks where the worker has had enough
        push(sock, (HEADER + b"\r\n") * 20000)
    return socks


def header_bombs(port, round_number):
    socks = [connect(port) for _ in range(200)]
    for i, sock in enumerate(socks):
        push(sock, HEADER + (b"A: b\r\n" * 100000 if i % 2 else b"X: " + b"y" * 500000))
    for sock in socks:
        sock.close()
    return []


def never_readers(port, round_number):
    socks = [connect(port, 4096) for _ in range(100)]
    for sock in socks:
        push(sock, b"GET /large HTTP/1.1\r\nHost: t\r\n\r\n")
    return socks


def churn(port, round_number):
    for i in range(500):
        sock = connect(port)
        if i % 3 == 1:
            push(sock, HEADER)
        elif i % 3 == 2:
            push(sock, HEADER + b"\r\n")
        if i % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        sock.close()
    return []


def small_chunks(port, round_number):
    socks = [connect(port) for _ in range(20)]
    for sock in socks:
        push(sock, b"POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1;x=y\r\nz\r\n" * 20000)
    return socks


def at_rest(scores):
    return (all(backend["active"] == [0, 0, 0, 0, 0] for backend in scores["backends"])
            and scores["rows"][0]["clients"] == 0)


def peak(bench):
    pid = bench.ask("pids")[0]
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) * 1024


# what may be held at the peak: 100 answers that nobody reads keep 256 KiB each
@pytest.mark.parametrize("crowd,bound", [(idle, 20 * MIB), (half_heads, 30 * MIB), (pipelines, 30 * MIB),
                                         (header_bombs, 40 * MIB), (never_readers, 300 * MIB), (churn, 20 * MIB),
                                         (small_chunks, 30 * MIB)], ids=lambda value: getattr(value, "__name__", None))
def test_crowd_does_not_reach_a_second_client(stage, visit, crowd, bound):
    bench = stage(8 * MIB, limits={"min_rate": 1000, "min_rate_window": "500ms"}, timeouts={"header": "2s"})
    visitor, socks = visit(bench), []
    before = peak(bench)
    try:
        for round_number in range(3):
            socks += crowd(bench.port, round_number)
        threading.Event().wait(2)  # the crowd is there, and goes on being there
        visitor.end()
        if not sanitized():
            assert peak(bench) - before < bound
    finally:
        for sock in socks:
            sock.close()
    scores = bench.until(at_rest, 15)
    pooled = sum(backend["open"] for backend in scores["backends"])
    bench.until(lambda s: s["rows"][0]["memory"] <= pooled * 2048)  # once a second


def test_crowd_within_a_small_memory_is_shed_and_never_the_end(stage, visit):
    """Nobody reads, and there is no memory for all: the worker lives, and serves when they are cut off."""
    bench = stage(8 * MIB, limits={"memory": "8m", "min_rate": 1000, "min_rate_window": "3s"})
    socks = []
    for n in range(10):  # as many as it takes while those before wait to be cut off
        socks += never_readers(bench.port, n)
        if bench.scores()["rows"][0]["refused"]["memory-pressure"] > 0:
            break
    assert bench.scores()["rows"][0]["refused"]["memory-pressure"] > 0
    scores = bench.until(lambda s: s["rows"][0]["accepted"] == len(socks) and s["rows"][0]["clients"] == 0
                         and s["rows"][0]["pressure"] == 0, 60)
    assert scores["rows"][0]["refused"]["slow-read"] > 0
    visit(bench).end()
    for sock in socks:
        sock.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0, 15)
    if not sanitized():
        assert peak(bench) < 60 * MIB


def test_crowd_past_the_descriptors_sheds_the_idle_and_backends_are_reached(stage, visit):
    bench = stage(descriptors=820)
    socks = [connect(bench.port) for _ in range(400)]
    for _ in range(4):
        threading.Event().wait(1.1)  # so that those before have been idle for a second
        visitor = visit(bench)
        socks += [connect(bench.port) for _ in range(300)]
        visitor.end(at_least=3)
    scores = bench.scores()
    assert scores["rows"][0]["refused"]["shed"] > 0 and scores["rows"][0]["refused"]["connect-failed"] == 0
    for sock in socks:
        sock.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0, 15)
