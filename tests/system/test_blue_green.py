"""The whole new version beside the old one, one switch, and the old one kept: on a real engine under
load, forward, back while it bakes, and back by itself."""
import os
import time

import pytest

from shop import DEMO, Shop, images, start_load, text_of  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")

PREVIEW = {"X-Preview": "green"}


@pytest.fixture
def open_shop(engine, images, start_sluice, start_load):  # noqa: F811
    """open_shop(…) gives two containers of v1 behind Sluice, under load; the keys are the rollout's."""
    shops = []

    def open_one(**rollout):
        shop = Shop(engine, f"green-{len(shops)}", replicas=2)
        config = shop.config(strategy="blue_green", service={
            "healthcheck": {"http": {"path": "/healthz"}, "interval": "1s", "timeout": "1s", "retries": 4},
            "preview": {"header": {"name": "X-Preview", "value": "green"}}}, **rollout)
        del config["services"][shop.name]["rollout"]["steps"]
        config["listeners"]["green"] = {"address": "127.0.0.1:0", "service": shop.name, "group": "canary"}
        shop.sluice = start_sluice(config)
        shop.put_load(start_load)
        shop.sluice.wait_until(lambda: (shop.load.progress() or {}).get("requests", 0) > 50)
        shops.append(shop)
        return shop

    return open_one


def versions(shop, **keys):
    return {shop.sluice.get(**keys)[2][:2] for _ in range(6)}


def at_full_weight(shop):
    shop.wait(lambda rollout: rollout["weight"] == 100 and "watching" in rollout["waiting"])


def test_all_of_the_new_ones_are_looked_at_then_switched_to_at_once(open_shop):
    shop = open_shop(auto_promote=False, bake_time="2s")
    shop.begin("slt-demo:v2")
    shop.wait(lambda rollout: rollout["state"] == "paused")
    rollout = shop.state()
    assert rollout["strategy"] == "blue_green" and rollout["weight"] == 0
    assert [step["kind"] for step in rollout["steps"]] == ["replicas", "pause", "set_weight"]
    assert len(shop.new()) == 2
    assert versions(shop) == {b"v1"}
    assert versions(shop, headers=PREVIEW) == {b"v2"}
    assert versions(shop, listener="green") == {b"v2"}
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    at_full_weight(shop)
    shop.sluice.wait_adopted()
    assert versions(shop) == {b"v2"}
    assert {each["State"] for each in shop.containers()} == {"running"} and len(shop.containers()) == 4
    rollout = shop.ends("completed")
    switch = rollout["steps"][-1]
    assert [split["weight"] for split in switch["split"]] == [100]
    shop.closes_well("slt-demo:v2")


def test_undo_while_it_bakes_is_one_change_of_weight(open_shop):
    shop = open_shop(bake_time="10m")
    before = shop.engine.snapshot()
    shop.begin("slt-demo:v2")
    at_full_weight(shop)
    began = time.monotonic()
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    shop.sluice.wait_until(lambda: shop.sluice.service(shop.name)["weight"] == 0)
    shop.sluice.wait_adopted()
    took = time.monotonic() - began
    assert versions(shop) == {b"v1"}
    shop.ends("aborted")
    assert took < 10, "a change of weight takes no containers"
    assert shop.engine.snapshot() == before
    shop.closes_well("slt-demo:v1")


def test_a_failure_while_it_bakes_turns_back_by_itself(open_shop):
    shop = open_shop(bake_time="10m")
    shop.engine.build("slt-demo:v7", "FROM scratch\nCOPY sluice-demo /sluice-demo\nENV VERSION=v7 HEALTH=fail-after=15\n"
                      'EXPOSE 8080 9000\nCMD ["/sluice-demo"]\n', {"sluice-demo": DEMO.read_bytes()})
    before = shop.engine.snapshot()
    shop.begin("slt-demo:v7")
    at_full_weight(shop)
    rollout = shop.ends("rolled_back", timeout=120)
    assert "unhealthy" in rollout["why"], rollout["why"]
    assert shop.engine.snapshot() == before
    shop.closes_well("slt-demo:v1")


def test_promote_ends_the_bake(open_shop):
    shop = open_shop(bake_time="10m")
    shop.begin("slt-demo:v2")
    at_full_weight(shop)
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends("completed")
    shop.closes_well("slt-demo:v2")


def test_the_updater_dies_while_it_bakes(open_shop):
    shop = open_shop(bake_time="6s")
    shop.begin("slt-demo:v2")
    at_full_weight(shop)
    shop.sluice.kill(shop.sluice.pid("updater"))
    shop.ends("completed", timeout=90)
    shop.closes_well("slt-demo:v2")
