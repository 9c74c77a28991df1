"""What a tunnel costs the real worker in processor time per MiB, for two builds of it in turns:
messages that are sent one after the other, each when the last has arrived, and a stream.

    SLUICE_BUILD=$PWD/build/release tests/proxy/tunnel_bench.py WORKER WORKER [MIB] [ROUNDS]

docs/data-plane.md has what came out. One that never splices is built with PIPES_MAX 0."""

import socket
import sys
import threading
from pathlib import Path

import harness

CONFIG = {"address": "127.0.0.1:0", "protocol": "tcp", "service": "s"}
MIB = 1 << 20


def processor_us(pid):
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000


def take(sock, message):
    """All that comes; says so by one byte after each message (0: of no messages)."""
    buffer, got = bytearray(MIB), 0
    while count := sock.recv_into(buffer):
        got += count
        if message and got == message:
            sock.sendall(b"k")
            got = 0
    sock.close()


def measure(worker, message, total):
    """Returns microseconds per MiB, and how much of it was spliced, in per cent."""
    harness.WORKER = worker
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = "127.0.0.1:%d" % server.getsockname()[1]
        bench = harness.Bench({"listeners": {"l": CONFIG}, "services": {"s": {"backends": [address]}}})
        client = socket.create_connection(("127.0.0.1", bench.port))
        backend, _ = server.accept()
    taker = threading.Thread(target=take, args=(backend, message))
    taker.start()
    piece, pid = bytes(message or MIB), bench.pids()[0]
    before = processor_us(pid)
    for _ in range(total // len(piece)):
        client.sendall(piece)
        if message:
            client.recv(1)
    client.shutdown(socket.SHUT_WR)
    taker.join()
    client.recv(1)
    took = processor_us(pid) - before
    spliced = bench.scores()["rows"][0]["spliced"]
    client.close()
    bench.close()
    return took / (total / MIB), spliced * 100 // total


def main():
    workers = sys.argv[1:3]
    total = int(sys.argv[3] if len(sys.argv) > 3 else 256) * MIB
    rounds = int(sys.argv[4] if len(sys.argv) > 4 else 5)
    for message in [16 << 10, 64 << 10, 256 << 10, MIB, 0]:
        results = {worker: [] for worker in workers}
        for number in range(rounds):
            for worker in workers if number % 2 else reversed(workers):
                results[worker].append(measure(worker, message, total))
        for worker, figures in results.items():
            took = sorted(us for us, _ in figures)
            print(f"{message or 'stream':>8}  median {took[rounds // 2]:7.1f}  best {took[0]:7.1f} us/MiB  "
                  f"spliced {figures[0][1]:3} %  {worker}", flush=True)


if __name__ == "__main__":
    main()
