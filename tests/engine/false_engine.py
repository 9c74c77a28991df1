"""An engine that misbehaves as it is told: a threaded HTTP server on a Unix socket or a TCP port.

A test gives each path a function; it is handed the connection and does what it likes with it, or
returns (status, body) to have that sent. Every request is kept in `requests`."""

import json
import os
import socket
import threading
import urllib.parse

VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10", "Os": "linux"}


def answer(status, body, kind="application/json"):
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return (f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunk(data):
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


class Request:
    def __init__(self, method, target, headers, body):
        self.method, self.target, self.headers, self.body = method, target, headers, body
        path, _, query = target.partition("?")
        self.path = path
        self.query = dict(urllib.parse.parse_qsl(query))
        self.version = None
        if path.startswith("/v1."):
            self.version, _, rest = path[2:].partition("/")
            self.path = "/" + rest


class FalseEngine:
    def __init__(self, folder):
        self.socket_path = os.path.join(folder, "engine.sock")
        self.host = "unix://" + self.socket_path
        self.handlers = {"/version": lambda request, connection: (200, VERSION)}
        self.requests = []
        self.changed = threading.Condition()
        self.connections = set()
        self.listener = None

    def start(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.socket_path)
        self.listener.listen(64)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()
        return self

    def start_tcp(self, context=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.host = "tcp://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, args=(self.listener, context), daemon=True).start()
        return self

    def stop(self):
        """As when the engine dies: no socket, every connection cut."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if os.path.exists(self.socket_path):
            os.unlink(self.socket_path)
        with self.changed:
            connections = list(self.connections)
        for connection in connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def on(self, path, handler):
        self.handlers[path] = handler if callable(handler) else lambda *_: handler

    def seen(self, path):
        with self.changed:
            return [request for request in self.requests if request.path == path]

    def wait_for(self, path, count, timeout=20):
        with self.changed:
            assert self.changed.wait_for(
                lambda: sum(r.path == path for r in self.requests) >= count, timeout), path

    def accept(self, listener, context=None):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection, context), daemon=True).start()

    def serve(self, connection, context):
        try:
            if context is not None:
                connection = context.wrap_socket(connection, server_side=True)
            with self.changed:
                self.connections.add(connection)
            stream = connection.makefile("rb")
            while self.serve_one(stream, connection):
                pass
        except OSError:
            pass
        finally:
            with self.changed:
                self.connections.discard(connection)
            connection.close()

    def serve_one(self, stream, connection):
        line = stream.readline().decode().split()
        if len(line) != 3:
            return False
        headers = {}
        while (text := stream.readline().decode().strip()):
            name, _, value = text.partition(":")
            headers[name.lower()] = value.strip()
        body = stream.read(int(headers.get("content-length", 0)))
        request = Request(line[0], line[1], headers, body)
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        handler = self.handlers.get(request.path, lambda *_: (404, {"message": "page not found"}))
        result = handler(request, connection)
        if result is None:
            return False
        connection.sendall(result if isinstance(result, bytes) else answer(*result))
        return True
