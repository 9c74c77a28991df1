"""A rollout that mirrors, on a real engine under load: the new version is tried with copies of what the clients
ask, and judged by them, before any client gets to see it."""
import os

import pytest

from shop import images, start_load  # noqa: F401 (fixtures)
from test_analysis import FULL, analysis, judged_images, open_shop, step_of  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")

MIRROR = {"mirror": 100}


def mirrored(shop):
    return shop.sluice.service(shop.name)["mirrored"]


def test_copies_try_the_new_version_before_any_client_does(open_shop):  # noqa: F811
    shop = open_shop([MIRROR, {"pause": {}}, {"mirror": 0}, FULL])
    shop.begin("slt-demo:v2")
    shop.wait(lambda rollout: rollout["state"] == "paused")
    shop.sluice.wait_until(lambda: mirrored(shop)["compared"] >= 100)
    service = shop.sluice.service(shop.name)
    assert service["mirror"] == 100 and service["weight"] == 0
    copies = service["mirrored"]
    assert copies["failed"] == 0 and copies["status_differs"] == 0
    assert copies["body_differs"] == copies["compared"]  # each version says its name
    assert set(shop.load.progress()["versions"]) == {"v1"}
    status = shop.sluice.cli("status", shop.name).stdout
    assert "OTHER BODY" in status and " 100% " in status, status
    line = next(line for line in shop.sluice.api("GET", "/metrics").splitlines()
                if line.startswith("sluice_backend_mirrored_total{") and 'group="canary"' in line)
    assert float(line.split()[-1]) > 0
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends("completed", timeout=120)
    final = shop.load.stop()
    assert final["failures"] == [] and set(final["versions"]) == {"v1", "v2"}
    shop.load = None
    shop.closes_well("slt-demo:v2")


def test_a_bad_version_is_caught_by_copies_alone(open_shop):  # noqa: F811
    shop = open_shop([MIRROR, analysis(interval="60s"), FULL], rate=200)
    before = shop.engine.snapshot()
    shop.begin("slt-demo:v5")
    rollout = shop.ends("rolled_back", timeout=120)
    assert rollout["why"].startswith("analysis: "), rollout["why"]
    assert step_of(rollout, "analysis")["analysis"]["verdict"] == "fail"
    final = shop.load.stop()
    assert final["failures"] == [] and set(final["versions"]) == {"v1"}
    assert shop.engine.snapshot() == before
    assert shop.sluice.service(shop.name)["mirror"] == 0


def test_an_abort_ends_the_mirror_and_its_copies(open_shop):  # noqa: F811
    """v6 takes 1.5 s for each answer: there are copies in flight all the time."""
    shop = open_shop([MIRROR, {"pause": {}}, FULL])
    before = shop.engine.snapshot()
    shop.begin("slt-demo:v6")
    shop.wait(lambda rollout: rollout["state"] == "paused")
    shop.sluice.wait_until(lambda: mirrored(shop)["sent"] >= 64)
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    rollout = shop.ends("aborted")
    assert all(drain["proof"] is not None for drain in rollout["drains"]), rollout["drains"]
    assert shop.load.stop()["failures"] == []
    assert shop.sluice.service(shop.name)["mirror"] == 0
    assert shop.engine.snapshot() == before
