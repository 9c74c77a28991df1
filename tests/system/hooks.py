"""The other side of hooks, verifications and notifications: an HTTP server that a test steers."""
import http.server
import json
import threading

import pytest

PATIENCE = 20  # seconds


class Receiver:
    """Records what it is sent, and answers as the test says: `answers[path]` is a status, or a
    (status, headers, body), or a function of the request that returns one of these. Without: 200."""

    def __init__(self):
        receiver = self
        self.requests = []  # (path, headers, JSON or text)
        self.answers = {}
        self.changed = threading.Condition()
        self.released = threading.Event()  # what hangs goes on

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_any(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                receiver.take(self, json.loads(body) if body.startswith("{") else body)

            do_GET = do_POST = do_PUT = do_any

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.block_on_close = False
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def take(self, handler, body):
        with self.changed:
            self.requests.append((handler.path, handler.headers, body))
            self.changed.notify_all()
        answer = self.answers.get(handler.path, 200)
        if callable(answer):
            answer = answer(body)
        status, headers, text = answer if isinstance(answer, tuple) else (answer, {}, "")
        try:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text.encode())
        except OSError:
            pass  # it did not wait for the answer

    def hang(self, body):
        """An answer that does not come before the test has ended."""
        self.released.wait(120)
        return 200

    def of(self, path):
        with self.changed:
            return [body for where, _, body in self.requests if where == path]

    def wait(self, path, count=1, timeout=PATIENCE):
        with self.changed:
            assert self.changed.wait_for(
                lambda: sum(where == path for where, _, _ in self.requests) >= count, timeout), \
                f"{count} of {path} did not come; there were {[where for where, _, _ in self.requests]}"
        return self.of(path)

    def close(self):
        self.released.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    value = Receiver()
    yield value
    value.close()
