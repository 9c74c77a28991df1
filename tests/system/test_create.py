"""What goes wrong while a new container is made and started: nothing changes, and the reason is said.
(FAULTS.md says which fault is which test's.)"""
import json
import os

import pytest

from relay import HTML, Relay
from shop import Shop, images, start_load  # noqa: F401 (fixtures)


@pytest.fixture
def relay(engine, tmp_path):
    relay = Relay(engine, tmp_path / "relay.sock")
    yield relay
    relay.close()


def is_new(body, shop):
    """Whether this inspect answer is of a container of the rollout."""
    return f'"{shop.name}"'.encode() in body and b'"sluice.rollout"' in body


# --- it is not like the old one ------------------------------------------------------------------------

def test_a_new_container_that_is_not_like_the_old_one_gets_no_traffic(engine, images, start_sluice, start_load, relay):
    """The engine (or what is between) makes something else of what it was asked for."""
    shop = Shop(engine, "differs").open(start_sluice, start_load, host=relay.host)

    def change(method, path, body):
        if path.endswith("/json") and "/containers/" in path and is_new(body, shop):
            return body.replace(b'"Memory":0,', b'"Memory":67108864,').replace(b'"ReadonlyRootfs":false', b'"ReadonlyRootfs":true')
        return body

    relay.rewrite = change
    shop.begin()
    state = shop.ends("rolled_back")
    assert "HostConfig.Memory: 0 -> 67108864" in state["why"], state["why"]
    told = sorted(line["message"] for line in state["log"] if line["event"] == "container-differs")
    assert told == ["HostConfig.Memory: 0 -> 67108864", "HostConfig.ReadonlyRootfs: false -> true"]
    assert not any("/start" in path for _, path in relay.requests), "it never ran"
    shown = shop.sluice.cli("history", shop.rollout).stdout
    assert "HostConfig.Memory: 0 -> 67108864" in shown
    shop.closes_well("slt-demo:v1")


# --- create ---------------------------------------------------------------------------------------------

def refuse(status, words):
    return status, json.dumps({"message": words}).encode()


def is_create(method, path):
    return method == "POST" and "/containers/create" in path


def name_of(path):
    return path.split("name=")[1].split("&")[0]


def test_a_phantom_has_the_name(engine, images, start_sluice, start_load, relay):
    """409, and an inspect finds nothing of that name (moby#21198): another name, not the same again."""
    shop = Shop(engine, "phantom").open(start_sluice, start_load, host=relay.host)
    taken = []

    def rule(method, path, body):
        if is_create(method, path) and not taken:
            taken.append(name_of(path))
        if is_create(method, path) and name_of(path) == taken[0]:
            return refuse(409, f'Conflict. The container name "/{taken[0]}" is already in use by container "{"0" * 64}".')
        return None

    relay.rule = rule
    shop.begin()
    shop.ends()
    tried = [name_of(path) for method, path in relay.requests if is_create(method, path)]
    assert tried == [taken[0], f"{taken[0]}-2"]
    shop.closes_well()


def test_a_stranger_has_the_name(engine, images, start_sluice, start_load, relay):
    """It is left alone."""
    shop = Shop(engine, "strange").open(start_sluice, start_load, host=relay.host)
    strangers = []

    def rule(method, path, body):
        if is_create(method, path) and not strangers:
            strangers.append(engine.create(name_of(path), "slt-demo:v1"))

    relay.rule = rule
    shop.begin()
    shop.ends()
    assert engine.inspect(strangers[0])["State"]["Status"] == "created"
    engine.remove(strangers[0])
    shop.closes_well()


@pytest.mark.parametrize("status,words,tries", [
    (404, "No such image: slt-demo:v2", 1),
    (400, "invalid mount config for type \"bind\": bind source path does not exist: /gone", 1),
    (500, "mkdir /var/lib/docker/overlay2/x-init: no space left on device", 5)])
