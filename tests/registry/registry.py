"""A real registry (Debian's docker-registry) on loopback with storage of its own, and a relay in front
of it that breaks what it answers."""
import base64
import http.client
import json
import os
import subprocess
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from ports import free_port

PATIENCE = 30
CHUNK = 1 << 16


class Registry:
    """`users`: {name: password}, by htpasswd; empty: everybody."""

    def __init__(self, folder, users=None):
        self.folder, self.users = folder, users or {}
        self.port = free_port()
        self.name = f"127.0.0.1:{self.port}"
        self.process = None
        folder.mkdir()
        config = {"version": "0.1", "log": {"level": "error"},
                  "storage": {"filesystem": {"rootdirectory": str(folder / "data")}, "delete": {"enabled": True}},
                  "http": {"addr": self.name}}
        if self.users:
            self._write_passwords()
            config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
        (folder / "config.yml").write_text(json.dumps(config))  # YAML too
        self.start()

    def _write_passwords(self):
        lines = [subprocess.run(["htpasswd", "-nbBC", "4", user, password], capture_output=True, text=True,
                                check=True).stdout.strip() for user, password in self.users.items()]
        (self.folder / "htpasswd").write_text("\n".join(lines) + "\n")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(["docker-registry", "serve", self.folder / "config.yml"], stdout=log,
                                            stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the registry does not answer"
            time.sleep(0.05)

    def _answers(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/v2/")
            return connection.getresponse().status in (200, 401)
        except OSError:
            return False
        finally:
            connection.close()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(PATIENCE)

    def auth(self):
        """As the engine wants it for a push."""
        user, password = next(iter(self.users.items()), ("", ""))
        return base64.urlsafe_b64encode(json.dumps(
            {"username": user, "password": password, "serveraddress": self.name} if user else {}).encode()).decode()

    def push(self, engine, image, repository, tag):
        """Puts an image of the engine's under this name into the registry; returns its digest."""
        name = f"{self.name}/{repository}"
        engine.call("POST", f"/images/{urllib.parse.quote(image)}/tag", query={"repo": name, "tag": tag})
        _, output = engine.call("POST", f"/images/{name}/push", query={"tag": tag},
                                headers={"X-Registry-Auth": self.auth()})
        lines = [json.loads(line) for line in output.splitlines() if line] if isinstance(output, str) else [output]
        assert not [line for line in lines if "error" in line], lines
        engine.remove_image(f"{name}:{tag}")
        return next(line["aux"]["Digest"] for line in lines if "aux" in line)


def make_image(engine, tag, version, *sizes, health="ok"):
    """The demo with layers of random bytes (so many each) on it, which nothing compresses."""
    from sluice import BUILD
    files = {"sluice-demo": (BUILD / "demo/sluice-demo").read_bytes()}
    lines = ["FROM scratch", "COPY sluice-demo /sluice-demo"]
    for number, size in enumerate(sizes):
        files[f"bytes{number}"] = os.urandom(size)
        lines.append(f"COPY bytes{number} /bytes{number}")
    lines += [f"ENV VERSION={version} HEALTH={health}", "EXPOSE 8080 9000", 'CMD ["/sluice-demo"]']
    return engine.build(tag, "\n".join(lines) + "\n", files)


class RegistryRelay:
    """Between the engine and a registry. `rule(method, path)` may give (status, body) instead, "cut": the
    connection ends at once. `blob_limit`: so many bytes of each layer's answer come, then what `at_limit`
    says: "cut", "stall" (until release()), "wait" (for go_on())."""

    def __init__(self, registry):
        self.registry = registry
        self.rule = lambda method, path: None
        self.blob_limit = None
        self.at_limit = "cut"
        self.requests = []  # (method, path, Authorization)
        self.changed = threading.Condition()
        self.limited = 0  # how many answers came to the limit
        self.open = threading.Event()
        relay = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                relay.handle(self)

            do_GET = do_HEAD = handle_any

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.name = "127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def handle(self, handler):
        with self.changed:
            self.requests.append((handler.command, handler.path, handler.headers.get("Authorization")))
            self.changed.notify_all()
        forged = self.rule(handler.command, handler.path)
        if forged == "cut":
            handler.close_connection = True
        elif forged:
            self.answer(handler, forged[0], {"Content-Type": "application/json"}, json.dumps(forged[1]).encode())
        else:
            self.forward(handler)

    def forward(self, handler):
        connection = http.client.HTTPConnection(*self.registry.name.split(":"), timeout=60)
        try:
            connection.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
            for name, value in handler.headers.items():  # of Accept there are several
                if name.lower() != "connection":
                    connection.putheader(name, value)
            connection.endheaders()
            answer = connection.getresponse()
            body = answer.read()
            self.answer(handler, answer.status,
                        {name: value for name, value in answer.getheaders() if name.lower() not in
                         ("connection", "transfer-encoding", "content-length")} |
                        {"Content-Length": answer.getheader("Content-Length") or str(len(body))}, body)
        finally:
            connection.close()

    def answer(self, handler, status, headers, body):
        headers.setdefault("Content-Length", str(len(body)))
        head = f"HTTP/1.1 {status} Relayed\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        handler.wfile.write(head.encode() + b"\r\n")
        if handler.command == "HEAD":
            return
        limit = self.blob_limit
        if limit is None or "/blobs/" not in handler.path or len(body) <= limit:
            handler.wfile.write(body)
            return
        for start in range(0, limit, CHUNK):  # the engine tells of its progress ten times a second at most
            handler.wfile.write(body[start:min(start + CHUNK, limit)])
            handler.wfile.flush()
            self.open.wait(0.01)
        with self.changed:
            self.limited += 1
            self.changed.notify_all()
        if self.at_limit != "cut":
            self.open.wait(PATIENCE * 4)
        if self.at_limit == "wait":
            handler.wfile.write(body[limit:])
        else:
            handler.close_connection = True

    def go_on(self):
        self.blob_limit = None
        self.open.set()

    def wait_limited(self, count=1):
        with self.changed:
            assert self.changed.wait_for(lambda: self.limited >= count, PATIENCE), "no layer came so far"

    def wait_requests(self, count, wanted):
        with self.changed:
            assert self.changed.wait_for(
                lambda: sum(bool(wanted(*each)) for each in self.requests) >= count, PATIENCE), self.requests

    def close(self):
        self.open.set()
        self.server.shutdown()
        self.server.server_close()


