"""Whatever dies whenever, whoever meddles: a rollout ends on one version, with all its containers, and
loses nothing."""
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import BUILD

HAS_CRASH_POINTS = b"SLUICE_TEST_CRASH" in (BUILD / "libexec/sluice/sluice-updater").read_bytes()
CRASHES = pytest.mark.skipif(not HAS_CRASH_POINTS, reason="this build has no crash points (-DTEST_CRASH_POINTS=ON)")


def died(shop):
    """Waits until the updater has killed itself, and the next one is there."""
    killed = shop.sluice.wait_log(["event=child-killed", "child=updater"], timeout=60)
    shop.sluice.killed.add(int(re.search(r"\bpid=(\d+)", killed)[1]))
    position = next(i for i, line in enumerate(shop.sluice.log.all) if line == killed)
    shop.sluice.wait_log(["event=child-ready", "child=updater"], after=position)


def crash_all(engine, start_sluice, start_load, points, image="slt-demo:v2", outcome="completed", **config):
    """A rollout for each point, side by side; each one's updater dies at its point."""
    names = [point.replace(":", "-").replace("_", "-") for point in points]
    with ThreadPoolExecutor() as pool:
        shops = list(pool.map(lambda name: Shop(engine, name), names))
    for shop, point in zip(shops, points):
        shop.open(start_sluice, environment={"SLUICE_TEST_CRASH": point}, **config)
    for shop in shops:
        shop.put_load(start_load)
    held = [shop.hold_tcp() for shop, point in zip(shops, points) if point.startswith("end_kinds")]
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda shop: shop.begin(image), shops))
    for shop in shops:
        died(shop)
    for shop in shops:
        shop.ends(outcome)
        shop.closes_well(image if outcome == "completed" else "slt-demo:v1")
    for connection in held:
        connection.close()


FORWARD = ["create", "start", "publish", "ready", "set_weight", "drain", "end_kinds", "stop", "remove", "rename", "end"]
MOMENTS = ["before", "journalled", "done", "after"]


@CRASHES
@pytest.mark.parametrize("action", FORWARD)
def test_the_updater_dies_at_every_point_of(engine, images, start_sluice, start_load, action):
    moments = MOMENTS + ["made"] if action == "create" else MOMENTS[:3] if action == "end" else MOMENTS
    crash_all(engine, start_sluice, start_load, [f"{action}:{moment}" for moment in moments])
