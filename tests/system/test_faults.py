"""Whatever dies whenever, whoever meddles: a rollout ends on one version, with all its containers, and
loses nothing."""
import re
import signal
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from relay import HTML, Relay
from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import BUILD, Sluice

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


@CRASHES
def test_the_updater_dies_on_the_way_back(engine, images, start_sluice, start_load):
    points = ["drain:journalled", "stop:before", "stop:done", "remove:journalled", "remove:done", "end:done"]
    crash_all(engine, start_sluice, start_load, points, "slt-demo:v3", "rolled_back")


@CRASHES
def test_the_updater_dies_as_a_rollout_begins(engine, images, start_sluice, start_load):
    crash_all(engine, start_sluice, start_load, ["begin:after"])


def test_everything_is_killed_in_mid_rollout_and_run_again(engine, images, tmp_path):
    shop = Shop(engine, "power", replicas=2)
    config = shop.config(steps=[{"set_weight": 50}, {"pause": "1s"}, {"set_weight": 100}])
    shop.sluice = first = Sluice(tmp_path, config)
    try:
        first.wait_healthy(shop.name, 2)
        shop.begin()
        shop.wait(lambda rollout: rollout["step"] == 1)
        first.signal(signal.SIGKILL)
        first.process.wait()
        first.log.join()  # its children are gone too: nobody holds the pipe any more
        shop.sluice = Sluice(tmp_path, config)
        assert shop.state()["outcome"] == "none"
        shop.ends()
        shop.closes_well()
    finally:
        first.close()
        shop.sluice.close()
    assert shop.sluice.complaints() == []


# --- strangers ------------------------------------------------------------------------------------------

HALF = [{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}]


def half_way(engine, start_sluice, start_load=None, name="stranger", image="slt-demo:v2", **config):
    """One of two is new and has half of the traffic."""
    shop = Shop(engine, name, replicas=2).open(start_sluice, start_load, steps=HALF, **config)
    shop.begin(image)
    shop.wait(lambda rollout: rollout["step"] == 1)
    return shop


def test_a_new_container_is_removed_by_hand(engine, images, start_sluice):
    shop = half_way(engine, start_sluice)
    engine.remove(shop.new()[0]["Id"])
    assert shop.ends("rolled_back")["why"]
    shop.closes_well("slt-demo:v1")


def test_an_old_container_is_stopped_by_hand(engine, images, start_sluice, start_load):
    shop = half_way(engine, start_sluice, start_load)
    engine.stop(shop.ids[1], grace=10)
    assert shop.state()["outcome"] == "none"
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    shop.closes_well()


def test_what_somebody_is_stopping_gets_no_traffic_again(engine, images, start_sluice, tmp_path):
    """It was published anew as soon as an event had taken it out, until it ended."""
    shop = half_way(engine, start_sluice)
    position = shop.sluice.log_position()
    held = shop.hold_tcp()  # the demo ends when its connections have
    engine.call("POST", f"/containers/{shop.ids[1]}/kill", query={"signal": "SIGTERM"})
    shop.sluice.wait_log("event=backend-taken-out", after=position)
    shop.sluice.cli("abort", shop.name)
    held.close()
    shop.ends("aborted")
    assert not any("event=published" in line and shop.ids[1] in line for line in shop.sluice.log.all[position:])


def test_a_new_container_is_paused_by_hand(engine, images, start_sluice):
    shop = half_way(engine, start_sluice)
    engine.call("POST", f"/containers/{shop.new()[0]['Id']}/pause")
    shop.ends("rolled_back")
    shop.closes_well("slt-demo:v1")


def test_a_name_is_taken_by_a_stranger_for_a_while(engine, images, start_sluice, start_load):
    shop = half_way(engine, start_sluice, start_load)
    engine.call("POST", f"/containers/{shop.ids[0]}/rename", query={"name": "slt-renamed"})
    stranger = engine.create(shop.names[0], "slt-demo:v1")
    shop.sluice.cli("promote", shop.name)
    shop.sluice.wait_log(["event=action-failed", "action=rename"], timeout=60)
    engine.remove(stranger)
    shop.ends()
    shop.closes_well()


