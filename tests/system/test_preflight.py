"""Before anything changes: the dry run, and what is refused, on a real engine."""
import json

import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ApiError


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
    shop = Shop(engine, "database", 1, {"HostConfig": {"Binds": [f"{volume}:/var/lib/postgresql/data"]}}).open(start_sluice)
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
