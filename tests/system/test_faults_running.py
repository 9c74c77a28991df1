"""What goes wrong with containers that run, are judged, get traffic and are stopped: the faults of real incidents, each against a
real engine, or a relay before one that breaks its answers."""
import http.client
import json
import pathlib
import subprocess
import threading

import pytest

from engine import Engine
from relay import Relay
from shop import DEMO, Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ROOT

PAUSED = [{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}]
OWN_CHECK = {"healthcheck": {"container": {}}}


@pytest.fixture
def relay(engine, tmp_path):
    relay = Relay(engine, tmp_path / "relay.sock")
    yield relay
    relay.close()


def image_like(engine, name, lines, command='["/sluice-demo"]'):
    engine.build(name, f"FROM scratch\nCOPY sluice-demo /sluice-demo\nENV VERSION={name.split(':')[1]}\n{lines}"
                       f"EXPOSE 8080 9000\nCMD {command}\n", {"sluice-demo": DEMO.read_bytes()})
    return name


def half_way(engine, name, start_sluice, start_load=None, image="slt-demo:v2", replicas=2, **config):
    """As many are new as half of the traffic needs, and have it."""
    shop = Shop(engine, name, replicas).open(start_sluice, start_load, steps=PAUSED, **config)
    shop.begin(image)
    shop.wait(lambda rollout: rollout["step"] == 1)
    return shop


def went_back(shop, *words):
    """The rollout turned back and says why; nothing is lost and all is as it was."""
    state = shop.ends("rolled_back")
    assert all(word in state["why"] for word in words), state["why"]
    shop.closes_well("slt-demo:v1")
    return state


# --- health ---------------------------------------------------------------------------------------------------

def checked(engine, name, interval="300ms", lines=""):
    """An image with a HEALTHCHECK of its own, asked for so often."""
    return image_like(engine, name, f'{lines}HEALTHCHECK --interval={interval} --timeout=5s --retries=3 CMD ["/sluice-demo", "check"]\n')


def own_check(engine, name, **config):
    """A service whose containers' own check is to be believed."""
    shop = Shop(engine, name, 0)
    shop.names = [f"slt-{name}-1"]
    shop.ids = [engine.run(shop.names[0], checked(engine, "slt-demo:own"), Labels={"sluice.service": name})]
    return shop


def test_a_new_version_without_the_healthcheck_that_is_to_be_believed(engine, images, start_sluice):
    """State.Health is absent: nobody would look whether it works, so it is refused before anything is done."""
    shop = own_check(engine, "nocheck").open(start_sluice, service=OWN_CHECK)
    done = shop.sluice.cli("rollout", "nocheck", "--image", "slt-demo:v2")
    assert done.returncode == 3 and "has no HEALTHCHECK" in done.stderr, done.stderr
    assert [each["Id"] for each in shop.containers()] == shop.ids


def test_one_that_starts_for_ever_is_not_waited_for_for_ever(engine, images, start_sluice, start_load):
    """`starting` has a deadline: health_timeout. In a start period as long as this what fails is no failure yet."""
    shop = own_check(engine, "starting").open(start_sluice, start_load, service=OWN_CHECK, health_timeout="8s")
    shop.begin(checked(engine, "slt-demo:starting", "300ms --start-period=30m", "ENV HEALTH=fail\n"))
    state = shop.ends("rolled_back")
    assert "not healthy within 8s" in state["why"], state["why"]
    shop.closes_well("slt-demo:own")


def test_one_that_exits_after_it_was_healthy(engine, images, start_sluice, start_load):
    shop = half_way(engine, "exits", start_sluice, start_load)
    before = shop.state()
    assert before["outcome"] == "none"
    engine.call("POST", f"/containers/{shop.new()[0]['Id']}/kill", query={"signal": "SIGKILL"})
    state = shop.ends("rolled_back")
    assert "exited with code 137" in state["why"], state["why"]
    assert sorted(name for each in shop.containers() for name in each["Names"]) == sorted(f"/{name}" for name in shop.names)


def test_one_that_becomes_unhealthy_in_the_pause(engine, images, start_sluice, start_load):
    sick = image_like(engine, "slt-demo:sick", "ENV HEALTH=fail-after=4\n")
    shop = half_way(engine, "sick", start_sluice, start_load, image=sick)
    went_back(shop, "unhealthy")