def test_what_needs_attention_says_so_until_another_rollout_begins(engine, images, start_sluice):
    """The status said "steady", and only the history knew."""
    shop = half_way(engine, start_sluice)
    sluice = shop.sluice
    engine.call("POST", f"/containers/{shop.ids[0]}/rename", query={"name": "slt-renamed"})
    stranger = engine.create(shop.names[0], "slt-demo:v1")
    sluice.cli("promote", shop.name)
    number = shop.ends("needs_attention")["id"]

    def tells():
        state = sluice.service(shop.name)
        return state["state"] == "needs-attention" and number in state["message"] and shop.names[0] in state["message"]

    assert tells()
    updater = sluice.pid("updater")
    sluice.kill(updater)
    sluice.wait_until(lambda: sluice.endpoints()["pids"].get("updater", updater) != updater)
    sluice.wait_until(tells)
    assert "needs-attention" in sluice.cli("status").stdout
    assert sluice.get()[0] == 200
    engine.remove(stranger)
    shop.begin("slt-demo:v1")
    assert sluice.service(shop.name)["state"] == "rollout"


def test_the_image_loses_its_name_after_the_start(engine, images, start_sluice, start_load):
    engine.call("POST", "/images/slt-demo:v2/tag", query={"repo": "slt-demo", "tag": "passing"})
    shop = half_way(engine, start_sluice, start_load, image="slt-demo:passing")
    engine.call("DELETE", "/images/slt-demo:passing")
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    assert shop.load.stop()["failed"] == 0
    assert {each["ImageID"] for each in shop.containers()} == {images["v2"]}


# --- the engine ---------------------------------------------------------------------------------------------

@pytest.fixture
def relay(engine, tmp_path):
    relay = Relay(engine, tmp_path / "relay.sock")
    yield relay
    relay.close()


def test_the_engine_goes_away_for_a_while(engine, images, start_sluice, start_load, relay):
    shop = half_way(engine, start_sluice, start_load, host=relay.host)
    relay.down()
    shop.sluice.wait_log("event=engine-unreachable")
    shop.sluice.cli("promote", shop.name)
    shop.wait(lambda rollout: "engine" in rollout["waiting"])
    relay.up()
    shop.ends()
    shop.closes_well()


