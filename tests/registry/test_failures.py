"""Pulls that go wrong: each ends in words that say why, and with everything as it was."""
import subprocess

import pytest
from engine import Engine
from registry import RegistryRelay, make_image
from shop import Shop
from sluice import ROOT
from test_pull import MEGABYTE, Asked, numbers, open_shop, publish, unchanged  # noqa: F401


def tried(shop):
    return [line for line in shop.sluice.log.all if "event=pull-tried" in line]


def is_manifest(path):
    return "/manifests/" in path


def test_a_tag_that_is_not_there(open_shop, registry, publish, unchanged):
    publish("known", "v2")
    shop = open_shop()
    unchanged.begin()
    Asked(shop, f"{registry.name}/known:v9").refused("no-such-image", "manifest unknown")
    assert not tried(shop)
    unchanged.holds(shop)


def test_a_reference_that_is_none(open_shop, unchanged):
    shop = open_shop()
    unchanged.begin()
    for reference in ("UPPER/case:v1", "web@sha256:123", "../x", "a b", "web:", "http://web/v1"):
        for pull in ("missing", "always"):
            Asked(shop, reference, pull=pull).refused("bad-request")
    assert not tried(shop)
    unchanged.holds(shop)


@pytest.mark.parametrize("status,code,words", [
    (429, "TOOMANYREQUESTS", "toomanyrequests"), (403, "DENIED", "denied"), (401, "UNAUTHORIZED", "unauthorized")],
    ids=["rate-limit", "denied", "unauthorized"])
def test_a_no_is_taken_for_one(open_shop, publish, relay, unchanged, status, code, words):
    publish("refusing", "v2")
    shop = open_shop()
    relay.rule = lambda method, path: (status, {"errors": [{"code": code, "message": "you know why"}]}) \
        if is_manifest(path) else None
    unchanged.begin()
    message = Asked(shop, f"{relay.name}/refusing:v2").refused("pull-failed")
    assert words in message, message
    assert not tried(shop)
    unchanged.holds(shop)


@pytest.mark.parametrize("how", ["cut", (503, {"errors": [{"code": "UNAVAILABLE", "message": "later"}]})],
                         ids=["cut", "503"])
def test_a_registry_in_trouble_is_asked_again(open_shop, publish, relay, how):
    image_id, _ = publish("shaky", "v2")
    shop = open_shop()
    left = [2]

    def rule(method, path):
        if is_manifest(path) and left[0] > 0:
            left[0] -= 1
            return how
        return None

    relay.rule = rule
    assert Asked(shop, f"{relay.name}/shaky:v2").begun()["image_id"] == image_id
    assert tried(shop)
    shop.ends()


def test_a_layer_that_is_cut_off_is_fetched_again(open_shop, publish, relay):
    image_id, digest = publish("cut", "v2", 4 * MEGABYTE)
    shop = open_shop(pull_stall="30s")
    relay.blob_limit = MEGABYTE
    asked = Asked(shop, f"{relay.name}/cut:v2")
    relay.wait_limited()
    relay.go_on()
    rollout = asked.begun()
    assert rollout["image_id"] == image_id and rollout["digest"].endswith(digest)
    shop.ends()


def test_a_stall_is_noticed_told_and_got_over(open_shop, publish, relay):
    image_id, _ = publish("stall", "v2", 4 * MEGABYTE)
    shop = open_shop(pull_stall="2s")
    relay.blob_limit, relay.at_limit = MEGABYTE, "stall"
    asked = Asked(shop, f"{relay.name}/stall:v2")
    told = shop.sluice.events.wait("pull", lambda data: data["pull"] and data["pull"]["state"] == "retrying")
    assert "no progress for 2s" in told["pull"]["error"] and told["pull"]["retry_in_ms"] <= 1000
    relay.go_on()
    assert asked.begun()["image_id"] == image_id
    assert "no progress for 2s" in tried(shop)[0]
    shop.ends()


def test_a_pull_can_be_aborted_in_mid_layer(open_shop, publish, relay, unchanged):
    publish("aborted", "v2", 4 * MEGABYTE)
    shop = open_shop(pull_stall="60s")
    relay.blob_limit, relay.at_limit = MEGABYTE, "stall"
    unchanged.begin()
    asked = Asked(shop, f"{relay.name}/aborted:v2")
    relay.wait_limited()
    second = Asked(shop, "slt-demo:v2").end()
    assert second.error.code == "rollout-in-progress"
    result = shop.sluice.cli("abort", shop.name)
    assert result.returncode == 0 and "nothing was changed" in result.stdout, result
    asked.refused("aborted", "by root")
    assert shop.sluice.cli("abort", shop.name).returncode == 3
    unchanged.holds(shop)