def test_one_that_becomes_unhealthy_at_full_weight_is_taken_back(engine, images, start_sluice, start_load):
    """Swarm's rollback killed the good ones here (moby#37972): the old ones must be the same containers."""
    sick = image_like(engine, "slt-demo:late", "ENV HEALTH=fail-after=4\n")
    shop = Shop(engine, "late", 2).open(start_sluice, start_load, monitor="1m")
    shop.begin(sick)
    shop.wait(lambda rollout: rollout["weight"] == 100)
    went_back(shop, "unhealthy")
    assert sorted(each["Id"] for each in shop.containers()) == sorted(shop.ids)


def test_one_that_is_healthy_by_its_own_word_and_refuses_traffic(engine, images, start_sluice, start_load):
    """Its own check is inside; nobody listens where its clients come: the connections that fail are told, not hidden."""
    shop = own_check(engine, "deaf").open(start_sluice, service={**OWN_CHECK, "port": 8081})
    assert shop.sluice.get()[0] == 502
    backend = shop.sluice.wait_until(lambda: next(
        (each for each in shop.sluice.service("deaf")["groups"]["stable"]["backends"] if each["connect_failures"]), None))
    assert backend["health"] == "healthy"
    probed = Shop(engine, "probed", 1)  # Sluice's own check goes where the traffic goes: never healthy
    probed.sluice = start_sluice(probed.config(service={"port": 8081}))
    probed.sluice.wait_until(lambda: any("refused" in each["reason"].lower()
                                         for each in probed.sluice.service("probed")["groups"]["stable"]["backends"]))


# --- traffic ----------------------------------------------------------------------------------------------------

def test_users_do_not_stick_to_what_drains(engine, images, start_sluice, start_load):
    """A user's version follows the weight, not the container that served him last: after an abort nobody is left on what goes."""
    shop = half_way(engine, "sticky", start_sluice, start_load, service={"sticky": {"cookie": "seen"}})
    cookies = []
    for _ in range(24):
        status, headers, body = shop.sluice.get()
        assert status == 200
        cookies.append(headers["Set-Cookie"].split(";")[0])
    assert shop.sluice.cli("abort", shop.name).returncode == 0
    shop.ends("aborted")
    for cookie in cookies:
        assert shop.sluice.get(headers={"Cookie": cookie})[0] == 200
    shop.closes_well("slt-demo:v1")


def test_a_paused_old_container_is_left_out_until_it_goes_on(engine, images, start_sluice):
    """`docker pause`: connections are taken by the kernel and hang. Health tells within its retries; then the others serve."""
    shop = Shop(engine, "frozen", 2).open(start_sluice, service={"timeouts": {"response": "2s"}})
    engine.call("POST", f"/containers/{shop.ids[0]}/pause")
    shop.sluice.wait_healthy("frozen", 1)
    assert all(shop.sluice.get()[0] == 200 for _ in range(20))
    engine.call("POST", f"/containers/{shop.ids[0]}/unpause")
    shop.sluice.wait_healthy("frozen", 2)


def test_a_restart_by_policy_is_followed_to_its_new_address(engine, images, start_sluice):
    """It comes back with another address, and somebody else may have its old one: its pool is not reused."""
    shop = Shop(engine, "moved", 2, {"HostConfig": {"RestartPolicy": {"Name": "always"}}}).open(start_sluice)
    assert all(shop.sluice.get()[0] == 200 for _ in range(8))  # connections are kept
    before = engine.inspect(shop.ids[0])["NetworkSettings"]["IPAddress"]
    engine.stop(shop.ids[0])
    other = engine.run("slt-takes-the-address", "slt-demo:v2")  # the lowest free one
    assert engine.inspect(other)["NetworkSettings"]["IPAddress"] == before
    engine.start(shop.ids[0])
    shop.sluice.wait_healthy("moved", 2)
    after = engine.inspect(shop.ids[0])["NetworkSettings"]["IPAddress"]
    assert after != before
    told = {each["address"] for each in shop.sluice.service("moved")["groups"]["stable"]["backends"]}
    assert f"{after}:8080" in told and f"{before}:8080" not in told
    versions = {shop.sluice.get()[1]["X-Version"] for _ in range(40)}
    assert versions == {"v1"}, "the stranger with the old address was asked"


# --- stop and remove --------------------------------------------------------------------------------------------

def test_a_stop_of_what_has_stopped_and_a_removal_of_what_is_gone_are_done(engine, images, start_sluice, start_load, relay):
    """304 and 404: somebody else was faster."""
    shop = half_way(engine, "faster", start_sluice, start_load, host=relay.host)
    old = shop.ids[1]

    def be_faster(method, path, body):
        if path.endswith("/stop") or f"{old}/stop" in path:
            engine.stop(path.split("/containers/")[1].split("/")[0], grace=5)
        if method == "DELETE" and "/containers/" in path:
            engine.remove(path.split("/containers/")[1].split("?")[0])

    relay.rule = be_faster
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    shop.closes_well()


