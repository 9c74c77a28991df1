"""Who is measured: the backend behind all, the peers and Sluice as bench/peers/ configures them, the floors."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import time

from processes import ROOT, START_SECONDS, Server, fail, free_port

PEERS = ("nginx", "haproxy")
FLOORS = ("floor-epoll", "floor-libev")
BACKENDS = 3
WEIGHTED = 8  # 6 stable, 2 canary
CANARY_PERCENT = 10
SIZES = {"100": 100, "1k": 1024, "10k": 10240, "1m": 1048576}
# The large table. Its first service has the three backends of all the rest; the others are told apart by
# addresses of the loopback network.
MANY_SERVICES, MANY_BACKENDS = 256, 4096
MANY_EACH = -(-(MANY_BACKENDS - BACKENDS) // (MANY_SERVICES - 1))  # at most
NOT_REACHABLE = 4  # how sluice ends where no daemon answers
NGINX_MODULES = "/usr/lib/nginx/modules"


def fill(template, folder, values, name=None):
    text = (ROOT / "bench/peers" / template).read_text()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    path = folder / (name or template)
    path.write_text(text)
    return path


def make_certificate(folder):
    """ECDSA P-256, signed by itself; HAProxy wants both in one file."""
    key, cert = folder / "tls.key", folder / "tls.crt"
    done = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                           "-subj", "/CN=bench.example", "-addext", "subjectAltName=DNS:bench.example", "-keyout", key, "-out", cert],
                          capture_output=True, text=True)
    if done.returncode != 0:
        fail(f"openssl made no certificate\n{done.stderr}")
    (folder / "tls.pem").write_text(cert.read_text() + key.read_text())


class Subjects:
    """Started when they are first asked for; close() ends them all."""

    def __init__(self, folder, build, bare=None):
        self.folder, self.build, self.bare = folder, build, bare
        self.running = {}
        self.values = {"DIR": folder, "MODULES": NGINX_MODULES}
        os.chmod(folder, 0o755)
        make_certificate(folder)
        self._start_backend()

    def _start_backend(self):
        www = self.folder / "www"
        www.mkdir()
        for name, size in SIZES.items():
            (www / name).write_bytes(b"x" * size)
        ports = {f"BACKEND_{i}": free_port() for i in range(1, WEIGHTED + 1)}
        port = ports["BACKEND_1"]
        listens = [f"listen 127.0.0.1:{p} backlog=4096;" for p in ports.values()]
        listens += [f"listen 127.0.1.{i}:{port} backlog=4096;" for i in range(1, MANY_EACH + 1)]
        self.values |= {**ports, "WWW": www}
        config = fill("backend.conf", self.folder, {**self.values, "LISTENS": "\n        ".join(listens)})
        self.running["backend"] = Server("backend", self.folder, [shutil.which("nginx"), "-c", config], ports)

    def get(self, name):
        if name not in self.running:
            self.running[name] = self._start(name)
        return self.running[name]

    def _start(self, name):
        if name in PEERS:
            return self.start_peer(name)
        if name in FLOORS:
            port = free_port()
            return Server(name, self.folder, [self.build / "bench" / name, port, self.values["BACKEND_1"]],
                          {"http": port, "tcp": port})
        if name == "sluice-workers":
            return self.start_worker(name, self.build, rows=2)
        return self._start_sluice(name)

    def with_ports(self, *kinds):
        """Free ports, and what the templates are filled with."""
        ports = {kind: free_port() for kind in kinds}
        return ports, {**self.values, **{kind.upper(): port for kind, port in ports.items()}}

    def start_peer(self, name, tool=()):
        ports, values = self.with_ports("http", "weighted", "tls", "tcp")
        if name == "nginx":
            config = fill("nginx.conf", self.folder, values)
            return Server(name, self.folder, [*tool, shutil.which("nginx"), "-c", config], ports)
        config = fill("haproxy.cfg", self.folder, values)
        return Server(name, self.folder, [*tool, shutil.which("haproxy"), "-db", "-f", config], ports, signal.SIGUSR1)

    def sluice_config(self, name):
        """bench/peers/sluice.json, changed as the name says; and its ports."""
        ports, values = self.with_ports("http", "tls", "tcp")
        config = json.loads(fill("sluice.json", self.folder, values).read_text())
        if "two" in name:
            config["workers"] = 2
        if "many" in name:
            config["services"] = self._many_services(config["services"]["web"])
            config["listeners"] = {"web": config["listeners"]["web"]}
            ports = {"http": ports["http"]}
        if "sticky" in name or "bare" in name:
            config["services"]["weighted"]["sticky"] = {"cookie": "bench"}
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(config))
        return path, ports

    def _many_services(self, web):
        services = {"s0": {**web, "routes": [{"host": "s0.example"}]}}
        addresses = [f"127.0.1.{i}:{self.values['BACKEND_1']}" for i in range(1, MANY_EACH + 1)]
        left = MANY_BACKENDS - BACKENDS
        for i in range(1, MANY_SERVICES):
            count = -(-left // (MANY_SERVICES - i))
            services[f"s{i}"] = {**web, "routes": [{"host": f"s{i}.example"}], "backends": addresses[:count]}
            left -= count
        return services

    def _start_sluice(self, name):
        if "bare" in name and self.bare is None:
            fail("there is no build without the counts: preset bare")
        build = self.bare if "bare" in name else self.build
        config, ports = self.sluice_config(name)
        admin = self.folder / f"{name}.sock"
        server = Server(name, self.folder, [build / "bin/sluice", "run", config, "--state", self.folder / f"{name}.state",
                                            "--admin", admin], ports)
        self._wait_serving(server)
        if "many" not in name:
            self._set_weight(build, admin)
            server.ports["weighted"] = ports["http"]  # told by its host
        return server

    @staticmethod
    def _wait_serving(server):
        """The listeners are there before the workers, and before a table of thousands of backends."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError, http.client.HTTPException):
                asked = http.client.HTTPConnection("127.0.0.1", server.ports["http"], timeout=2)
                asked.request("GET", "/100", headers={"Host": "s0.example"})
                if asked.getresponse().status == 200:
                    return
            time.sleep(0.1)
        fail(f"{server.name} does not serve; its log: {server.log.read_text()[-2000:]}")

    @staticmethod
    def _set_weight(build, admin):
        """As soon as the daemon answers: it may be later than the workers."""
        end = time.monotonic() + START_SECONDS
        while True:
            done = subprocess.run([build / "bin/sluice", "weight", "weighted", str(CANARY_PERCENT), "--admin", admin],
                                  capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                return
            if done.returncode != NOT_REACHABLE or time.monotonic() > end:
                fail(f"sluice weight: {done.stderr}")
            time.sleep(0.02)

    def start_worker(self, name, build, rows=1, tool=()):
        """A worker alone, under the tests' bench, which stands for the supervisor and the updater; its pid is the worker's."""
        config, ports = self.sluice_config(name)
        worker = build / "libexec/sluice/sluice-worker"
        wrapper = self.folder / f"{name}.sh"
        wrapper.write_text(f'#!/bin/sh\nexec {" ".join(map(str, tool))} {worker} "$@"\n')
        wrapper.chmod(0o755)
        return Worker(name, self.folder, [build / "tests/sluice-worker-bench", wrapper, config, rows], ports)

    def end(self, name):
        """The next to ask for it gets a fresh one."""
        if name in self.running:
            self.running.pop(name).stop()

    def close(self):
        for server in reversed(self.running.values()):
            server.stop()


class Worker(Server):
    """A worker under sluice-worker-bench, which takes commands by lines and answers in JSON."""

    def __init__(self, name, folder, command, ports):
        super().__init__(name, folder, command, ports, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read()  # the ports
        self.read()  # ready
        self.pid = self.ask("pids")[0]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            fail(f"{self.name} ended\n{self.log.read_text()[-2000:]}")
        return json.loads(line)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.read()

    def ask_to_end(self):
        """It ends when its workers have."""
        self.process.stdin.write("terminate\nwait\n")
        self.process.stdin.close()
