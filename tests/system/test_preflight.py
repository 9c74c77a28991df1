"""Before anything changes: the dry run, and what is refused, on a real engine."""
import json
import os
import signal
import subprocess

import pytest

import sluice
from ports import free_port
from relay import Relay
from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ApiError


@pytest.fixture
def relay(engine, tmp_path):
    relay = Relay(engine, tmp_path / "relay.sock")
    yield relay
    relay.close()


def dry_run(shop, image="slt-demo:v2", **wanted):
    return shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": image, "dry_run": True, **wanted})


def refused(shop, image="slt-demo:v2", **wanted):
    with pytest.raises(ApiError) as caught:
        shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": image, **wanted})
    return caught.value


def check_of(answer, name):
    return next(check for check in answer["checks"] if check["name"] == name)


def everything(engine):
    """All that there is, in detail; what changes by itself left out."""
    containers = {}
    for container in engine.containers():
        inspect = engine.inspect(container["Id"])
        inspect["State"].pop("Health", None)
        containers[container["Id"]] = inspect
    return {"snapshot": engine.snapshot(), "containers": containers}


# --- the dry run -----------------------------------------------------------------------------------

def test_a_dry_run_changes_nothing(engine, images, start_sluice):
    shop = Shop(engine, "dry", 2).open(start_sluice)
    before = everything(engine)
    plan = dry_run(shop)
    said = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2", "--dry-run")
    assert everything(engine) == before
    assert shop.sluice.api("GET", "/rollouts")["rollouts"] == []
    assert shop.sluice.service(shop.name)["state"] == "steady"

    assert plan["would"] == "begin" and not plan["pull"]
    assert [each["name"] for each in plan["running"]] == shop.names
    assert {each["image_id"] for each in plan["running"]} == {images["v1"]} and plan["image_id"] == images["v2"]
    assert plan["running"][0]["settings"]["networks"] == ["bridge"]
    assert {check["outcome"] for check in plan["checks"]} <= {"ok", "warning", "skipped"}, plan["checks"]
    assert said.returncode == 0, said.stderr
    for words in ("nothing is changed", shop.names[0], "slt-demo:v2", "it would begin", "remove"):
        assert words in said.stdout


def actions_done(shop):
    """What the rollout did, as its log tells: (event, name), in order."""
    told = {"container_created": "create", "container_started": "start", "published": "publish", "weight": "set_weight",
            "draining": "drain", "container_stopped": "stop", "container_removed": "remove", "container_renamed": "rename"}
    return [told[line["event"]] for line in shop.state()["log"] if line["event"] in told]


def test_the_plan_that_is_shown_is_the_one_that_is_done(engine, images, start_sluice):
    shop = Shop(engine, "shown", 2).open(start_sluice, steps=[{"set_weight": 50}, {"pause": "200ms"}, {"set_weight": 100}])
    plan = dry_run(shop)
    shop.begin()
    shop.ends()
    shown = [action["kind"] for action in plan["actions"] if action["kind"] != "ready"]
    done = actions_done(shop)
    assert sorted(shown) == sorted(done)
    phases = [kind for kind in done if kind in ("create", "set_weight", "drain", "rename")]
    assert [kind for kind in shown if kind in ("create", "set_weight", "drain", "rename")] == phases
    assert plan["beside"] == 2 and plan["takes_ms"] >= 300