def test_the_engine_answers_500_with_html_for_a_while(engine, images, start_sluice, start_load, relay):
    shop = half_way(engine, start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: (500, HTML)
    before = len(relay.requests)
    shop.sluice.cli("promote", shop.name)
    relay.wait_requests(before + 3)
    relay.rule = lambda method, path, body: None
    shop.ends()
    shop.closes_well()


def test_inspects_fail_as_the_updater_starts(engine, images, start_sluice, start_load, relay):
    """What could not be inspected was taken for removed: a rollback, and its slot was dropped."""
    shop = half_way(engine, start_sluice, start_load, host=relay.host)
    new = shop.new()[0]["Id"]
    position = shop.sluice.log_position()
    before = len(relay.requests)
    relay.rule = lambda method, path, body: (500, HTML) if f"{new}/json" in path else None
    shop.sluice.kill(shop.sluice.pid("updater"))
    shop.sluice.wait_log(["event=child-ready", "child=updater"], after=position)
    relay.wait_requests(2, lambda method, path: f"{new}/json" in path and (method, path) in relay.requests[before:])
    relay.rule = lambda method, path, body: None
    shop.wait(lambda rollout: "operator" in rollout["waiting"])
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    shop.closes_well()


def test_events_are_kept_back_and_cut(engine, images, start_sluice, start_load, relay):
    shop = half_way(engine, start_sluice, start_load, host=relay.host)
    relay.muted = True
    relay.cut_events()
    shop.sluice.cli("promote", shop.name)
    shop.ends()
    shop.closes_well()


def test_a_slow_engine(engine, images, start_sluice, start_load, relay):
    shop = Shop(engine, "slow").open(start_sluice, start_load, host=relay.host)
    relay.rule = lambda method, path, body: threading.Event().wait(0.5)  # the engine's own slowness
    shop.begin()
    shop.ends()
    shop.closes_well()


def test_the_answer_to_a_create_is_lost(engine, images, start_sluice, start_load, relay):
    shop = Shop(engine, "lost").open(start_sluice, start_load, host=relay.host)
    lost = []

    def lose(method, path, body):
        if "/containers/create" in path and not lost:
            lost.append(path)
            raise ConnectionError
        return body

    relay.rewrite = lose
    shop.begin()
    shop.ends()
    assert lost
    shop.closes_well()


@CRASHES
def test_a_half_made_container_seen_while_we_remove_it_is_no_loss(engine, images, start_sluice, relay):
    """The engine shows it as "removing" for a moment: "is being removed by somebody" was the end of it."""
    shop = Shop(engine, "half").open(start_sluice, host=relay.host, environment={"SLUICE_TEST_CRASH": "create:made"})
    seen = threading.Event()
    removing = []

    def hold_removal(method, path, body):
        if method == "DELETE" and not removing:
            removing.append(path.split("/containers/")[1].split("?")[0])
            # An event makes Sluice look at it just now.
            engine.call("POST", f"/containers/{removing[0]}/rename", query={"name": "slt-half-going"})
            assert seen.wait(10)
            shop.sluice.wait_adopted()

    def show_removing(method, path, body):
        if removing and path.endswith(f"/containers/{removing[0]}/json") and b'"Status":"created"' in body:
            seen.set()
            return body.replace(b'"Status":"created"', b'"Status":"removing"')
        return body

    relay.rule, relay.rewrite = hold_removal, show_removing
    shop.begin()
    died(shop)
    shop.ends()
    assert removing and seen.is_set()
    shop.closes_well()


# --- leftovers --------------------------------------------------------------------------------------------

def test_what_a_rollout_that_went_back_left_behind_is_removed(engine, images, start_sluice):
    shop = half_way(engine, start_sluice, name="sweep")
    shop.sluice.cli("abort", shop.name)
    shop.ends("aborted")
    labels = {"sluice.service": shop.name, "sluice.rollout": shop.rollout, "sluice.ordinal": "0"}
    position = shop.sluice.log_position()
    left = engine.run("slt-sweep-left", "slt-demo:v2", Labels=labels)
    # What only looks like it is nobody's to remove.
    kept = engine.run("slt-sweep-kept", "slt-demo:v1", Labels={**labels, "sluice.rollout": shop.rollout[:4]})
    shop.sluice.wait_log(["event=leftover-removed", left], after=position)
    shop.sluice.wait_healthy(shop.name, 3)
    assert sorted(each["Id"] for each in shop.containers()) == sorted([*shop.ids, kept])


# --- the clock --------------------------------------------------------------------------------------------

CLOCK_SHIFT = BUILD / "tests/sluice-clock-shift.so"
IS_SANITIZED = b"__asan_init" in (BUILD / "libexec/sluice/sluice-updater").read_bytes()


@pytest.mark.skipif(IS_SANITIZED, reason="a sanitizer wants to be loaded first itself")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("days", [1, -1])
def test_the_wall_clock_is_set_in_a_pause(engine, images, start_sluice, tmp_path, days, restarted):
    """Ahead, the pause was over at once; back, it lasted a day."""
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    shop = Shop(engine, "clock").open(start_sluice, steps=[{"set_weight": 50}, {"pause": "3s"}, {"set_weight": 100}],
                                      environment={"LD_PRELOAD": str(CLOCK_SHIFT), "SLUICE_TEST_CLOCK": str(clock)})
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    began = time.monotonic()
    with clock.open("r+b") as file:  # as it is: processes have it mapped
        file.write(struct.pack("q", days * 86400))
    if restarted:
        shop.sluice.kill(shop.sluice.pid("updater"))
    shop.wait(lambda rollout: rollout["step"] > 1)
    assert 2 < time.monotonic() - began < 20
    shop.ends()
    shop.closes_well()
