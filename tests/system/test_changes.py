"""Containers that are changed on purpose with a rollout, keep it in later ones, and get back what they had."""
import json

import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ApiError

SETTINGS = {"Env": ["KEPT=1", "GONE=1", "VERSION=mine"], "HostConfig": {"Memory": 64 << 20, "NanoCpus": 500000000}}


def only(shop):
    (one,) = shop.containers()
    return shop.engine.inspect(one["Id"])


def env_of(inspect):
    return dict(item.split("=", 1) if "=" in item else (item, None) for item in inspect["Config"]["Env"])


def roll(shop, *options):
    """By the command, to its end; the newest rollout."""
    done = shop.sluice.cli("rollout", shop.name, *options)
    assert done.returncode == 0, done
    return shop.sluice.api("GET", f"/rollouts?service={shop.name}&limit=1")["rollouts"][0]


def test_changes_without_a_new_image_last_and_go_with_the_next(engine, images, start_sluice, start_load):
    shop = Shop(engine, "changed", 1, SETTINGS).open(start_sluice, start_load)
    rollout = roll(shop, "--env", "NEW=a b", "--env", "GONE-", "--label", "team=shop", "--memory", "96m", "--cpus", "0.7",
                   "--command", "/sluice-demo 'LOG_ENDS=0'")
    assert rollout["changes"] == {"env": {"NEW": "a b", "GONE": None}, "labels": {"team": "shop"}, "memory": 96 << 20,
                                  "cpus": 0.7, "command": ["/sluice-demo", "LOG_ENDS=0"]}
    shown = shop.sluice.cli("history", rollout["id"]).stdout
    assert "changed env NEW" in shown and "changed env GONE (unset)" in shown and "changed cpus: 0.7" in shown, shown
    assert "a b" not in shown, "values may be secrets"
    assert rollout["image"] == "slt-demo:v1" and rollout["image_id"] == images["v1"]
    for image in ("v1", "v2"):
        now = only(shop)
        assert now["Image"] == images[image]
        assert env_of(now) == {**env_of(now), "NEW": "a b", "KEPT": "1", "GONE": None, "VERSION": "mine"}
        assert now["Config"]["Labels"]["team"] == "shop"
        assert now["HostConfig"]["Memory"] == 96 << 20 and now["HostConfig"]["MemorySwap"] == 192 << 20
        assert now["HostConfig"]["NanoCpus"] == 700000000
        assert now["Config"]["Cmd"] == ["/sluice-demo", "LOG_ENDS=0"]
        if image == "v1":
            assert roll(shop, "--image", "slt-demo:v2")["changes"] is None
    shop.closes_well()


def test_what_is_set_to_what_the_image_says_outlives_that_image(engine, images, start_sluice):
    shop = Shop(engine, "same").open(start_sluice)
    roll(shop, "--image", "slt-demo:v2", "--env", "VERSION=v2")
    roll(shop, "--image", "slt-demo:v1")
    assert env_of(only(shop))["VERSION"] == "v2"


def test_a_rollout_with_changes_that_fails_leaves_things_as_they_were(engine, images, start_sluice):
    shop = Shop(engine, "back", 1, SETTINGS).open(start_sluice)
    before = only(shop)
    done = shop.sluice.cli("rollout", shop.name, "--env", "HEALTH=fail")
    assert done.returncode == 1, done
    assert only(shop)["Id"] == before["Id"]
    shop.closes_well("slt-demo:v1")


def test_a_dry_run_of_changes_alone(engine, images, start_sluice):
    shop = Shop(engine, "dry", 2).open(start_sluice)
    done = shop.sluice.cli("rollout", shop.name, "--memory", "512m", "--dry-run")
    assert done.returncode == 0 and "slt-demo:v1" in done.stdout, done
    assert sorted(each["Id"] for each in shop.containers()) == sorted(shop.ids)


def test_containers_of_different_images_cannot_keep_their_image(engine, images, start_sluice):
    shop = Shop(engine, "mixture", 2)
    engine.remove(shop.ids[1])
    shop.ids[1] = engine.run(shop.names[1], "slt-demo:v2", Labels={"sluice.service": shop.name})
    shop.open(start_sluice)
    done = shop.sluice.cli("rollout", shop.name, "--memory", "512m")
    assert done.returncode == 3 and "say which with --image" in done.stderr, done


def test_they_keep_their_image_though_its_name_has_moved_on(engine, images, start_sluice):
    engine.call("POST", "/images/slt-demo:v1/tag", query={"repo": "slt-demo", "tag": "moving"})
    shop = Shop(engine, "moving", 0)
    shop.names = ["slt-moving-1"]
    shop.ids = [engine.run(shop.names[0], "slt-demo:moving", Labels={"sluice.service": shop.name})]
    shop.open(start_sluice)
    engine.call("POST", "/images/slt-demo:v2/tag", query={"repo": "slt-demo", "tag": "moving"})
    try:
        roll(shop, "--memory", "512m")
        assert only(shop)["Image"] == images["v1"]
    finally:
        engine.remove_image("slt-demo:moving")


@pytest.mark.parametrize("changes,word", [
    ({}, "changes something"), ([], "changes something"), ({"user": "1"}, "nothing else"), ({"env": {"A=B": "1"}}, "no ="),
    ({"env": {"A": 1}}, "text"), ({"env": ["A=1"]}, "object"), ({"memory": "1k"}, "6m"), ({"memory": -1}, "memory"),
    ({"memory": 7000000.5}, "memory"), ({"cpus": "1"}, "cpus"), ({"cpus": 0.001}, "cpus"), ({"command": "run"}, "list"),
    ({"command": [1]}, "text"), ({"labels": {"sluice.service": "other"}}, "cannot be changed"),
    ({"labels": {"com.docker.compose.project": "x"}}, "cannot be changed"), ({"env": {"A": "1", "": "2"}}, "empty")])
def test_changes_that_make_no_sense_are_refused(engine, images, start_sluice, changes, word):
    shop = Shop(engine, "nonsense").open(start_sluice)
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"changes": changes})
    assert refused.value.status == 400 and word in json.dumps(refused.value.body)