def test_a_registry_that_is_gone_is_given_up_after_five_tries(open_shop, publish, registry, unchanged):
    publish("gone", "v2")
    shop = open_shop()
    away = RegistryRelay(registry)
    away.close()
    unchanged.begin()
    Asked(shop, f"{away.name}/gone:v2").refused("pull-failed", "connection refused", "(tried 5 times)")
    assert len(tried(shop)) == 4
    unchanged.holds(shop)


def test_the_command_shows_the_pull_and_ends_3_where_it_fails(open_shop, publish, relay, unchanged):
    publish("shown", "v2", 4 * MEGABYTE)
    shop = open_shop(pull_stall="60s")
    relay.blob_limit, relay.at_limit = 2 * MEGABYTE, "wait"
    command = subprocess.Popen(shop.sluice.command("rollout", shop.name, "--image", f"{relay.name}/shown:v2"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = command.stdout.readline()
    assert line.startswith(f"pulling {relay.name}/shown:v2"), line
    relay.wait_limited()
    while "layers, " not in line:  # it waits at half a layer: the command must come to tell of it
        line = command.stdout.readline()
        assert line.startswith(f"pulling {relay.name}/shown:v2"), line
    relay.go_on()
    out, err = command.communicate(timeout=60)
    assert command.returncode == 0, (out, err)
    shop.sluice.wait_until(lambda: shop.sluice.service(shop.name)["state"] == "steady")
    unchanged.begin()
    result = shop.sluice.cli("rollout", shop.name, "--image", f"{relay.name}/shown:v9")
    assert result.returncode == 3 and "manifest unknown" in result.stderr, result
    assert shop.sluice.cli("rollout", shop.name, "--image", f"{relay.name}/shown:v9", "--no-pull").returncode == 3


def test_a_restart_in_mid_pull_leaves_nothing_and_says_so(open_shop, publish, relay, unchanged):
    """Killed: the request's connection breaks. Told to end: it is answered."""
    publish("restart", "v2", 4 * MEGABYTE)
    shop = open_shop(pull_stall="60s")
    relay.blob_limit, relay.at_limit = MEGABYTE, "stall"
    unchanged.begin()
    command = subprocess.Popen(shop.sluice.command("rollout", shop.name, "--image", f"{relay.name}/restart:v2"),
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert command.stdout.readline().startswith("pulling ")
    relay.wait_limited()
    shop.sluice.kill(shop.sluice.pid("updater"))
    out, err = command.communicate(timeout=60)
    assert command.returncode == 4 and "nothing was changed" in err, (out, err)
    shop.sluice.wait_until(lambda: shop.sluice.service(shop.name)["state"] == "steady")
    unchanged.holds(shop)


def test_a_tag_that_moves_after_the_pull_changes_nothing(engine, open_shop, publish, registry, start_sluice, images):
    image_id, _ = publish("moves", "v2")
    name = f"{registry.name}/moves:v2"
    shop = Shop(engine, f"pull{next(numbers)}", replicas=2)
    shop.open(start_sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    Asked(shop, name).begun()
    shop.wait(lambda rollout: rollout["state"] == "paused")
    engine.call("POST", "/images/slt-demo:v3/tag", query={"repo": f"{registry.name}/moves", "tag": "v2"})
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends()
    assert {container["ImageID"] for container in shop.containers()} == {image_id}
    engine.remove_image(name)


# --- a full disk ------------------------------------------------------------------------------------

@pytest.fixture
def small_engine(tmp_path_factory):
    """An engine whose disk has 64 MB."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "data").mkdir()
    subprocess.run(["truncate", "-s", "64M", folder / "disk"], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-F", folder / "disk"], check=True)
    if subprocess.run(["mount", "-o", "loop", folder / "disk", folder / "data"], capture_output=True).returncode:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64M", "none", folder / "data"], check=True)
    try:
        host = subprocess.run([ROOT / "scripts/engine", "start", folder], capture_output=True, text=True, check=True)
        yield Engine(host.stdout.strip())
    finally:
        subprocess.run([ROOT / "scripts/engine", "stop", folder], check=True)
        subprocess.run(["umount", folder / "data"], capture_output=True)


def test_a_full_disk_is_named_and_nothing_is_changed(small_engine, engine, registry, publish, start_sluice):
    publish("large", "v2", 40 * MEGABYTE, 40 * MEGABYTE)
    make_image(small_engine, "slt-demo:v1", "v1")
    shop = Shop(small_engine, f"pull{next(numbers)}")
    try:
        shop.open(start_sluice)
        before = small_engine.snapshot(), [small_engine.inspect(each["Id"]) for each in small_engine.containers()]
        Asked(shop, f"{registry.name}/large:v2").refused("pull-failed", "no space left on device")
        assert not tried(shop)
        assert (small_engine.snapshot(),
                [small_engine.inspect(each["Id"]) for each in small_engine.containers()]) == before
        assert shop.sluice.api("GET", "/rollouts")["rollouts"] == [] and shop.sluice.get()[0] == 200
        shop.sluice.close()
    finally:
        for container in small_engine.containers():
            small_engine.remove(container["Id"])