def test_a_dry_run_is_told_what_would_refuse_it(engine, images, start_sluice):
    shop = Shop(engine, "told", 1).open(start_sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    same = dry_run(shop, "slt-demo:v1")
    assert same["would"] == "refuse" and check_of(same, "image")["outcome"] == "refused"
    assert shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v1", "--dry-run").returncode == 3
    waits = [action for action in dry_run(shop)["actions"] if action["kind"] == "wait_for_promote"]
    assert len(waits) == 1

    shop.begin()
    shop.wait(lambda rollout: rollout["state"] == "paused")
    beside = dry_run(shop)
    assert beside["would"] == "refuse" and shop.rollout in check_of(beside, "rollout")["message"]
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    shop.ends("aborted")


def test_a_database_volume_is_not_written_twice_unless_forced(engine, images, start_sluice):
    volume = engine.create_volume("slt-database")
    shop = Shop(engine, "database", 1, {"HostConfig": {"Binds": [f"{volume}:/var/lib/postgresql/data"]}}).open(start_sluice, order="start-first")
    before = everything(engine)
    error = refused(shop)
    assert (error.status, error.code) == (422, "shared-volume") and volume in str(error)
    assert everything(engine) == before
    said = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2")
    assert said.returncode == 3 and "--force volumes" in said.stderr
    bad = refused(shop, force=["recreate"])
    assert bad.status == 400 and "volumes" in str(bad)
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": "slt-demo:v2", "force": ["volumes"]})["id"]
    shop.ends()


def test_a_database_volume_changes_hands_where_the_order_is_left_open(engine, images, start_sluice):
    volume = engine.create_volume("slt-database")
    shop = Shop(engine, "handed", 1, {"HostConfig": {"Binds": [f"{volume}:/var/lib/postgresql/data"]}}).open(start_sluice)
    assert dry_run(shop)["beside"] == 0
    shop.begin()
    rollout = shop.ends()
    assert rollout["order"] == "stop-first" and volume in rollout["order_why"], rollout["order_why"]


# --- what is refused -------------------------------------------------------------------------------

def refused_and_unchanged(engine, shop, code, words, image="slt-demo:v2", status=422):
    """By the API and by the command, and nothing of it is left."""
    before = everything(engine)
    error = refused(shop, image)
    assert (error.status, error.code) == (status, code), error
    assert words in error.body["error"]["message"], error
    said = shop.sluice.cli("rollout", shop.name, "--image", image)
    assert said.returncode == 3 and words in said.stderr, said
    assert everything(engine) == before
    assert shop.sluice.api("GET", f"/rollouts?service={shop.name}")["rollouts"] == []
    return error.body["checks"]


def test_a_memory_limit_above_what_is_free_is_refused_unless_forced(engine, images, start_sluice):
    shop = Shop(engine, "memory", 1, {"HostConfig": {"Memory": 900 << 30}}).open(start_sluice)
    checks = refused_and_unchanged(engine, shop, "not-enough-memory", "by its limit")
    assert [check["name"] for check in checks if check["outcome"] == "refused"] == ["memory"]
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/rollouts",
                                   {"image": "slt-demo:v2", "force": ["memory", "cpu"]})["id"]
    kept = {check["name"]: check for check in shop.ends()["preflight"]}
    assert kept["memory"]["forced"] and kept["memory"]["outcome"] == "warning"
    assert kept["volumes"]["outcome"] == "ok" and not kept["volumes"]["forced"]


def test_what_runs_is_measured(engine, images, start_sluice):
    shop = Shop(engine, "measured", 2).open(start_sluice)
    plan = dry_run(shop)
    for name in ("memory", "disk", "processes", "descriptors", "networks", "engine"):
        assert check_of(plan, name)["outcome"] == "ok", check_of(plan, name)
    assert "going by those that run" in check_of(plan, "memory")["message"]
    assert engine.call("GET", "/info")[1]["DockerRootDir"] in check_of(plan, "disk")["message"]


def test_a_container_that_removes_itself_is_refused(engine, images, start_sluice):
    shop = Shop(engine, "vanishes", 1, {"HostConfig": {"AutoRemove": True}}).open(start_sluice)
    refused_and_unchanged(engine, shop, "cannot-recreate", "--rm")


def test_containers_of_a_swarm_are_left_to_it(engine, images, start_sluice):
    shop = Shop(engine, "swarm", 1, {"Labels": {"sluice.service": "swarm", "com.docker.swarm.service.id": "x"}}).open(start_sluice)
    refused_and_unchanged(engine, shop, "cannot-recreate", "docker service update")


