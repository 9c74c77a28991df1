"""The main job on a real engine: a canary rollout under load that loses nothing, and everything that
may go wrong with one."""
import json
import os
import pathlib
import re
import socket
import subprocess
import threading
import time

import pytest

from engine import EngineError
from shop import images, start_load, text_of  # noqa: F401 (fixtures)
from sluice import BUILD, COMMAND, ApiError, Sluice

SERVICE = "shop"
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")


@pytest.fixture
def containers(engine, images):
    """Three of v1, as a person would have started them."""
    return [engine.run(f"slt-{SERVICE}-{i}", "slt-demo:v1", Labels={"sluice.service": SERVICE}, Env=[f"REPLICA={i}"],
                       HostConfig={"RestartPolicy": {"Name": "unless-stopped"}}) for i in (1, 2, 3)]


def config_of(engine, workers=2, drain=None, **rollout):
    return {
        "listeners": {"web": {"address": "127.0.0.1:0"},
                      "echo": {"address": "127.0.0.1:0", "protocol": "tcp", "service": SERVICE, "port": 9000}},
        "services": {SERVICE: {
            "discover": {"label": f"sluice.service={SERVICE}"}, "port": 8080,
            "healthcheck": {"http": {"path": "/healthz"}, "interval": "300ms", "timeout": "250ms", "retries": 3},
            "rollout": {"monitor": "1s", "drain": drain or {"requests": "20s", "websockets": "20s", "tcp": "20s"}, **rollout}}},
        "engine": {"host": engine.host}, "workers": workers}


def steady(sluice, rate=2200, connections=96):
    """What the issue asks for: keep-alive, new connections, slow answers, uploads, WebSockets, TCP."""
    return ["--address", text_of(sluice.address("web")), "--tcp", text_of(sluice.address("echo")), "--rate", rate,
            "--connections", connections, "--new-connections", 50, "--slow", 6, "--uploads", 2, "--websockets", 8,
            "--tcp-connections", 8, "--websocket-hold", 4, "--tcp-hold", 4]


def flowing(sluice, load):
    """Traffic of every kind has been answered."""
    sluice.wait_until(lambda: (load.progress() or {}).get("requests", 0) > 500)


def rollout_of(sluice, outcome=None):
    newest = sluice.api("GET", f"/rollouts?service={SERVICE}")["rollouts"][0]
    rollout = sluice.api("GET", f"/rollouts/{newest['id']}")
    if outcome:
        assert rollout["outcome"] == outcome, json.dumps(rollout, indent=1)
    return rollout


def without_stops(snapshot):
    return {**snapshot, "containers": {key: value[0] for key, value in snapshot["containers"].items()}}


class SigtermLines:
    """Follows a container's output from its start to its end, so that nothing is lost with it."""

    def __init__(self, engine, container):
        self.lines = []
        self.thread = threading.Thread(target=self._read, args=(engine, container), daemon=True)
        self.thread.start()

    def _read(self, engine, container):
        _, text = engine.call("GET", f"/containers/{container}/logs", query={"follow": "1", "stdout": "1", "stderr": "1"})
        self.lines = re.findall(r"[a-z]+ [a-z]\S*=.*", text if isinstance(text, str) else "")

    def sigterm(self):
        self.thread.join(30)
        found = [line for line in self.lines if line.startswith("sigterm")]
        assert len(found) == 1, f"wanted one sigterm line, found {self.lines[-5:]}"
        return dict(pair.split("=", 1) for pair in found[0].split()[1:])


# --- the main job -----------------------------------------------------------------------------------

