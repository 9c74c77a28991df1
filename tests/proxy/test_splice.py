"""Tunnels in bulk go through pipes: what arrives, how they end, and what they give back."""

import os
import random
import signal
import socket
import threading
import time
import zlib
from pathlib import Path

import pytest

from test_tunnel_ends import (KINDS, SIDES, Pair, config, descriptors, idle, quietly, read_to_end, reset, sees_reset,
                              send_and_end, worker_of)

MIB = 1 << 20
PIPES_MAX = 16  # proxy/limits.h


def spliced(bench):
    return bench.scores()["rows"][0]["spliced"]


class Flow:
    """Bytes one way without end, until the socket is closed or stop() is called."""

    def __init__(self, sender):
        self.sender, self.stopped = sender, False
        self.thread = threading.Thread(target=quietly, args=(self._send,), daemon=True)
        self.thread.start()

    def _send(self):
        piece = bytes(MIB)
        while not self.stopped:
            self.sender.sendall(piece)

    def stop(self, receiver):
        """Returns when all that was sent has been read."""
        self.stopped = True
        reader = threading.Thread(target=self._take, args=(receiver,), daemon=True)
        reader.start()
        self.thread.join(20)
        self.sender.sendall(b"!")
        reader.join(20)
        assert not reader.is_alive()

    @staticmethod
    def _take(receiver):
        while not receiver.recv(MIB).endswith(b"!"):
            pass


def bulk(pair, sender, receiver):
    """Sends until it is spliced."""
    flow, before = Flow(sender), spliced(pair.bench)
    while spliced(pair.bench) < before + MIB:
        receiver.recv(MIB)
    return flow


def checksum(sock):
    """Of all that comes."""
    value = 0
    while piece := sock.recv(MIB):
        value = zlib.crc32(piece, value)
    return value


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("slow", [None, *SIDES], ids=["fast", "slow-client", "slow-backend"])
def test_bulk_both_ways_arrives_whole(world, kind, slow):
    pair = Pair(world, kind)
    there, back = os.urandom(20 * MIB), os.urandom(16 * MIB + 1)
    got = {}

    def read(name, sock):
        data = bytearray()
        while piece := sock.recv(MIB if name != slow else 200_000):
            data += piece
            if name == slow and len(data) % 7 == 0:
                time.sleep(0.002)  # the pace of a slow reader: the pipe fills
        got[name] = data

    threads = [threading.Thread(target=read, args=side)
               for side in (("client", pair.client), ("backend", pair.backend))]
    for thread in threads:
        thread.start()
    threads += [send_and_end(pair.client, there), send_and_end(pair.backend, back)]
    for thread in threads:
        thread.join(30)
    assert got["backend"] == there and got["client"] == back
    scores = pair.bench.until(idle)
    backend = scores["backends"][0]
    heads = 0 if kind == "tcp" else 400
    assert 0 <= backend["bytes_out"] - len(there) <= heads
    assert 0 <= backend["bytes_in"] - len(back) <= heads
    assert scores["rows"][0]["spliced"] > 16 * MIB
    assert "why=done" in pair.bench.log()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", SIDES)