def test_health_asked_of_a_container_that_has_no_healthcheck_is_refused(engine, images, start_sluice):
    healthy = {"Healthcheck": {"Test": ["NONE"]}}
    shop = Shop(engine, "unasked", 1, healthy)
    shop.sluice = start_sluice(shop.config(service={"healthcheck": {"container": {}}}))
    shop.sluice.wait_until(lambda: shop.sluice.service(shop.name)["replicas"] == 1)
    refused_and_unchanged(engine, shop, "bad-settings", "no HEALTHCHECK")


def test_a_network_without_addresses_left_is_refused(engine, images, start_sluice):
    engine.call("POST", "/networks/create", {"Name": "slt-narrow", "Labels": {"sluice.test": "1"},
                                             "IPAM": {"Config": [{"Subnet": "172.31.255.248/29"}]}})
    shop = Shop(engine, "narrow", 3, {"HostConfig": {"NetworkMode": "slt-narrow"}}).open(start_sluice)
    refused_and_unchanged(engine, shop, "cannot-recreate", "slt-narrow has room for 5")


def test_mixed_versions_are_said(engine, images, start_sluice):
    shop = Shop(engine, "mixed", 1).open(start_sluice)
    engine.run("slt-mixed-2", "slt-demo:v3", Labels={"sluice.service": "mixed"}, Env=["HEALTH=ok"])
    shop.names.append("slt-mixed-2")
    shop.sluice.wait_healthy("mixed", 2)
    check = check_of(dry_run(shop), "versions")
    assert check["outcome"] == "warning" and "slt-demo:v3" in check["message"]


def test_what_the_engine_may_not_be_asked_is_skipped(engine, images, start_sluice, relay):
    """A filtering proxy that lets through only what a rollout itself needs."""
    only_preflight = ("/info", "/stats", "/networks/", "/distribution/")
    relay.rule = lambda method, path, body: (403, b"no") if method == "GET" and any(part in path for part in only_preflight) else None
    shop = Shop(engine, "filtered", 1).open(start_sluice, host=relay.host)
    plan = dry_run(shop)
    assert plan["would"] == "begin"
    assert {check["name"] for check in plan["checks"] if check["outcome"] == "skipped"} >= {"memory", "cpu", "disk", "engine", "networks"}
    shop.begin()
    shop.ends()

