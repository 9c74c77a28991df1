"""Runs the real worker for the tests of this folder: the bench (worker_bench.c) stands for the
supervisor, the updater and health; backends are small raw servers that the tests can script."""

import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLUICE_BUILD", ROOT / "build" / "release"))
BENCH = BUILD / "tests" / "sluice-worker-bench"
WORKER = BUILD / "libexec" / "sluice" / "sluice-worker"
PATIENCE = 20  # seconds; only what fails waits so long


class Reader:
    """Reads a socket by lines and counts."""

    def __init__(self, sock):
        self.sock = sock
        self.file = sock.makefile("rb")

    def line(self):
        return self.file.readline()

    def exactly(self, count):
        data = self.file.read(count)
        if len(data) != count:
            raise EOFError(f"{len(data)} of {count} bytes")
        return data

    def rest(self):
        return self.file.read()

    def head(self):
        """First line and fields (names in lower case, in order); None at the end."""
        first = self.line()
        if not first.endswith(b"\r\n"):
            return None
        fields = []
        while True:
            line = self.line()
            if line == b"\r\n":
                return first[:-2].decode("latin-1"), fields
            if not line:
                return None
            name, _, value = line[:-2].decode("latin-1").partition(":")
            fields.append((name.lower(), value.strip()))

    def chunked(self):
        body = b""
        while True:
            size = int(self.line().split(b";")[0], 16)
            if size == 0:
                assert self.line() == b"\r\n"
                return body
            body += self.exactly(size)
            assert self.line() == b"\r\n"


def field(fields, name):
    values = [v for n, v in fields if n == name]
    return values[0] if values else None


class Answer:
    def __init__(self, status, fields, body):
        self.status, self.fields, self.body = status, fields, body

    def field(self, name):
        return field(self.fields, name)


class Client:
    """A raw HTTP client connection."""

    def __init__(self, port, timeout=10):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.reader = Reader(self.sock)

    def send(self, data):
        self.sock.sendall(data)

    def request(self, path="/", method="GET", fields=(), body=None, version="1.1"):
        lines = [f"{method} {path} HTTP/{version}", "Host: test"]
        lines += [f"{n}: {v}" for n, v in fields]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b""))

    def answer(self, method="GET", interim=False):
        while True:
            head = self.reader.head()
            if head is None:
                raise EOFError("connection closed")
            status = int(head[0].split(" ")[1])
            if status >= 200 or interim or status == 101:
                break
        fields = head[1]
        if method == "HEAD" or status in (204, 304) or status < 200:
            body = b""
        elif field(fields, "transfer-encoding") == "chunked":
            body = self.reader.chunked()
        elif field(fields, "content-length") is not None:
            body = self.reader.exactly(int(field(fields, "content-length")))
        else:
            body = self.reader.rest()
        return Answer(status, fields, body)

    def get(self, path="/", **options):
        self.request(path, **options)
        return self.answer(options.get("method", "GET"))

    def is_closed(self):
        """Waits for the end of the connection."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def close(self):
        self.reader.file.close()
        self.sock.close()


class Request:
    def __init__(self, line, fields):
        self.method, self.target, self.version = line.split(" ")
        self.fields = fields

    def field(self, name):
        return field(self.fields, name)


class Backend:
    """A raw backend: `handlers` map a path to a function(connection, request). A function returns
    False to end the connection. Unknown paths answer 200 with the backend's name."""

    def __init__(self, name="a"):
        self.name = name
        self.handlers = {}
        self.requests = []
        self.connection_count = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.sockets = []
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, path, function):
        self.handlers[path] = function

    def count(self, path=None):
        with self.lock:
            return sum(path is None or r.target == path for r in self.requests)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.connection_count += 1
                self.sockets.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        connection = Connection(self, sock)
        try:
            while True:
                head = connection.reader.head()
                if head is None:
                    break
                request = Request(*head)
                with self.lock:
                    self.requests.append(request)
                handler = self.handlers.get(request.target.split("?")[0], Connection.answer_name)
                if handler(connection, request) is False:
                    break
        except (OSError, EOFError, ValueError):
            pass
        finally:
            connection.close()

    def close(self):
        # shutdown wakes the thread in accept(); close alone would leave it, and the port, open
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        self.drop_connections()

    def drop_connections(self):
        with self.lock:
            sockets, self.sockets = self.sockets, []
        for sock in sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Connection:
    """One connection as the backend sees it."""

    def __init__(self, backend, sock):
        self.backend = backend
        self.sock = sock
        self.reader = Reader(sock)

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.reader.file.close()
        self.sock.close()

    def body(self, request):
        if request.field("transfer-encoding") == "chunked":
            return self.reader.chunked()
        return self.reader.exactly(int(request.field("content-length") or 0))

    def answer(self, body=b"", status="200 OK", fields=()):
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
        head += "".join(f"{n}: {v}\r\n" for n, v in fields)
        self.send(head.encode() + b"\r\n" + body)

    def answer_name(self, request):
        body = self.body(request)
        named = self.backend.name.encode()
        self.answer(hashlib.sha256(body).hexdigest().encode() if body else named)