def test_a_create_that_is_refused_changes_nothing(engine, images, start_sluice, start_load, relay, status, words, tries):
    """What trying again cannot help is not tried again; a full disk is, with back-off."""
    shop = Shop(engine, f"refused{status}").open(start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: refuse(status, words) if is_create(method, path) else None
    shop.begin()
    assert words in shop.ends("rolled_back", timeout=120)["why"]
    assert sum(is_create(*request) for request in relay.requests) == tries
    shop.closes_well("slt-demo:v1")


def test_the_image_goes_between_the_checks_and_the_create(engine, images, start_sluice, start_load, relay):
    """watchtower#1385 had removed the old container by then."""
    shop = Shop(engine, "gone").open(start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: (refuse(404, "No such image") if f"/images/{images['v2']}/json" in path else None)
    shop.begin()
    assert "is not on the engine any more" in shop.ends("rolled_back")["why"]
    assert not any(is_create(*request) for request in relay.requests)
    shop.closes_well("slt-demo:v1")


def test_a_network_is_deleted_meanwhile(engine, images, start_sluice, start_load, relay):
    """Without all its networks a container is never started."""
    engine.create_network("slt-meanwhile")
    shop = Shop(engine, "meanwhile")
    engine.call("POST", "/networks/slt-meanwhile/connect", {"Container": shop.ids[0]})
    shop.open(start_sluice, start_load, host=relay.host, service={"network": "bridge"})
    relay.rule = lambda method, path, body: (
        refuse(404, "network slt-meanwhile not found") if method == "POST" and "/connect" in path else None)
    shop.begin()
    assert "could not be connected" in shop.ends("rolled_back", timeout=120)["why"]
    assert not any("/start" in path for _, path in relay.requests)
    shop.closes_well("slt-demo:v1")


# --- start ----------------------------------------------------------------------------------------------

PORT_TAKEN = ("driver failed programming external connectivity on endpoint web: Bind for 0.0.0.0:8080 failed: "
              "port is already allocated")


def test_a_port_is_taken_at_the_start_for_a_while(engine, images, start_sluice, start_load, relay):
    shop = Shop(engine, "portonce").open(start_sluice, start_load, host=relay.host)
    refused = []

    def rule(method, path, body):
        if "/start" in path and len(refused) < 2:
            refused.append(path)
            return refuse(500, PORT_TAKEN)
        return None

    relay.rule = rule
    shop.begin()
    shop.ends()
    assert len(refused) == 2
    shop.closes_well()


def test_a_port_that_a_dead_container_has_leaked_is_taken_for_good(engine, images, start_sluice, start_load, relay):
    shop = Shop(engine, "portleak").open(start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: refuse(500, PORT_TAKEN) if "/start" in path else None
    shop.begin()
    why = shop.ends("rolled_back", timeout=120)["why"]
    assert "could not be started" in why and "port is already allocated" in why
    shop.closes_well("slt-demo:v1")


@pytest.mark.parametrize("status, words", [
    (500, "failed to create shim task: mkdir /run/containerd/x: no space left on device"),
    (409, "container is marked for removal and cannot be started")])
def test_a_start_that_is_refused_changes_nothing(engine, images, start_sluice, start_load, relay, status, words):
    shop = Shop(engine, f"start{status}").open(start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: refuse(status, words) if "/start" in path else None
    shop.begin()
    assert words in shop.ends("rolled_back", timeout=120)["why"]
    shop.closes_well("slt-demo:v1")


def test_what_is_no_program_does_not_start(engine, images, start_sluice, start_load):
    engine.build("slt-demo:v6", 'FROM scratch\nCOPY program /program\nCMD ["/program"]\nEXPOSE 8080\n',
                 {"program": b"this is no program\n"})
    shop = Shop(engine, "format").open(start_sluice, start_load)
    shop.begin("slt-demo:v6")
    why = shop.ends("rolled_back", timeout=120)["why"]
    assert "exec format error" in why or "exited with code" in why  # runc says it at the start, or as it ends
    shop.closes_well("slt-demo:v1")


@pytest.mark.parametrize("policy,words", [("no", "exited with code 1"), ("always", "restarted")])
def test_a_version_that_exits_at_once(engine, images, start_sluice, start_load, policy, words):
    """The start says 204. (Its check of a server that does not run is what ends it.)"""
    shop = Shop(engine, f"exits{policy}", 1, {"HostConfig": {"RestartPolicy": {"Name": policy}}}).open(start_sluice, start_load)
    done = shop.sluice.cli("rollout", shop.name, "--command", "/sluice-demo check")
    assert done.returncode == 1 and words in done.stdout, done
    shop.closes_well("slt-demo:v1")


def kill_new(shop):
    shop.engine.call("POST", f"/containers/{shop.new()[0]['Id']}/kill")


@pytest.mark.parametrize("policy,words", [("no", "exited with code 137"), ("always", "restarted")])
def test_a_version_that_ends_after_it_was_healthy(engine, images, start_sluice, start_load, policy, words):
    """Some seconds later, under traffic; brought up again by its policy it has failed all the same."""
    steps = [{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}]
    shop = Shop(engine, f"ends{policy}", 2, {"HostConfig": {"RestartPolicy": {"Name": policy}}})
    shop.open(start_sluice, steps=steps)
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    (new,) = shop.new()
    if policy == "no":
        kill_new(shop)
    else:  # a kill through the API would count as a stop
        os.kill(engine.inspect(new["Id"])["State"]["Pid"], 9)
    assert words in shop.ends("rolled_back")["why"]
    shop.closes_well("slt-demo:v1")


def test_a_version_that_takes_too_much_memory_says_so(engine, images, start_sluice, relay):
    """As the engine tells of one that the kernel has killed."""
    shop = Shop(engine, "memory", 2).open(start_sluice, host=relay.host, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    relay.rewrite = lambda method, path, body: (
        body.replace(b'"OOMKilled":false', b'"OOMKilled":true') if b'"Status":"exited"' in body else body)
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    kill_new(shop)
    assert "exited with code 137: it was killed for want of memory" in shop.ends("rolled_back")["why"]
    shop.closes_well("slt-demo:v1")


# --- what hangs on it -----------------------------------------------------------------------------------

@pytest.mark.parametrize("mode,words", [("NetworkMode", "network"), ("PidMode", "processes"), ("IpcMode", "IPC namespace")])
def test_what_another_container_shares_is_not_taken_away(engine, images, start_sluice, start_load, mode, words):
    shop = Shop(engine, "shared", 1, {"HostConfig": {"IpcMode": "shareable"}}).open(start_sluice, start_load)
    car = engine.create("slt-side-car", "slt-demo:v1", HostConfig={mode: f"container:{shop.ids[0]}"})
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2")
    assert done.returncode == 3, done
    assert "slt-side-car" in done.stderr and words in done.stderr and "--force dependents" in done.stderr, done.stderr
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2", "--force", "dependents")
    assert done.returncode == 0, done
    engine.remove(car)
    shop.closes_well()


def test_what_shares_a_container_that_is_gone_is_refused(engine, images, start_sluice):
    """It could not be made again."""
    other = engine.run("slt-other", "slt-demo:v1", HostConfig={"IpcMode": "shareable"})
    shop = Shop(engine, "orphan", 1, {"HostConfig": {"IpcMode": f"container:{other}"}}).open(start_sluice)
    assert shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2", "--dry-run").returncode == 0
    engine.remove(other)
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2")
    assert done.returncode == 3 and "not there any more" in done.stderr, done
    shop.closes_well("slt-demo:v1")