def test_a_rollout_under_load_loses_nothing(engine, containers, start_sluice, start_load):
    before = {container["Id"]: container["Names"] for container in engine.containers(f"sluice.service={SERVICE}")}
    followers = [SigtermLines(engine, container) for container in containers]
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    load = start_load(*steady(sluice))
    flowing(sluice, load)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--steps", "5,25,50,100", "--interval", "2s", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    at_the_end = load.progress()
    final = load.stop()
    rollout = rollout_of(sluice, "completed")

    # Not one failed request, not one broken WebSocket or TCP connection, no body changed.
    assert final["failed"] == 0, final["failures"]
    assert final["websockets"]["broken"] == 0 and final["tcp"]["broken"] == 0
    rate = at_the_end["requests"] / (at_the_end["elapsed_ms"] / 1000)
    assert rate >= 2000, "the load was not what the test is about"
    assert final["websockets"]["messages"] > 0 and final["tcp"]["messages"] > 0
    assert final["kinds"]["slow"]["requests"] > 0 and final["kinds"]["upload"]["requests"] > 0
    assert set(final["versions"]) == {"v1", "v2"} and min(final["versions"].values()) > 500

    # The old ones are gone, the new ones have their names and nothing else is there.
    after = engine.containers(f"sluice.service={SERVICE}")
    assert sorted(name for container in after for name in container["Names"]) == sorted(
        name for names in before.values() for name in names)
    assert not {container["Id"] for container in after} & set(before)
    assert {container["Image"] for container in after} == {"slt-demo:v2"}
    assert {container["State"] for container in after} == {"running"}

    # Each old one was stopped only after its last exchange ended, which was noticed within 100 ms.
    drains = [drain for drain in rollout["drains"] if not drain["new"]]
    assert len(drains) == 3
    for drain in drains:
        assert not drain["forced"]
        assert drain["notice_ms"] is None or 0 <= drain["notice_ms"] <= 100, drain
        assert drain["started"] <= drain["drained"] <= drain["stopped"] <= drain["removed"]
        live = [row for row in drain["proof"] if row["live"]]
        assert len(live) == 2 and all(row["seen_epoch"] >= drain["epoch"] for row in live)
        assert all(row["active"] == row["connecting"] == row["idle"] == 0 for row in drain["proof"])
    for follower in followers:  # what the containers themselves saw
        assert follower.sigterm()["active"] == "0"

    # At every step each worker was within one request of the exact share.
    steps = [step for step in rollout["steps"] if "set_weight" in step]
    assert [step["set_weight"] for step in steps] == [5, 25, 50, 100]
    for step in steps:
        assert len(step["split"]) == 2 and sum(split["exchanges"] for split in step["split"]) > 1000, step
        for split in step["split"]:
            assert split["weight"] == step["set_weight"]
            assert split["error"] == pytest.approx(split["canary"] - split["exchanges"] * split["weight"] / 100, abs=0.01)
            assert abs(split["error"]) <= 1, step


def test_an_unhealthy_version_is_rolled_back_and_leaves_nothing(engine, containers, start_sluice, start_load):
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    before = engine.snapshot()
    load = start_load(*steady(sluice, rate=1000))
    flowing(sluice, load)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v3", "--steps", "5,100", "--interval", "1s", timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "500" in done.stdout + done.stderr  # why: the status that its health check got
    final = load.stop()
    assert final["failed"] == 0, final["failures"]
    assert set(final["versions"]) == {"v1"}
    rollout_of(sluice, "rolled_back")
    assert engine.snapshot() == before
    assert sluice.service(SERVICE)["weight"] == 0


