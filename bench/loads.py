"""What is done to a subject: each load runs for some seconds and says what its client saw."""
import contextlib
import json
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

from figures import quantile
from processes import fail

FOLDER = pathlib.Path(__file__).resolve().parent
GRACE_SECONDS = 60  # past its time a client is broken


def run(command, seconds):
    try:
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=seconds + GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        fail(f"{command[0]} did not end in its time")
    if done.returncode != 0:
        fail(f"{command[0]}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def read_wrk(text, close):
    """wrk's figures; it counts the server's orderly close after "Connection: close" as a read error."""
    found = json.loads(text.strip().splitlines()[-1])
    failed = sum(found[kind] for kind in ("connect", "write", "status", "timeout")) + (0 if close else found["read"])
    return {"requests": found["requests"], "requests_per_s": found["requests"] / found["seconds"],
            "p50_us": found["p50_us"], "p99_us": found["p99_us"], "p999_us": found["p999_us"], "failed": failed}


def wrk(port, seconds, path, connections, close=False, tls=False, host=None, cookie=None, services=0):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", FOLDER / "wrk.lua"]
    if close:
        command += ["-H", "Connection: close"]
    if host is not None:
        command += ["-H", f"Host: {host}"]
    if cookie is not None:
        command += ["-H", f"Cookie: {cookie}"]
    scheme = "https" if tls else "http"
    return read_wrk(run([*command, f"{scheme}://127.0.0.1:{port}{path}", "--", services], seconds), close)


def from_times(times, failed, seconds):
    times = sorted(times)
    return {"requests": len(times), "requests_per_s": len(times) / seconds, "p50_us": quantile(times, 0.5),
            "p99_us": quantile(times, 0.99), "p999_us": quantile(times, 0.999), "failed": failed}


def read_h2load(lines):
    """The log that h2load writes: start, status, microseconds."""
    times, failed = [], 0
    for line in lines:
        _, status, time_us = line.split("\t")
        if status == "200":
            times.append(int(time_us))
        else:
            failed += 1
    return times, failed


def fixed_rate(port, seconds, path, connections, rate):
    """So many requests a second, whatever the answers take."""
    with tempfile.NamedTemporaryFile("r", prefix="h2load") as log:
        run(["h2load", "--h1", "-t1", f"-c{connections}", f"--rps={rate / connections}", f"--duration={seconds}",
             f"--log-file={log.name}", f"http://127.0.0.1:{port}{path}"], seconds)
        times, failed = read_h2load(log)
    return from_times(times, failed, seconds)


def handshakes(port, seconds, kind):
    """Two clients at once, for one waits for its own half of each handshake."""
    command = [sys.executable, FOLDER / "handshakes.py", port, seconds, kind]
    clients = [subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
               for _ in range(2)]
    times, failed = [], 0
    for client in clients:
        out, err = client.communicate(timeout=seconds + GRACE_SECONDS)
        if client.returncode != 0:
            fail(err.strip())
        found = json.loads(out)
        times += found["times_us"]
        failed += found["failed"]
    return from_times(times, failed, seconds)


class Idle:
    """Connections that have asked once and wait."""

    def __init__(self, port, tls=False):
        self.port, self.sockets, self.context = port, [], None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self.context.check_hostname = False
            self.context.verify_mode = ssl.CERT_NONE

    def grow(self, count):
        while len(self.sockets) < count:
            sock = socket.create_connection(("127.0.0.1", self.port), 10)
            if self.context is not None:
                sock = self.context.wrap_socket(sock)
            sock.sendall(b"GET /100 HTTP/1.1\r\nHost: bench.example\r\n\r\n")
            answer = b""
            while not answer.endswith(b"x" * 100):
                data = sock.recv(4096)
                if not data:
                    fail(f"an idle connection was closed after {answer[:100]!r}")
                answer += data
            self.sockets.append(sock)

    def close(self):
        for sock in self.sockets:
            sock.close()


def settle(read, seconds=5.0):
    """A figure once it is no longer falling: allocators give back late."""
    end, last = time.monotonic() + seconds, read()
    while time.monotonic() < end:
        time.sleep(0.5)
        now = read()
        if now >= last:
            return now
        last = now
    return last


@contextlib.contextmanager
def beside(load, port, seconds):
    """A load that runs while something else is measured."""
    thread = threading.Thread(target=load, args=(port, seconds))
    thread.start()
    try:
        time.sleep(0.5)  # it has begun
        yield
    finally:
        thread.join()
