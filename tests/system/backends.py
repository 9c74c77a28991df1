"""Backends of static services: they count what they get and say who they are."""
import hashlib
import http.server
import socket
import socketserver
import threading
import urllib.parse


class Backend:
    """An HTTP server. Every answer has its name in the header X-Backend.

    GET /          its name
    GET /headers   the request's headers, a line each
    GET /hold      waits for `release` before it answers
    GET /status/N  status N
    POST anything  SHA-256 of the body, hexadecimal
    GET /healthz   `health` as status; not counted
    """

    def __init__(self, name, port=0):
        self.name = name
        self.health = 200
        self.release = threading.Event()
        self._count = 0
        self._lock = threading.Condition()
        self._holding = 0
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            timeout = 120

            def do_GET(self):
                backend._get(self)

            def do_POST(self):
                backend._post(self)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass  # a client that hangs up is no matter

        self._server = Server(("127.0.0.1", port), Handler)
        self.port = self._server.server_address[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def count(self):
        with self._lock:
            return self._count

    def wait_holding(self, count, timeout=20):
        """Waits until so many requests for /hold are there."""
        with self._lock:
            assert self._lock.wait_for(lambda: self._holding >= count, timeout), (
                f"{self._holding} of {count} requests for /hold came")

    def _begin(self):
        with self._lock:
            self._count += 1

    def _answer(self, handler, status, body):
        handler.send_response(status)
        handler.send_header("X-Backend", self.name)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def _get(self, handler):
        path = urllib.parse.urlsplit(handler.path).path
        if path == "/healthz":
            self._answer(handler, self.health, b"")
            return
        self._begin()
        status, body = 200, self.name.encode()
        if path == "/headers":
            body = "".join(f"{name}: {value}\n" for name, value in handler.headers.items()).encode()
        elif path == "/hold":
            with self._lock:
                self._holding += 1
                self._lock.notify_all()
            self.release.wait()
        elif path.startswith("/status/"):
            status = int(path.rsplit("/", 1)[1])
        self._answer(handler, status, body)

    def _post(self, handler):
        self._begin()
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        self._answer(handler, 200, hashlib.sha256(body).hexdigest().encode())

    def close(self):
        self.release.set()
        self._server.shutdown()
        self._server.server_close()


class EchoServer:
    """A TCP server that greets with its name and sends back what it gets."""

    def __init__(self, name):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                self.request.sendall(name.encode() + b"\n")
                while data := self.request.recv(65536):
                    self.request.sendall(data)
                self.request.shutdown(socket.SHUT_WR)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 1024

            def handle_error(self, *_):
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = "127.0.0.1:%d" % self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
