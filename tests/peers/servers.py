"""nginx and Apache as backends, from Debian's packages: started by hand on loopback, with configs and
documents of their own in a temporary folder."""
import hashlib
import os
import pathlib
import random
import shutil
import socket
import stat
import subprocess
import tempfile
import time

from ports import free_port

PATIENCE = 20  # seconds
SMALL = b"hello from a file\n"
TEXT = b"".join(b"line %d of a text that compresses well\n" % i for i in range(5000))
LARGE = random.Random(7).randbytes(5 << 20)

# Sends a piece, waits until the file that the query names is there, then sends the rest.
SLOW_CGI = """#!/bin/sh
printf 'Content-Type: application/octet-stream\\r\\n\\r\\nfirst\\n'
tries=0
while [ ! -e "$QUERY_STRING" ] && [ $tries -lt 500 ]; do tries=$((tries + 1)); sleep 0.02; done
printf 'second\\n'
"""
UPLOAD_CGI = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
sha256sum | cut -d' ' -f1
"""


class Server:
    """One of them, running. `port`, `address`; `root` is where its documents are."""

    def __init__(self, keep_alive_requests=100, keep_alive_ms=5000):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sluice-peers-"))
        self.folder.chmod(0o755)
        self.root = self.folder / "root"
        (self.root / "cgi").mkdir(parents=True)
        (self.root / "small.txt").write_bytes(SMALL)
        (self.root / "text.txt").write_bytes(TEXT)
        (self.root / "large.bin").write_bytes(LARGE)
        for name, text in (("slow", SLOW_CGI), ("upload", UPLOAD_CGI)):
            script = self.root / "cgi" / name
            script.write_text(text)
            script.chmod(script.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        config = self.folder / "server.conf"
        config.write_text(self.config(keep_alive_requests, keep_alive_ms))
        self.log = open(self.folder / "log", "wb")
        # Apache ends by SIGTERM to its whole process group: that must not be ours.
        self.process = subprocess.Popen(self.command(config), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
                                        start_new_session=True)
        self._wait()

    def _wait(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.close()
                    raise AssertionError("did not start:\n" + self.text) from None
                time.sleep(0.02)

    def close(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.close()
        self.text = (self.folder / "log").read_text(errors="replace")
        shutil.rmtree(self.folder, ignore_errors=True)


class Nginx(Server):
    name, program = "nginx", "nginx"

    def command(self, config):
        return ["nginx", "-p", self.folder, "-c", config]

    def config(self, requests, milliseconds):
        return f"""
daemon off;
master_process off;
pid {self.folder}/pid;
error_log stderr;
events {{ worker_connections 512; }}
http {{
    access_log off;
    default_type text/plain;
    client_body_temp_path {self.folder}/body;
    proxy_temp_path {self.folder}/proxy;
    fastcgi_temp_path {self.folder}/fastcgi;
    uwsgi_temp_path {self.folder}/uwsgi;
    scgi_temp_path {self.folder}/scgi;
    keepalive_requests {requests};
    keepalive_timeout {milliseconds}ms;
    gzip on;
    gzip_types text/plain;
    gzip_proxied any;
    gzip_min_length 100;
    server {{
        listen {self.address} backlog=512;
        root {self.root};
        location = /posted {{ return 200 "$request_method $content_length\\n"; }}
    }}
}}
"""


class Apache(Server):
    name, program = "apache", "apache2"

    def command(self, config):
        return ["apache2", "-DFOREGROUND", "-d", self.folder, "-f", config]

    def config(self, requests, milliseconds):
        modules = pathlib.Path("/usr/lib/apache2/modules")
        user = "User www-data\nGroup www-data" if os.geteuid() == 0 else ""
        loaded = "\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in (
            "mpm_prefork", "authz_core", "mime", "deflate", "filter", "cgi", "alias", "env"))
        return f"""
{loaded}
ServerName peers.test
Listen {self.address}
{user}
PidFile {self.folder}/pid
ErrorLog /dev/stderr
Mutex pthread
StartServers 8
MinSpareServers 8
MaxSpareServers 64
MaxRequestWorkers 64
KeepAlive On
MaxKeepAliveRequests {requests}
KeepAliveTimeout {milliseconds}ms
TypesConfig /dev/null
AddType text/plain .txt
AddOutputFilterByType DEFLATE text/plain
DocumentRoot {self.root}
ScriptAlias /cgi/ {self.root}/cgi/
<Directory {self.root}>
    Require all granted
</Directory>
"""


def sha256(data):
    return hashlib.sha256(data).hexdigest()