def test_an_answer_to_a_stop_that_does_not_come_is_looked_for(engine, images, start_sluice, start_load, relay):
    """The engine stopped it, and its answer was lost: no second stop is needed for what has ended."""
    shop = half_way(engine, "unanswered", start_sluice, start_load, host=relay.host)
    lost = []

    def lose(method, path, body):
        if "/stop" in path and path not in lost:
            lost.append(path)
            engine.stop(path.split("/containers/")[1].split("/")[0], grace=5)
            raise ConnectionError

    relay.rule = lose
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    assert lost
    shop.closes_well()


def test_a_busy_device_is_tried_again(engine, images, start_sluice, start_load, relay):
    shop = half_way(engine, "device", start_sluice, start_load, host=relay.host)
    refused = []

    def refuse(method, path, body):
        if method == "DELETE" and "/containers/" in path and len(refused) < 2:
            refused.append(path)
            return 500, json.dumps({"message": "driver \"overlay2\" failed to remove root filesystem: device or resource busy"}).encode()

    relay.rule = refuse
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    assert len(refused) == 2
    assert any("resource busy" in line for line in shop.sluice.log.all)
    shop.closes_well()


def test_one_that_cannot_be_removed_needs_attention_and_serves_on(engine, images, start_sluice, start_load, relay):
    shop = half_way(engine, "dead", start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: (500, b'{"message": "device or resource busy"}') \
        if method == "DELETE" and "/containers/" in path else None
    shop.sluice.cli("promote", shop.name)
    state = shop.ends("needs_attention", timeout=120)
    assert "could not be removed" in state["why"], state["why"]
    assert shop.load.stop()["failed"] == 0
    assert shop.sluice.get()[1]["X-Version"] == "v2"


# --- the engine itself --------------------------------------------------------------------------------------------

def test_events_that_come_twice_and_out_of_order_do_no_harm(engine, images, start_sluice, start_load, relay):
    """Nothing relies on events alone: what they tell of is inspected."""
    held = []

    def shuffle(piece):
        held.append(piece)
        if len(held) < 3:
            return b""
        pieces = held[::-1] + held[:1]
        held.clear()
        return b"".join(pieces)

    relay.event_pieces = shuffle
    shop = half_way(engine, "shuffled", start_sluice, start_load, host=relay.host)
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    shop.closes_well()


class OwnEngine:
    """One that may be stopped and started without harm to other tests."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.start()

    def start(self):
        done = subprocess.run([ROOT / "scripts/engine", "start", self.folder], stdout=subprocess.PIPE, text=True, check=True)
        self.engine = Engine(done.stdout.strip())

    def stop(self):
        subprocess.run([ROOT / "scripts/engine", "stop", self.folder], check=True)


@pytest.fixture
def own_engine(engine, tmp_path):
    own = OwnEngine(tmp_path / "engine")
    for version in ("v1", "v2"):
        image_like(own.engine, f"slt-demo:{version}", "")
    yield own
    own.engine.clean_up()
    own.stop()


@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_restart_of_the_engine_pauses_the_rollout(own_engine, start_sluice, policy):
    """Without live-restore all containers end with it: nobody's failure. They are started again where the engine does not, and an
    operator has a look before it goes on."""
    shop = Shop(own_engine.engine, "restarted", 2, {"HostConfig": {"RestartPolicy": {"Name": policy}}})
    shop.open(start_sluice, steps=PAUSED)
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    everybody = {each["Id"] for each in shop.containers()}
    own_engine.stop()
    shop.sluice.wait_log("event=engine-unreachable")
    own_engine.start()
    shop.sluice.wait_log("event=engine-reachable")
    shop.sluice.wait_healthy("restarted", 3)
    state = shop.state()
    assert state["outcome"] == "none" and state["phase"] == "forward", state["why"]
    assert {each["Id"] for each in shop.containers()} == everybody, "something was made anew"
    assert policy == "always" or state["state"] == "paused", "the engine starts the others itself, maybe before anybody looks"
    if state["state"] == "paused" and "operator" not in state["waiting"]:
        assert "engine was restarted" in state["waiting"], state["waiting"]
        assert shop.sluice.cli("resume", shop.name).returncode == 0
        assert shop.sluice.cli("pause", shop.name).returncode == 0  # an operator's own pause says so
        shop.wait(lambda rollout: "by an operator" in rollout["waiting"])
        assert shop.sluice.cli("resume", shop.name).returncode == 0
    assert shop.sluice.cli("promote", shop.name).returncode == 0
    shop.ends()
    shop.closes_well()