def test_a_version_that_cannot_start_is_rolled_back(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    before = engine.snapshot()
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v4", "--steps", "100", timeout=120)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "demo-does-not-exist" in done.stdout + done.stderr
    assert engine.snapshot() == before


def test_a_websocket_is_not_cut_before_its_budget(engine, containers, start_sluice, start_load):
    sluice = start_sluice(config_of(engine, workers=1, drain={"requests": "5s", "websockets": "4s", "tcp": "4s",
                                                                      "close_spread": "0s"}))
    sluice.wait_healthy(SERVICE, 3)
    load = start_load("--address", text_of(sluice.address("web")), "--rate", 50, "--connections", 4, "--websockets", 9,
                      "--websocket-hold", 600)
    sluice.wait_until(lambda: sum(backend["active_by_kind"]["websocket"]
                                  for backend in sluice.service(SERVICE)["groups"]["stable"]["backends"]) == 9)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--steps", "100", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    final = load.stop()
    rollout = rollout_of(sluice, "completed")
    drains = [drain for drain in rollout["drains"] if not drain["new"]]
    assert len(drains) == 3
    for drain in drains:
        assert drain["forced"] and 4000 <= drain["duration_ms"] < 9500, drain  # told then, and 3 s to take their leave
    # Nine were cut, all of them at the end of the budget and nothing else failed.
    assert {failure["kind"] for failure in final["failures"]} <= {"websocket"}
    assert final["websockets"]["broken"] + final["websockets"]["closed"] == 9


def test_drains_list_what_holds_them(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine, workers=1))
    sluice.wait_healthy(SERVICE, 3)
    started = threading.Barrier(4)

    def slow():
        import http.client
        connection = http.client.HTTPConnection(*sluice.address("web"), timeout=30)
        connection.request("GET", "/slow?ms=6000")
        started.wait(10)
        answers.append(connection.getresponse().status)

    answers = []
    threads = [threading.Thread(target=slow) for _ in range(3)]
    for thread in threads:
        thread.start()
    started.wait(10)
    sluice.wait_until(lambda: sum(backend["active"] for backend in sluice.service(SERVICE)["groups"]["stable"]["backends"]) == 3)
    sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--steps", "100", "--detach")
    holds = sluice.wait_until(lambda: [hold for drain in sluice.api("GET", f"/services/{SERVICE}/drains")["drains"]
                                       for hold in drain["holds"]])
    assert holds[0]["request"] == "GET /slow?ms=6000" and holds[0]["kind"] == "request"
    listed = sluice.cli("drain", SERVICE)
    assert listed.returncode == 0 and "/slow" in listed.stdout, listed.stdout + listed.stderr
    for thread in threads:
        thread.join(30)
    assert answers == [200, 200, 200]
    sluice.wait_until(lambda: rollout_of(sluice)["outcome"] == "completed", timeout=60)
    # Three long requests on three backends: one may have had none, but whoever was busy when its
    # drain began has an end that could be noticed late.
    drains = [drain for drain in rollout_of(sluice)["drains"] if not drain["new"]]
    assert len(drains) == 3
    for drain in drains:
        assert not drain["forced"] and drain["drained"] <= drain["stopped"], drain
    noticed = [drain for drain in drains if drain["notice_ms"] is not None]
    assert noticed
    for drain in noticed:
        assert drain["duration_ms"] > 500 and 0 <= drain["notice_ms"] <= 100, drain


# --- verbs --------------------------------------------------------------------------------------------

def test_pause_promote_and_abort(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine, steps=[{"set_weight": 20}, {"pause": {}}, {"set_weight": 100}]))
    sluice.wait_healthy(SERVICE, 3)
    before = engine.snapshot()
    started = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--detach", "--json")
    assert started.returncode == 0, started.stderr
    number = json.loads(started.stdout)["id"]
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["step"] == 1, timeout=60)
    assert sluice.service(SERVICE)["weight"] == 20
    assert sluice.cli("abort", SERVICE).returncode == 0
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["outcome"] == "aborted", timeout=60)
    assert engine.snapshot() == before
    refused = sluice.cli("promote", number)
    assert refused.returncode == 3, refused.stdout + refused.stderr

    number = json.loads(sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--detach", "--json").stdout)["id"]
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["step"] == 1, timeout=60)
    assert sluice.cli("promote", SERVICE).returncode == 0
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["outcome"] == "completed", timeout=60)
    history = sluice.cli("history", SERVICE)
    assert "completed" in history.stdout and "aborted" in history.stdout


# --- death in the middle --------------------------------------------------------------------------------