def test_a_fixed_host_port_is_refused_where_start_first_is_asked_for(engine, images, start_sluice):
    port = free_port()
    settings = {"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}}
    shop = Shop(engine, "fixed-port", 1, settings).open(start_sluice, order="start-first")
    refused_and_unchanged(engine, shop, "cannot-recreate", str(port))


def test_a_name_that_the_records_cannot_keep_is_refused(engine, images, start_sluice):
    shop = Shop(engine, "long-name", 1)
    engine.call("POST", f"/containers/{shop.ids[0]}/rename", query={"name": "n" * 130})
    shop.open(start_sluice)
    refused_and_unchanged(engine, shop, "cannot-recreate", "rename the container")


def test_an_image_for_another_processor_is_refused_unless_forced(engine, images, start_sluice, relay):
    def for_arm(method, path, body):
        is_new = method == "GET" and path.endswith("/json") and "/images/slt-demo" in path
        return body.replace(b'"Architecture":"amd64"', b'"Architecture":"arm64"') if is_new else body

    relay.rewrite = for_arm
    shop = Shop(engine, "arm", 1).open(start_sluice, host=relay.host)
    refused_and_unchanged(engine, shop, "wrong-platform", "arm64")


def test_sluice_does_not_replace_the_container_that_it_runs_in(engine, images, start_sluice, tmp_path, monkeypatch):
    """As the engine does it, /etc/hostname is mounted from a folder named by the container's id."""
    shop = Shop(engine, "itself", 2)
    hostname = tmp_path / "containers" / shop.ids[1] / "hostname"
    hostname.parent.mkdir(parents=True)
    hostname.write_text("sluice\n")
    inside = tmp_path / "sluice"
    inside.write_text(f"#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {hostname} /etc/hostname && exec {sluice.COMMAND} \"$@\"' sh \"$@\"\n")
    inside.chmod(0o755)
    if subprocess.run([inside, "version"], capture_output=True).returncode:
        pytest.skip("no mount namespace can be made here")
    monkeypatch.setattr(sluice, "COMMAND", inside)
    shop.open(start_sluice)
    refused_and_unchanged(engine, shop, "cannot-recreate", "it cannot replace itself")


# --- the engine ------------------------------------------------------------------------------------

@pytest.mark.parametrize("newest,oldest,words", [("1.99", "1.60", "1.60"), ("1.12", "1.0", "1.12")])
def test_an_engine_too_new_or_too_old_is_told_at_the_start(engine, images, start_sluice, relay, newest, oldest, words):
    def other_version(method, path, body):
        return json.dumps({**json.loads(body), "ApiVersion": newest, "MinAPIVersion": oldest}).encode() if "/version" in path else body

    relay.rewrite = other_version
    shop = Shop(engine, "versions", 1)
    shop.sluice = start_sluice(shop.config(host=relay.host))
    shop.sluice.wait_until(lambda: words in shop.sluice.api("GET", "/healthz")["engine"]["message"])
    error = refused(shop, dry_run=True)
    assert error.status == 503 and words in str(error)
    assert shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2").returncode == 3

    relay.rewrite = lambda method, path, body: body  # mended: nothing has to be started again
    shop.sluice.wait_healthy(shop.name, 1)
    shop.begin()
    shop.ends()


def test_a_socket_that_is_taken_away_is_noticed_though_connections_live(engine, images, start_sluice, relay):
    shop = Shop(engine, "taken-away", 1).open(start_sluice, host=relay.host)
    os.rename(relay.path, relay.path + ".away")
    shop.sluice.wait_until(lambda: not shop.sluice.api("GET", "/healthz")["engine"]["reachable"])
    assert relay._events, "the stream of events was cut: this is not what the test is about"
    error = refused(shop, dry_run=True)
    assert error.status == 503 and "no such socket" in str(error)
    os.rename(relay.path + ".away", relay.path)
    shop.sluice.wait_until(lambda: shop.sluice.api("GET", "/healthz")["engine"]["reachable"])
    shop.begin()
    shop.ends()


def test_a_second_rollout_is_refused_and_leaves_the_first_alone(engine, images, start_sluice):
    shop = Shop(engine, "second", 1).open(start_sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    shop.begin()
    shop.wait(lambda rollout: rollout["state"] == "paused")
    error = refused(shop, "slt-demo:v3")
    assert (error.status, error.code) == (409, "rollout-in-progress") and shop.rollout in str(error)
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends()


def test_a_config_that_changes_in_mid_rollout_changes_nothing_in_it(engine, images, start_sluice):
    shop = Shop(engine, "reloaded", 1).open(start_sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    shop.begin()
    before = shop.wait(lambda rollout: rollout["state"] == "paused" and rollout)["steps"]
    shop.sluice.write_config(shop.config(steps=[{"set_weight": 10}, {"pause": "1h"}, {"set_weight": 100}]))
    position = shop.sluice.log_position()
    shop.sluice.signal(signal.SIGHUP)
    shop.sluice.wait_log(["role=updater", "event=rollout-taken-up"], after=position)
    after = shop.wait(lambda rollout: rollout["state"] == "paused" and rollout)["steps"]
    keys = ("set_weight", "pause", "pause_ms", "state", "started")
    assert [{key: step.get(key) for key in keys} for step in after] == [{key: step.get(key) for key in keys} for step in before]
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends()
    weights = [action["weight"] for action in dry_run(shop, "slt-demo:v3")["actions"] if action["kind"] == "set_weight"]
    assert weights == [10, 100]  # the next one is the new config's
