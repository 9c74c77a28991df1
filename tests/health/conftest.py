"""The real sluice-health between boards that health_bench makes: see the top of health_bench.c."""
import http.server
import json
import os
import pathlib
import queue
import socket
import subprocess
import tempfile
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build/release"))
PATIENCE = 20  # seconds; only a test that fails waits so long


class Bench:
    """One run of health_bench. `lines` is everything that it has said."""

    def __init__(self, folder, check, **service):
        self.folder = folder
        config = folder / "config.json"
        config.write_text(json.dumps({
            "listeners": {"web": {"address": "127.0.0.1:0"}},
            "services": {"web": {"discover": {"label": "test"}, "port": 9, "healthcheck": check,
                                 **service}}}))
        self.log = (folder / "health.log").open("wb+")
        self.process = subprocess.Popen(
            [BUILD / "tests/health_bench", BUILD / "libexec/sluice/sluice-health", config],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True, bufsize=1)
        self.lines = []
        self._unread = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.wait(lambda line: line == "ready")

    def _read(self):
        for line in self.process.stdout:
            self._unread.put(line.rstrip("\n"))
        self._unread.put(None)

    def say(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()

    def add(self, address, slot=0, age_ms=0):
        self.say("add", slot, "web", address, "-" if age_ms is None else age_ms)

    def wait(self, wanted, patience=PATIENCE):
        """The next line that is wanted; those before it are passed over."""
        deadline = time.monotonic() + patience
        while True:
            try:
                line = self._unread.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"not said within {patience} s; said: {self.lines[-20:]}") from None
            assert line is not None, f"health_bench has ended; said: {self.lines[-20:]}\n{self.log_text()}"
            self.lines.append(line)
            if wanted(line):
                return line

    def verdict(self, slot=0, patience=PATIENCE):
        """The next change of a slot's verdict: (state, reason)."""
        line = self.wait(lambda line: line.startswith(f"verdict {slot} "), patience)
        words = line.split(" ", 4)
        return words[3], words[4]

    def no_verdict(self, seconds):
        """Holds that no verdict changes for so long."""
        try:
            line = self.wait(lambda line: line.startswith("verdict "), seconds)
        except AssertionError:
            return
        raise AssertionError(f"a verdict changed: {line}")

    def show(self, slot=0):
        """What the board says now."""
        self.say("show")
        return self.verdict(slot)

    def log_text(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(errors="replace")

    def stop(self):
        """Ends it by SIGTERM; returns the exit code of sluice-health."""
        self.process.stdin.close()
        code = self.process.wait(PATIENCE)
        self._reader.join()
        self.log.close()
        return code


@pytest.fixture
def start_bench(tmp_path):
    """start_bench(check) gives a Bench. At the end each one must end well."""
    benches = []

    def start(check, **service):
        folder = tmp_path / str(len(benches))
        folder.mkdir()
        benches.append(Bench(folder, check, **service))
        return benches[-1]

    yield start
    for bench in benches:
        code = bench.stop()
        text = pathlib.Path(bench.log.name).read_text(errors="replace")
        print(text)
        assert code == 0
        assert "check-failed" not in text
        assert "Sanitizer" not in text and "runtime error" not in text


class Backend:
    """An HTTP backend that answers as it is told to, and notes what it was asked."""

    def __init__(self):
        self.status, self.body, self.headers = 200, b"fine", {}
        self.seen = []
        self.hold = None  # an Event: answers wait for it
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                backend.seen.append((self.path, self.headers["Host"], self.client_address[1], time.monotonic()))
                if backend.hold is not None:
                    backend.hold.wait()
                body = backend.body
                self.send_response(backend.status)
                for name, value in backend.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024

            def handle_error(self, *_):
                pass  # a check that timed out has hung up

        self.server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        if self.hold is not None:
            self.hold.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def backend():
    backend = Backend()
    yield backend
    backend.close()


@pytest.fixture
def closed_address():
    """An address that refuses connections, and stays ours meanwhile."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield "127.0.0.1:%d" % taken.getsockname()[1]


@pytest.fixture
def open_folder():
    """A folder that check scripts, which run unprivileged, can write to."""
    with tempfile.TemporaryDirectory(prefix="sluice-test-") as folder:
        os.chmod(folder, 0o777)
        yield pathlib.Path(folder)
