"""What tests of rollouts share: the demo's images, load, and services of which several live side by
side."""
import http.client
import json
import socket

import pytest

from load import Load
from sluice import BUILD

DEMO = BUILD / "demo/sluice-demo"


@pytest.fixture(scope="session")
def images(engine_of_the_run):
    """v1, v2, v3 (its health check fails), v4 (ends at its start)."""
    demo = DEMO.read_bytes()
    ids = {}
    for version, extra in {"v1": "", "v2": "", "v3": "ENV HEALTH=fail\n", "v4": "ENV HEALTH=ok\n"}.items():
        command = '["/demo-does-not-exist"]' if version == "v4" else '["/sluice-demo"]'
        ids[version] = engine_of_the_run.build(
            f"slt-demo:{version}",
            f"FROM scratch\nCOPY sluice-demo /sluice-demo\nENV VERSION={version}\n{extra}EXPOSE 8080 9000\nCMD {command}\n",
            {"sluice-demo": demo})
    return ids


@pytest.fixture
def start_load(tmp_path):
    loads = []

    def start(*options):
        folder = tmp_path / f"load-{len(loads)}"
        folder.mkdir()
        loads.append(Load(folder, *options))
        return loads[-1]

    yield start
    for load in loads:
        load.close()


def text_of(address):
    return f"{address[0]}:{address[1]}"


class Shop:
    """A service of its own name with its containers, a Sluice in front of it and light load on it."""

    def __init__(self, engine, name, replicas=1, settings=None):
        """`settings` as in the API's container create; a function gives those of the i-th one."""
        self.engine, self.name = engine, name
        self.label = f"sluice.service={name}"
        self.names = [f"slt-{name}-{i + 1}" for i in range(replicas)]
        self.ids = [engine.run(each, "slt-demo:v1",
                               **{"Labels": {"sluice.service": name}, **(settings(i) if callable(settings) else settings or {})})
                    for i, each in enumerate(self.names)]
        self.sluice = self.load = self.rollout = None

    def config(self, host=None, service=None, **rollout):
        drain = {"requests": "10s", "websockets": "10s", "tcp": "300ms"}
        return {
            "listeners": {"web": {"address": "127.0.0.1:0"},
                          "echo": {"address": "127.0.0.1:0", "protocol": "tcp", "service": self.name, "port": 9000}},
            "services": {self.name: {
                "discover": {"label": self.label}, "port": 8080,
                "healthcheck": {"http": {"path": "/healthz"}, "interval": "500ms", "timeout": "500ms", "retries": 4},
                "rollout": {"monitor": "100ms", "drain": drain, "steps": [{"set_weight": 100}], **rollout},
                **(service or {})}},
            "engine": {"host": host or self.engine.host}, "workers": 1}

    def open(self, start_sluice, start_load=None, environment=None, **config):
        self.sluice = start_sluice(self.config(**config), environment=environment)
        if start_load:
            self.put_load(start_load)
        else:
            self.sluice.wait_healthy(self.name, len(self.names))
        return self

    def put_load(self, start_load):
        self.sluice.wait_healthy(self.name, len(self.names))
        self.load = start_load("--address", text_of(self.sluice.address("web")), "--rate", 200, "--connections", 8,
                               "--timeout", 60)  # requests that are held for a swap may wait for long on a busy machine

    def hold_tcp(self):
        """A connection that ends only when it is ended."""
        held = socket.create_connection(self.sluice.address("echo"))
        held.sendall(b"held\n")
        assert held.recv(100)
        return held

    def begin(self, image="slt-demo:v2"):
        try:
            self.rollout = self.sluice.api("POST", f"/services/{self.name}/rollouts", {"image": image})["id"]
        except (OSError, http.client.HTTPException):  # the updater died before it had answered
            newest = self.sluice.wait_until(lambda: self.sluice.api("GET", f"/rollouts?service={self.name}")["rollouts"])
            self.rollout = newest[0]["id"]
        return self.rollout

    def state(self):
        return self.sluice.api("GET", f"/rollouts/{self.rollout}")

    def wait(self, condition, timeout=60):
        return self.sluice.wait_until(lambda: condition(self.state()), timeout)

    def ends(self, outcome="completed", timeout=60):
        """Waits for the end of the rollout, which has to be this one."""
        self.wait(lambda rollout: rollout["outcome"] not in (None, "none", ""), timeout)
        state = self.state()
        assert state["outcome"] == outcome, json.dumps(state, indent=1)
        return state

    def containers(self):
        return self.engine.containers(self.label)

    def new(self):
        """The containers of the rollout in progress."""
        return [each for each in self.containers() if each["Labels"].get("sluice.rollout") == self.rollout]

    def closes_well(self, image="slt-demo:v2"):
        """No request was lost, and there is what there was, with this image."""
        if self.load:
            final = self.load.stop()
            assert final["failed"] == 0, final["failures"]
        left = self.containers()
        assert sorted(name for each in left for name in each["Names"]) == [f"/{name}" for name in self.names]
        assert {each["Image"] for each in left} == {image}
        assert {each["State"] for each in left} == {"running"}
        service = self.sluice.service(self.name)
        assert service["weight"] == 0
        self.sluice.wait_healthy(self.name, len(self.names))
