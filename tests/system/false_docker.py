"""A Docker Engine made of Python, for what a real one does not do on demand: it keeps containers that are servers on addresses of
the loopback (one port, 127.0.1.1 and up), tells of them as Docker does, and lies where a test wants it to (`rule`)."""
import http.server
import itertools
import json
import pathlib
import re
import sys
import threading
import time
import urllib.parse

from ports import free_port

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "engine"))
from false_engine import STREAM_HEAD, FalseEngine, chunk  # noqa: E402

NEVER = "0001-01-01T00:00:00Z"


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()) + f".{time.time_ns() % 10 ** 9:09d}Z"


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    address_family = 2

    def __init__(self, ip, port, name):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        super().__init__((ip, port), Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


class FalseDocker(FalseEngine):
    def __init__(self, folder):
        super().__init__(folder)
        self.port = free_port()
        self.containers, self.servers, self.images = {}, {}, {}
        self.rule = lambda request: None  # (status, body), or waits, or raises OSError: the connection is cut
        self.api = "1.44"
        self.lock = threading.RLock()
        self._streams = set()
        self._numbers = itertools.count(1)

    # --- what there is -------------------------------------------------------------------------

    def image(self, name, **config):
        digits = f"{len(self.images) + 1:064x}"
        self.images[name] = {"Id": f"sha256:{digits}", "RepoTags": [name], "RepoDigests": [], "Architecture": "amd64",
                             "Config": config}
        return self.images[name]

    def container(self, name, image, labels, serves=True, **host):
        """One that somebody made, and that runs."""
        config = {"Image": image, "Labels": labels, "HostConfig": {"NetworkMode": "shop", **host}}
        made = self._make(name, config)
        self._start(made, serves)
        return made

    def service(self, name, replicas, image="web:v1", **settings):
        return [self.container(f"{name}-{i + 1}", image, {"app": name}, **settings) for i in range(replicas)]

    def config(self, **settings):
        return {"listeners": {"web": {"address": "127.0.0.1:0"}}, "engine": {"host": self.host},
                "services": {"web": {"discover": {"label": "app=web"}, "port": self.port,
                                     "healthcheck": {"http": {"path": "/"}, "interval": "1s", "timeout": "1s", "retries": 1}, "rollout": {"monitor": "0s"}, **settings}}}

    def names(self):
        with self.lock:
            return sorted(each["Name"][1:] for each in self.containers.values())

    def of_image(self, image):
        with self.lock:
            return [each for each in self.containers.values() if each["Image"] == self.images[image]["Id"]]

    def stop(self):
        super().stop()
        for server in self.servers.values():
            server.shutdown()
            server.server_close()

    # --- what becomes of it --------------------------------------------------------------------

    def _make(self, name, config):
        number = next(self._numbers)
        image = next(each for each in self.images.values() if config["Image"] in (each["Id"], *each["RepoTags"]))
        own = {key: value for key, value in config.items() if key not in ("HostConfig", "NetworkingConfig")}
        own["Env"] = [*image["Config"].get("Env", []), *(own.get("Env") or [])]
        made = {"Id": f"{number:064x}", "Name": "/" + name, "Image": image["Id"], "RestartCount": 0, "Mounts": [],
                "Config": own, "HostConfig": config.get("HostConfig") or {},
                "State": {"Status": "created", "StartedAt": NEVER, "FinishedAt": NEVER, "ExitCode": 0},
                "NetworkSettings": {"Networks": {"shop": {"NetworkID": "f" * 64, "IPAddress": ""}}, "Ports": {}}}
        with self.lock:
            self.containers[made["Id"]] = made
        self._tell("create", made)
        return made

    def _start(self, made, serves=True):
        number = int(made["Id"], 16)
        ip = f"127.0.{1 + number // 250}.{1 + number % 250}"
        if serves:
            self.servers[made["Id"]] = Server(ip, self.port, made["Name"])
        made["NetworkSettings"]["Networks"]["shop"]["IPAddress"] = ip
        made["State"].update(Status="running", Running=True, StartedAt=now())
        self._tell("start", made)

    def falls_ill(self, made):
        """It runs, and does not answer."""
        server = self.servers.pop(made["Id"], None)
        if server:
            server.shutdown()
            server.server_close()

    def ends(self, made):
        self.falls_ill(made)
        made["State"].update(Status="exited", Running=False, FinishedAt=now())
        self._tell("die", made)

    def _tell(self, action, made):
        event = {"Type": "container", "Action": action, "timeNano": time.time_ns(),
                 "Actor": {"ID": made["Id"], "Attributes": made["Config"].get("Labels") or {}}}
        for connection in list(self._streams):
            try:
                connection.sendall(chunk(json.dumps(event).encode()))
            except OSError:
                self._streams.discard(connection)

    # --- what it answers -----------------------------------------------------------------------

    def serve_one(self, stream, connection):
        self.handlers = Everything(self)
        return super().serve_one(stream, connection)

    def answer(self, request, connection):
        forged = self.rule(request)
        if forged:
            return forged
        path = urllib.parse.unquote(request.path)
        if path == "/events":
            connection.sendall(STREAM_HEAD)
            self._streams.add(connection)
            connection.recv(1)
            return None
        if path == "/info":
            return 200, {"ServerVersion": "20.10.24", "OSType": "linux", "NCPU": 8, "MemTotal": 0}
        if path == "/version":
            return 200, {"ApiVersion": self.api, "MinAPIVersion": "1.12", "Version": "20.10", "Os": "linux"}
        if path.startswith("/networks/"):
            return 200, {"Scope": "local", "IPAM": {"Config": []}, "Containers": {}}
        if path.startswith("/images/"):
            name = path[len("/images/"):].removesuffix("/json")
            found = [each for key, each in self.images.items() if name in (key, each["Id"])]
            return (200, found[0]) if found else (404, {"message": f"No such image: {name}"})
        return self._containers(request, path)

    def _containers(self, request, path):
        if path == "/containers/json":
            wanted = json.loads(request.query.get("filters", "{}")).get("label", [])
            with self.lock:
                return 200, [{"Id": each["Id"], "ImageID": each["Image"]} for each in self.containers.values()
                             if all(label in [f"{key}={value}" for key, value in (each["Config"].get("Labels") or {}).items()]
                                    for label in wanted)]
        if path == "/containers/create":
            return 201, {"Id": self._make(request.query["name"], json.loads(request.body))["Id"]}
        key, _, verb = path[len("/containers/"):].partition("/")
        with self.lock:
            made = next((each for each in self.containers.values() if key in (each["Id"], each["Name"][1:])), None)
        if made is None:
            return 404, {"message": f"No such container: {key}"}
        if request.method == "DELETE":
            with self.lock:
                self.containers.pop(made["Id"], None)
            self._tell("destroy", made)
            return 204, {}
        if verb == "start":
            self._start(made)
        elif verb == "stop":
            self.ends(made)
        elif verb == "rename":
            made["Name"] = "/" + request.query["name"]
        else:
            return 200, made if verb == "json" else {}
        return 204, {}


class Everything:
    """What the base class looks its handlers up in."""

    def __init__(self, docker):
        self._docker = docker

    def get(self, _path, _otherwise):
        return self._docker.answer