class Bench:
    """Workers with a table of static backends."""

    def __init__(self, config, rows=1, descriptors=None, leak=(), prefix=()):
        """`descriptors`: a limit for the workers; the bench itself needs some 810. `leak`: open
        descriptors that reach the workers too. `prefix`: the command that runs it."""
        limit = [*prefix, *(["prlimit", f"--nofile={descriptors}"] if descriptors else [])]
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-proxy-")
        os.chmod(self.folder.name, 0o755)  # whoever it runs as
        path = Path(self.folder.name) / "config.json"
        path.write_text(json.dumps(config))
        self.log_path = Path(self.folder.name) / "log"
        self.log_file = open(self.log_path, "wb")
        self.process = subprocess.Popen(
            limit + [str(BENCH), str(WORKER), str(path), str(rows)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log_file, text=True,
            pass_fds=leak)
        self.ended = False
        ports = self.process.stdout.readline()
        if not ports or not self.process.stdout.readline():
            self.process.wait(PATIENCE)
            raise RuntimeError("bench did not start: " + self.log())
        self.ports = json.loads(ports)
        self.port = next(iter(self.ports.values()))

    def ask(self, command):
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("bench ended: " + self.log())
        self.ended = command == "wait"
        return json.loads(line)

    def _at_work(self):
        """Of the workers that have not slept since they woke: pid and count of sleeps."""
        found = set()
        for pid in Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:
                continue  # it has just ended
            if re.search(r"^State:\t[RD]", status, re.M):
                found.add((pid, re.search(r"^voluntary_ctxt_switches:\t(\d+)", status, re.M)[1]))
        return found

    def settle(self):
        """Waits until each worker has slept. An answer is out a moment before it is counted and logged,
        and where processors are short this moment is long."""
        try:
            busy, end = self._at_work(), time.monotonic() + PATIENCE
            while busy and time.monotonic() < end:
                time.sleep(0.0005)
                busy &= self._at_work()
        except OSError:
            pass  # the bench itself has ended

    def scores(self):
        self.settle()
        return self.ask("scores")

    def until(self, condition, seconds=PATIENCE):
        """Asks the scoreboard until the condition holds; returns the scores."""
        end = time.monotonic() + seconds
        while True:
            scores = self.scores()
            if condition(scores):
                return scores
            if time.monotonic() > end:
                raise AssertionError(f"not reached: {scores}\n{self.log()}")
            time.sleep(0.005)

    def log(self):
        self.settle()
        return self.log_path.read_text(errors="replace")

    def stop(self):
        """Ends the workers by SIGTERM; returns their exit statuses."""
        self.ask("terminate")
        impatient = threading.Timer(PATIENCE, self.process.kill)  # the workers die with it
        impatient.start()
        try:
            return self.ask("wait")
        finally:
            impatient.cancel()

    def pids(self):
        """Of the workers."""
        return self.ask("pids")

    def close(self):
        """Ends the workers as the supervisor does and holds that they end well, the last reports of
        sanitizers included. Clients and backends are gone by now."""
        try:
            statuses = [] if self.ended else self.stop()
            assert not any(statuses), f"{statuses}\n{self.log()}"
            assert self.process.wait(PATIENCE) == 0, self.log()
            for word in ("check-failed", "Sanitizer", "runtime error"):
                assert word not in self.log(), self.log()
        finally:
            self.process.kill()  # where it has not ended yet; its workers die with it
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.log_file.close()
            self.folder.cleanup()


def web(*backends, canary=(), listeners=None, limits=None, **service):
    """A config with one HTTP service. `limits`: the global ones."""
    timeouts = service.pop("timeouts", {})
    more = {"canary": [b.address for b in canary]} if canary else {}
    return {
        "listeners": listeners or {"web": {"address": "127.0.0.1:0"}},
        "services": {"web": {"backends": [b.address for b in backends], **more, **service}},
        "timeouts": timeouts,
        "limits": limits or {},
        "access_log": "on",
    }


def sanitized():
    """Whether the worker was built with the address sanitizer."""
    return b"__asan_init" in WORKER.read_bytes()


def unused_address():
    """An address that refuses connections."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return f"127.0.0.1:{sock.getsockname()[1]}"


@contextlib.contextmanager
def hanging_address():
    """An address where connects get no answer: its backlog is full."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        yield "127.0.0.1:%d" % full.getsockname()[1]
