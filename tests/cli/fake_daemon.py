"""An admin API that plays what a test tells it: scripted answers and events on a Unix socket.

It follows docs/admin-api.md as far as the command uses it. Every connection has a thread; a test talks
to it through `answers`, `publish()` and `wait_for()`, so that nothing here needs a clock.
"""
import http.server
import json
import os
import socketserver
import threading
import urllib.parse


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    block_on_close = False


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *arguments):
        pass

    def reply(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_any(self):
        daemon = self.server.daemon
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urllib.parse.urlsplit(self.path)
        if url.path == "/v1/events":
            self.stream(daemon, dict(urllib.parse.parse_qsl(url.query)))
            return
        daemon.record(self.command, self.path, body)
        status, answer = daemon.answer(self.command, urllib.parse.unquote(url.path), url.query, body)
        self.reply(status, answer)

    do_GET = do_POST = handle_any

    def stream(self, daemon, query):
        place = daemon.open_stream(query.get("service"), self.headers.get("Last-Event-ID"))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(b"retry: 1000\n\n")
        self.close_connection = True
        try:
            while True:
                event = daemon.next_event(place)
                if event is None:
                    return
                place = event[0] + 1
                text = "id: %d\nevent: %s\ndata: %s\n\n" % (event[0], event[1], json.dumps(event[2]))
                self.wfile.write(text.encode())
        except OSError:
            pass


class FakeDaemon:
    def __init__(self, path):
        self.path = str(path)
        self.condition = threading.Condition()
        self.answers = {}  # (method, path) -> (status, body), or a function of (query, body)
        self.requests = []  # (method, target, body)
        self.streams = []  # (service, Last-Event-ID)
        self.events = []  # (id, event, data)
        self.generation = 0
        self.next_id = 1000
        self.server = None

    def start(self):
        self.generation += 1
        self.server = Server(self.path, Handler)
        self.server.daemon = self
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def stop(self):
        """As if it were killed: streams end, the socket stays and nobody answers on it."""
        server, self.server = self.server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with self.condition:
            self.generation += 1
            self.condition.notify_all()

    def restart(self):
        os.unlink(self.path)
        return self.start()

    def record(self, method, target, body):
        with self.condition:
            self.requests.append((method, target, body))
            self.condition.notify_all()

    def answer(self, method, path, query, body):
        answer = self.answers.get((method, path))
        if answer is None:
            return error(404, "not-found", "there is nothing at %s" % path)
        if callable(answer):
            return answer(dict(urllib.parse.parse_qsl(query)), body)
        return answer

    def open_stream(self, service, last):
        with self.condition:
            self.streams.append((service, last))
            self.condition.notify_all()
            return int(last) + 1 if last else self.next_id

    def next_event(self, place):
        with self.condition:
            generation = self.generation
            while True:
                if self.generation != generation:
                    return None
                for event in self.events:
                    if event[0] >= place:
                        return event
                self.condition.wait()

    def publish(self, event, data):
        with self.condition:
            self.events.append((self.next_id, event, data))
            self.next_id += 1
            self.condition.notify_all()

    def wait_for(self, what, seconds=20):
        """Waits until what(self) holds."""
        with self.condition:
            assert self.condition.wait_for(lambda: what(self), seconds), "it did not come to it"


def error(status, code, message):
    return status, {"error": {"code": code, "message": message}}


def backend(name, slot=0, group="stable", **changes):
    value = {
        "slot": slot, "generation": 1, "name": name, "container": "c" * 64,
        "address": "172.17.0.%d:8080" % (slot + 2), "group": group, "state": "ready",
        "health": "healthy", "reason": "", "health_since_ms": 1234, "check_latency_us": 310,
        "active": 2, "active_by_kind": {"request": 1, "websocket": 1, "tcp": 0}, "connecting": 0,
        "open": 5, "idle": 3, "exchanges": 100,
        "status": {"1xx": 0, "2xx": 98, "3xx": 0, "4xx": 2, "5xx": 0, "none": 0},
        "connect_failures": 0, "timeouts": 0, "resets": 0, "retries": 0, "bytes_in": 0,
        "bytes_out": 0, "latency_us": {"p50": 400, "p90": 900, "p99": 2100}, "drain": None,
    }
    value.update(changes)
    return value


def drain(name, **changes):
    value = {
        "container": name, "slot": 0, "epoch": 17, "waited_ms": 1200, "left_ms": 28800, "active": 1,
        "active_by_kind": {"request": 1, "upload": 0, "stream": 0, "websocket": 0, "tcp": 0}, "on_timeout": "close",
        "holds": [{"id": "72057594037927937", "kind": "request", "client": "127.0.0.1:40000",
                   "request": "GET /slow", "age_ms": 900, "bytes": 0, "bytes_left": None, "left_ms": 28800,
                   "ending": "", "row": 0}],
        "hold_total": 1,
    }
    value.update(changes)
    return value


def service(name="web", **changes):
    value = {
        "name": name, "protocol": "http", "static": False, "state": "steady", "message": "",
        "weight": 0, "rollout": None, "replicas": 2, "healthy": 2, "queued": 0, "requests": 12345,
        "groups": {
            "stable": {"image": "web:v1", "image_id": "sha256:1", "backends": [
                backend(name + "-1", 0), backend(name + "-2", 1)]},
            "canary": {"image": "", "image_id": "", "backends": []},
        },
        "split": [],
    }
    value.update(changes)
    return value


ROLLOUT = "20261123-051500-4f2a"


def rollout(state="running", **changes):
    value = {
        "id": ROLLOUT, "service": "web", "strategy": "canary", "state": state, "phase": "forward",
        "outcome": "none", "why": "", "waiting": "", "reason": "", "user": "root",
        "image": "web:v2", "image_id": "sha256:2", "digest": None, "previous_image": "web:v1",
        "previous_image_id": "sha256:1", "replicas": 1, "weight": 0, "step": 0, "step_count": 3,
        "steps": [
            {"index": 0, "set_weight": 5, "state": "pending", "started": None, "ended": None},
            {"index": 1, "pause_ms": 30000, "state": "pending", "started": None, "ended": None},
            {"index": 2, "set_weight": 100, "state": "pending", "started": None, "ended": None},
        ],
        "created": "2026-11-23T05:15:00.000Z", "ended": None, "duration_ms": 0, "containers": [],
        "drains": [], "log": [],
    }
    value.update(changes)
    return value


def step_done(index, weight=None, exchanges=0, canary=0):
    value = {"index": index, "state": "done", "started": "2026-11-23T05:15:01.000Z",
             "ended": "2026-11-23T05:15:03.500Z"}
    if weight is None:
        value["pause_ms"] = 30000
    else:
        value["set_weight"] = weight
        value["split"] = [{"row": 0, "weight": weight, "exchanges": exchanges, "canary": canary,
                           "error": canary - exchanges * weight / 100}]
    return value


def drained(name, identity, **changes):
    value = {
        "container": name, "id": identity, "slot": 0, "generation": 1, "new": False, "epoch": 9,
        "started": "2026-11-23T05:15:04.000Z", "drained": "2026-11-23T05:15:06.100Z",
        "duration_ms": 2100, "notice_ms": 1.2, "forced": False,
        "stopped": "2026-11-23T05:15:06.500Z", "removed": "2026-11-23T05:15:06.800Z",
        "proof": [{"row": 0, "live": True, "pid": 77, "seen_epoch": 9, "active": 0, "connecting": 0,
                   "idle": 0}],
    }
    value.update(changes)
    return value
