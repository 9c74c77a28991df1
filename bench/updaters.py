"""Who updates a service in bench/rollout: Sluice, and what people script with nginx and with HAProxy. All replace
replica by replica, a new one first, which has to be healthy before it gets traffic; the scripts then take the old one
out, sleep, and stop it."""
import http.client
import json
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from processes import START_SECONDS, Server, fail, free_port
from watching import DEMO_PORT, LABEL

POLL_SECONDS = 0.1
HAPROXY_SLOTS = 16

NGINX = """worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;
    map $http_upgrade $connection_field {{ default upgrade; '' ''; }}
    upstream app {{
        zone app 64k;
        least_conn;
        include {folder}/servers;
        keepalive 64;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $connection_field;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""

HAPROXY = """global
    nbthread 1
    stats socket {folder}/haproxy.sock mode 600 level admin
defaults
    mode http
    timeout connect 2s
    timeout client 300s
    timeout server 300s
    timeout tunnel 300s
    option redispatch
    retries 3
frontend web
    bind 127.0.0.1:{port}
    default_backend app
backend app
    balance leastconn
    server-template s 1-{slots} 127.0.0.1:1 disabled
"""


def wait_healthy(ip):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            asked = http.client.HTTPConnection(ip, DEMO_PORT, timeout=1)
            asked.request("GET", "/healthz")
            if asked.getresponse().status == 200:
                return
        except OSError:
            pass
        time.sleep(POLL_SECONDS)
    fail(f"the container at {ip} is not healthy")


class Scripted:
    """The loop that people write; what the proxy is told is the subclass's."""

    def __init__(self, folder, containers, replicas, sleep_seconds):
        self.folder, self.containers, self.sleep_seconds = pathlib.Path(folder), containers, sleep_seconds
        self.port = free_port()
        self.serving = {}
        for _ in range(replicas):
            container, ip = containers.start("v1")
            wait_healthy(ip)
            self.serving[container] = ip
        self.server = self.start()

    def update(self):
        for old in list(self.serving):
            new, ip = self.containers.start("v2")
            wait_healthy(ip)
            self.serving[new] = ip
            self.add(new)
            gone = self.serving.pop(old)
            self.take_out(old, gone)
            time.sleep(self.sleep_seconds)
            self.containers.retire(old)

    def close(self):
        self.server.stop()


class Nginx(Scripted):
    def start(self):
        (self.folder / "nginx.conf").write_text(NGINX.format(folder=self.folder, port=self.port))
        self.write_servers()
        return Server("nginx", self.folder, [shutil.which("nginx"), "-c", self.folder / "nginx.conf"], {"http": self.port},
                      signal.SIGQUIT)

    def write_servers(self):
        (self.folder / "servers").write_text("".join(f"server {ip}:{DEMO_PORT};\n" for ip in self.serving.values()))

    def add(self, _container):
        pass  # one reload for both

    def take_out(self, _container, _ip):
        self.write_servers()
        subprocess.run([shutil.which("nginx"), "-c", self.folder / "nginx.conf", "-s", "reload"], check=True, capture_output=True)


class Haproxy(Scripted):
    def start(self):
        (self.folder / "haproxy.cfg").write_text(HAPROXY.format(folder=self.folder, port=self.port, slots=HAPROXY_SLOTS))
        server = Server("haproxy", self.folder, [shutil.which("haproxy"), "-db", "-f", self.folder / "haproxy.cfg"],
                        {"http": self.port}, signal.SIGUSR1)
        self.free = [f"s{i}" for i in range(1, HAPROXY_SLOTS + 1)]
        self.slots = {}
        for container in self.serving:
            self.add(container)
        return server

    def tell(self, line):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.folder / "haproxy.sock"))
            sock.sendall(line.encode() + b"\n")
            answer = b""
            while data := sock.recv(4096):
                answer += data
        if b"Error" in answer or b"No such" in answer:
            fail(f"haproxy: {line}: {answer.decode().strip()}")

    def add(self, container):
        slot = self.slots[container] = self.free.pop(0)
        self.tell(f"set server app/{slot} addr {self.serving[container]} port {DEMO_PORT}")
        self.tell(f"set server app/{slot} state ready")

    def take_out(self, container, _ip):
        self.tell(f"set server app/{self.slots.pop(container)} state drain")


class Sluice:
    def __init__(self, folder, containers, replicas, build):
        self.folder, self.build = pathlib.Path(folder), build
        self.port = free_port()
        for _ in range(replicas):
            containers.start("v1")
        config = {
            "listeners": {"web": {"address": f"127.0.0.1:{self.port}"}},
            "services": {"shop": {
                "discover": {"label": LABEL}, "port": DEMO_PORT,
                "healthcheck": {"http": {"path": "/healthz"}, "interval": "500ms"},
                "rollout": {"strategy": "rolling", "order": "start-first", "ramp": "0", "monitor": "0",
                            "drain": {"requests": "30s", "websockets": "30s"}}}},
            "engine": {"host": containers.engine.host}, "access_log": "off", "workers": 1}
        (self.folder / "sluice.json").write_text(json.dumps(config))
        self.admin = self.folder / "admin.sock"
        self.server = Server("sluice", self.folder, [build / "bin/sluice", "run", self.folder / "sluice.json", "--state",
                                                     self.folder / "state", "--admin", self.admin], {"http": self.port})
        self._wait_serving(replicas)

    def command(self, *arguments):
        return subprocess.run([str(part) for part in (self.build / "bin/sluice", *arguments, "--admin", self.admin)],
                              capture_output=True, text=True, timeout=300)

    def _wait_serving(self, replicas):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            done = self.command("status", "shop", "--json")
            if done.returncode == 0 and done.stdout.count('"healthy"') >= replicas:
                return
            time.sleep(POLL_SECONDS)
        fail(f"sluice does not serve: {done.stdout}{done.stderr}")

    def update(self):
        done = self.command("rollout", "shop", "--image", "bench-demo:v2", "--no-pull")
        if done.returncode != 0:
            fail(f"sluice rollout: {done.stdout}{done.stderr}")

    def close(self):
        self.server.stop()