@pytest.mark.parametrize("moment", ["while a container is created", "in a pause", "in the last drain"])
def test_the_updater_is_killed_and_the_rollout_finishes_by_itself(engine, containers, start_sluice, start_load, moment):
    sluice = start_sluice(config_of(engine, steps=[{"set_weight": 30}, {"pause": "2s"}, {"set_weight": 100}]))
    sluice.wait_healthy(SERVICE, 3)
    load = start_load("--address", text_of(sluice.address("web")), "--rate", 500, "--connections", 16, "--slow", 6)
    flowing(sluice, load)
    updater = sluice.pid("updater")
    after = len(sluice.events.all)
    number = json.loads(sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--detach", "--json").stdout)["id"]
    if moment == "in a pause":
        sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["step"] == 1, timeout=60)
    elif moment == "in the last drain":
        sluice.events.wait("drain_started", after=after, timeout=60)
    requests = load.progress()["requests"]
    position = sluice.log_position()
    sluice.kill(updater)
    sluice.wait_log(["event=child-ready", "child=updater"], after=position)
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["outcome"] == "completed", timeout=90)
    final = load.stop()
    assert final["failed"] == 0, final["failures"]
    assert final["requests"] > requests
    left = engine.containers(f"sluice.service={SERVICE}")
    assert sorted(container["Names"][0] for container in left) == [f"/slt-{SERVICE}-{i}" for i in (1, 2, 3)]
    assert {container["Image"] for container in left} == {"slt-demo:v2"}


def test_a_worker_is_killed_in_a_rollout(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine, steps=[{"set_weight": 50}, {"pause": "1s"}, {"set_weight": 100}]))
    sluice.wait_healthy(SERVICE, 3)
    number = json.loads(sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--detach", "--json").stdout)["id"]
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["step"] >= 1, timeout=60)
    sluice.kill(sluice.worker_pids()[0])
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{number}")["outcome"] == "completed", timeout=60)
    assert len(sluice.worker_pids()) == 2
    assert sluice.get()[0] == 200


# --- refused before anything changes ----------------------------------------------------------------------

