"""What the tests of the engine client share: the tool, a real engine where there is one, and images
and containers that are cleaned up.

SLUICE_BUILD         the build folder (default: build/debug in the repository)
SLUICE_TEST_ENGINE   a real engine, "unix:///…"; tests that need one are skipped without it
"""

import http.client
import io
import json
import os
import pathlib
import socket
import subprocess
import tarfile
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build" / "debug"))


class Result:
    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout
        self.err = process.stderr
        self.lines = process.stdout.splitlines()

    @property
    def json(self):
        return json.loads(self.lines[0])

    def __repr__(self):
        return f"code={self.code} out={self.out!r} err={self.err!r}"


@pytest.fixture(scope="session")
def tool_path():
    path = BUILD / "tests" / "sluice-engine-tool"
    if not path.exists():
        pytest.fail(f"{path} is not built")
    return path


@pytest.fixture(scope="session")
def run_tool(tool_path):
    def run(host, *arguments, timeout=60, env=None):
        return Result(subprocess.run(
            [tool_path, host, *map(str, arguments)], capture_output=True, text=True,
            timeout=timeout, env={**os.environ, **(env or {})}, check=False))
    return run


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Engine:
    """The tests' own, second way to the engine: what the client did is looked at through this."""

    def __init__(self, host):
        self.host = host
        self.path = host.removeprefix("unix://")
        self.prefix = "engine-test-" + uuid.uuid4().hex[:8]
        self.containers, self.images, self.networks, self.volumes = [], [], [], []
        self.count = 0

    def call(self, method, path, body=None, raw=None):
        connection = UnixConnection(self.path)
        headers = {}
        if body is not None:
            raw = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        elif raw is not None:
            headers["Content-Type"] = "application/x-tar"
        connection.request(method, "/v1.41" + path, raw, headers)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {text!r}")
        return json.loads(text) if text and text[:1] in b"[{" and b"\r\n{" not in text else text

    def name(self, what):
        self.count += 1
        return f"{self.prefix}-{what}-{self.count}"

    def image(self, *instructions):
        """An image of one static program, with Dockerfile instructions on top."""
        reference = self.name("image") + ":v1"
        dockerfile = "\n".join(("FROM scratch", "COPY root /") + instructions).encode()
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as tar:
            info = tarfile.TarInfo("Dockerfile")
            info.size = len(dockerfile)
            tar.addfile(info, io.BytesIO(dockerfile))
            for folder in ("root", "root/data", "root/other", "root/run", "root/etc", "root/work"):
                info = tarfile.TarInfo(folder)
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            info = tar.gettarinfo(BUILD / "tests" / "sluice-pause", "root/pause")
            with open(BUILD / "tests" / "sluice-pause", "rb") as program:
                tar.addfile(info, program)
        answer = self.call("POST", f"/build?t={reference}&rm=1&forcerm=1", raw=stream.getvalue())
        self.images.append(reference)
        assert b"Successfully tagged" in answer, answer
        return reference

    def network(self):
        name = self.name("net")
        self.call("POST", "/networks/create", {"Name": name, "CheckDuplicate": True})
        self.networks.append(name)
        return name

    def volume(self):
        name = self.name("volume")
        self.call("POST", "/volumes/create", {"Name": name})
        self.volumes.append(name)
        return name

    def create(self, config, start=True, networks=None):
        name = self.name("c")
        self.containers.append(name)
        self.call("POST", f"/containers/create?name={name}", config)
        for network, endpoint in (networks or {}).items():
            self.call("POST", f"/networks/{network}/connect",
                      {"Container": name, "EndpointConfig": endpoint})
        if start:
            self.call("POST", f"/containers/{name}/start")
        return name

    def inspect(self, name):
        return self.call("GET", f"/containers/{name}/json")

    def anonymous_volumes(self):
        """Removing a container takes its own with it, but not those that were passed on."""
        names = set()
        for container in self.call("GET", "/containers/json?all=1"):
            if any(name.lstrip("/") in self.containers for name in container["Names"]):
                names |= {mount["Name"] for mount in container["Mounts"]
                          if mount["Type"] == "volume" and len(mount["Name"]) == 64}
        return names

    def clean(self):
        self.volumes += self.anonymous_volumes()
        for kind, names, query in (("containers", self.containers, "?force=1&v=1"),
                                   ("images", self.images, "?force=1"),
                                   ("networks", self.networks, ""), ("volumes", self.volumes, "")):
            for name in names:
                try:
                    self.call("DELETE", f"/{kind}/{name}{query}")
                except AssertionError as error:
                    if ": 404" not in str(error):
                        raise


@pytest.fixture(scope="module")
def engine():
    host = os.environ.get("SLUICE_TEST_ENGINE")
    if not host:
        pytest.skip("needs a Docker Engine: set SLUICE_TEST_ENGINE=unix:///path")
    engine = Engine(host)
    yield engine
    engine.clean()


@pytest.fixture
def tool(engine, run_tool):
    return lambda *arguments, **options: run_tool(engine.host, *arguments, **options)