def test_end_of_sending_comes_behind_every_byte(world, kind, first):
    """At sizes around the one where splicing begins, and while the other side sends too."""
    first_pair = Pair(world, kind)
    sizes = random.Random(4)
    for _ in range(20):
        pair = Pair(world, kind, first_pair.bench, first_pair.listener.dup())
        ender, other = pair.sides(first)
        question = os.urandom(sizes.randrange(MIB // 2, 5 * MIB))
        answer = os.urandom(sizes.randrange(0, 5 * MIB))
        sending = send_and_end(ender, question)
        if sizes.random() < 0.5:
            answering = send_and_end(other, answer)
            assert read_to_end(other) == question
        else:
            assert read_to_end(other) == question
            answering = send_and_end(other, answer)
        assert read_to_end(ender) == answer
        sending.join(20), answering.join(20)
    assert spliced(first_pair.bench) > 0
    first_pair.bench.until(lambda s: sum(s["backends"][0]["active"]) == 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", SIDES)
@pytest.mark.parametrize("by", ["sender", "receiver"])
def test_reset_in_bulk_is_one_for_the_other(world, kind, first, by):
    keeper = Pair(world, kind)
    worker = worker_of(keeper.bench)
    before = descriptors(worker)
    pair = Pair(world, kind, keeper.bench, keeper.listener.dup())
    sender, receiver = pair.sides(first)
    flow = bulk(pair, sender, receiver)
    if by == "receiver":
        reset(receiver)
        flow.thread.join(20)
        assert not flow.thread.is_alive(), "its sending went on"
    else:
        met = []
        reader = threading.Thread(target=lambda: met.append(sees_reset(receiver)), daemon=True)
        reader.start()
        flow.stopped = True
        flow.thread.join(20)
        reset(sender)
        reader.join(20)
        assert met == [True]
    ends_by_client = (first == "client") == (by == "sender")
    keeper.bench.until(lambda s: sum(s["backends"][0]["active"]) == 1)
    assert ("why=client-closed" if ends_by_client else "why=backend-broke-off") in keeper.bench.log()
    assert descriptors(worker) == before


@pytest.mark.parametrize("first", SIDES)
def test_it_goes_back_to_copying_and_again_to_bulk(world, first):
    pair = Pair(world, "tcp")
    worker = worker_of(pair.bench)
    before = descriptors(worker)
    sender, receiver = pair.sides(first)
    for _ in range(3):
        flow = bulk(pair, sender, receiver)
        assert descriptors(worker) == before + 2
        flow.stop(receiver)
        for _ in range(50):
            sender.sendall(b"question")
            assert receiver.recv(100) == b"question"
        assert descriptors(worker) == before
        copied = spliced(pair.bench)
        sender.sendall(b"question")
        assert receiver.recv(100) == b"question"
        assert spliced(pair.bench) == copied


@pytest.mark.parametrize("first", SIDES)
def test_drain_ends_a_tunnel_with_a_full_pipe(world, first):
    keeper = Pair(world, "tcp")
    worker = worker_of(keeper.bench)
    before = descriptors(worker)
    alone = keeper.bench.until(lambda s: s["rows"][0]["memory"] > 0)["rows"][0]["memory"]
    pair = Pair(world, "tcp", keeper.bench, keeper.listener.dup())
    flow = bulk(pair, *pair.sides(first))
    still = -1
    while still != (still := spliced(keeper.bench)):
        time.sleep(0.05)  # nobody reads: until nothing moves
    keeper.bench.until(lambda s: s["rows"][0]["memory"] > 2 * alone)  # the pipe's bytes count
    keeper.bench.ask("end-kinds 0 16")
    keeper.bench.until(idle)
    flow.thread.join(20)
    assert not flow.thread.is_alive()
    assert descriptors(worker) == before - 2  # the keeper's own are gone too


def test_worker_that_stops_ends_a_tunnel_with_a_full_pipe(world):
    pair = Pair(world, "tcp", tunnel="400ms")
    flow = bulk(pair, pair.client, pair.backend)
    assert pair.bench.stop() == [0]
    flow.thread.join(20)
    assert not flow.thread.is_alive()


def descriptors_stopped(pid):
    """While none is opened or closed: what changes as it is counted may be counted twice."""
    os.kill(pid, signal.SIGSTOP)
    try:
        while Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "T":
            pass
        return descriptors(pid)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_200_tunnels_in_bulk_share_the_pipes(world):
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    bench = world.bench(config("tcp", "127.0.0.1:%d" % listener.getsockname()[1], {}))
    worker = worker_of(bench)
    Pair(world, "tcp", bench, listener.dup()).close()
    bench.until(lambda s: s["backends"][0]["exchanges"] == 1 and idle(s))  # it has started
    before = descriptors(worker)
    data = os.urandom(8 * MIB)
    pairs = [Pair(world, "tcp", bench, listener.dup()) for _ in range(200)]
    got, threads = [], []
    for pair in pairs:
        threads.append(threading.Thread(target=lambda p=pair: got.append(checksum(p.backend))))
        threads[-1].start()
        threads.append(send_and_end(pair.client, data))
    most = 0
    while alive := [thread for thread in threads if thread.is_alive()]:
        most = max(most, descriptors_stopped(worker))
        alive[0].join(0.01)  # the worker has to have time to run
    assert got == [zlib.crc32(data)] * 200
    assert before + 400 + PIPES_MAX < most <= before + 400 + 2 * PIPES_MAX
    for pair in pairs:
        pair.close()
    bench.until(idle)
    assert descriptors(worker) == before
    assert spliced(bench) > 0