def test_a_missing_image_is_refused_and_nothing_changes(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    before = engine.snapshot()
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v99", timeout=120)
    assert done.returncode == 3, done.stdout + done.stderr
    assert "v99" in done.stderr
    assert engine.snapshot() == before


def test_the_image_that_runs_already_is_refused(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v1")
    assert done.returncode == 3 and "slt-demo:v1" in done.stderr, done.stderr


def test_a_second_rollout_while_one_runs_is_refused(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine, steps=[{"set_weight": 20}, {"pause": {}}, {"set_weight": 100}]))
    sluice.wait_healthy(SERVICE, 3)
    assert sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2", "--detach").returncode == 0
    second = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v3")
    assert second.returncode == 3, second.stdout + second.stderr
    assert "rollout" in second.stderr
    sluice.cli("abort", SERVICE)
    sluice.wait_until(lambda: rollout_of(sluice)["outcome"] == "aborted", timeout=60)


def test_a_service_without_containers_is_refused(engine, images, start_sluice):
    sluice = start_sluice(config_of(engine))
    sluice.wait_until(lambda: sluice.service(SERVICE)["state"] == "no-backends")
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2")
    assert done.returncode == 3, done.stdout + done.stderr
    assert f"sluice.service={SERVICE}" in done.stderr  # what to look for, so that it can be mended
    assert sluice.get()[0] == 503


def test_an_engine_that_is_not_there(start_sluice, tmp_path):
    class NoEngine:
        host = f"unix://{tmp_path}/nowhere.sock"

    sluice = start_sluice(config_of(NoEngine))
    sluice.wait_until(lambda: sluice.service(SERVICE)["state"] == "engine-unreachable")
    assert "nowhere.sock" in sluice.service(SERVICE)["message"]
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nowhere.sock" in done.stderr


def test_an_unknown_service_is_refused_with_those_there_are(start_sluice, engine):
    sluice = start_sluice(config_of(engine))
    done = sluice.cli("rollout", "shpo", "--image", "slt-demo:v2")
    assert done.returncode in (2, 3) and SERVICE in done.stderr, done.stderr


# --- the world changes by itself --------------------------------------------------------------------------

def test_containers_that_come_and_go_are_followed(engine, containers, start_sluice):
    sluice = start_sluice(config_of(engine))
    sluice.wait_healthy(SERVICE, 3)
    extra = engine.run(f"slt-{SERVICE}-4", "slt-demo:v1", Labels={"sluice.service": SERVICE})
    sluice.wait_healthy(SERVICE, 4)
    engine.remove(extra)
    sluice.wait_until(lambda: sluice.service(SERVICE)["replicas"] == 3)
    engine.stop(containers[0])
    sluice.wait_healthy(SERVICE, 2)
    engine.start(containers[0])
    sluice.wait_healthy(SERVICE, 3)
    assert all(sluice.get()[0] == 200 for _ in range(20))


# --- who belongs to a service -----------------------------------------------------------------------------

def test_the_new_containers_are_found_again_where_the_label_names_another_service(engine, images, start_sluice):
    engine.run("slt-odd-1", "slt-demo:v1", Labels={"sluice.service": "odd"})
    config = config_of(engine, steps=[{"set_weight": 100}])
    config["services"][SERVICE]["discover"]["label"] = "sluice.service=odd"
    sluice = start_sluice(config)
    sluice.wait_healthy(SERVICE, 1)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2")
    assert done.returncode == 0, done.stdout + done.stderr
    (left,) = engine.containers("sluice.service=odd")
    assert left["Image"] == "slt-demo:v2" and left["Names"] == ["/slt-odd-1"]
    sluice.close()
    again = start_sluice(config)
    again.wait_healthy(SERVICE, 1)
    assert again.get()[0] == 200


def test_a_rollout_does_not_make_its_containers_another_services_too(engine, images, start_sluice):
    engine.run("slt-shop-1", "slt-demo:v1", Labels={"com.docker.compose.project": "one", "com.docker.compose.service": SERVICE})
    engine.run("slt-other-1", "slt-demo:v1", Labels={"sluice.service": SERVICE})
    config = config_of(engine, steps=[{"set_weight": 100}])
    config["services"][SERVICE]["discover"] = {"label": f"com.docker.compose.service={SERVICE}", "project": "one"}
    sluice = start_sluice(config)
    sluice.wait_healthy(SERVICE, 1)
    assert sluice.cli("rollout", SERVICE, "--image", "slt-demo:v2").returncode == 0
    assert [container["Names"] for container in engine.containers(f"sluice.service={SERVICE}")] == [["/slt-other-1"]]


class SlowRemoval:
    """The engine, but that its answer to a removal comes later than its event does."""

    def __init__(self, engine, path):
        self.engine = engine.host.removeprefix("unix://")
        self.host = f"unix://{path}"
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(path))
        self.listening.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            client, _ = self.listening.accept()
            upstream = socket.socket(socket.AF_UNIX)
            upstream.connect(self.engine)
            removal = threading.Event()
            threading.Thread(target=self._pass, args=(client, upstream, removal, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(upstream, client, removal, False), daemon=True).start()

    @staticmethod
    def _pass(source, target, removal, is_request):
        try:
            while data := source.recv(65536):
                if is_request and data.startswith(b"DELETE "):
                    removal.set()
                elif not is_request and removal.is_set():
                    removal.clear()
                    time.sleep(0.3)
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_a_removal_whose_answer_comes_after_its_event_is_in_the_record(engine, containers, start_sluice, tmp_path):
    sluice = start_sluice(config_of(SlowRemoval(engine, tmp_path / "slow.sock")))
    sluice.wait_healthy(SERVICE, 3)
    done = sluice.cli("rollout", SERVICE, "--image", "slt-demo:v3")
    assert done.returncode == 1, done.stdout + done.stderr
    rollout = rollout_of(sluice, "rolled_back")
    assert [drain["removed"] is not None for drain in rollout["drains"]] == [True], rollout["drains"]
    assert "container_removed" in [entry["event"] for entry in rollout["log"]]
