"""Replicas that make way in turn, on a real engine under load: rolling forward and back, stop-first with
requests held, and an updater that dies in the middle of either."""
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from ports import free_port
from relay import Relay
from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ApiError
from test_faults import CRASHES, died


class Row(Shop):
    """A shop whose replicas are replaced one by one; `strategy: rolling` where nothing else is said."""

    def config(self, host=None, service=None, **rollout):
        config = super().config(host, service, **rollout)
        own = config["services"][self.name]["rollout"]
        if own.setdefault("strategy", "rolling") == "rolling":
            own.pop("steps")
            own.setdefault("ramp", "400ms")
        return config

    def ids_now(self):
        return {each["Id"] for each in self.containers()}

    def goes_back_well(self):
        """The very containers of before run again, under their names, and nobody lost a request."""
        assert self.ids_now() == set(self.ids)
        self.closes_well("slt-demo:v1")

    def most_at_once(self, after):
        """The most containers that ran at once, by what the updater told of it."""
        running = most = len(self.ids)
        for event, _ in self.sluice.events.all[after:]:
            running += {"container_started": 1, "container_stopped": -1}.get(event, 0)
            most = max(most, running)
        return most


def on_port(port):
    return {"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}}


def weights_of(rollout):
    return [line["message"] for line in rollout["log"] if line["event"] == "weight"]


# --- rolling ----------------------------------------------------------------------------------------

def test_replicas_are_replaced_one_by_one_and_nothing_is_lost(engine, images, start_sluice, start_load):
    shop = Row(engine, "row", 3).open(start_sluice, start_load)
    after = len(shop.sluice.events.all)
    shop.begin()
    rollout = shop.ends()
    assert rollout["strategy"] == "rolling" and rollout["order"] == "start-first" and rollout["order_why"] == ""
    assert [step["set_weight"] for step in rollout["steps"]] == [33.33, 66.66, 100]
    assert shop.most_at_once(after) == 4  # one on top
    # Each replica's share moves by quarters.
    assert len(weights_of(rollout)) >= 10, weights_of(rollout)
    assert len([drain for drain in rollout["drains"] if not drain["new"] and drain["proof"]]) == 3
    shop.closes_well()


def test_an_abort_in_the_middle_starts_the_stopped_ones_again(engine, images, start_sluice, start_load):
    shop = Row(engine, "halfway", 3).open(start_sluice, start_load, delay="10m")
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    states = sorted(each["State"] for each in shop.containers())
    assert states == ["exited", "running", "running", "running"]  # the first one's old one is kept
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    shop.ends("aborted")
    shop.goes_back_well()


def test_a_failure_at_the_last_replica_brings_all_back(engine, images, start_sluice, start_load):
    """The new image fails its health check, but two containers have an environment that saves them."""
    shop = Row(engine, "third", 3, settings=lambda i: {"Env": ["HEALTH=ok"]} if i < 2 else {}).open(start_sluice, start_load)
    shop.begin("slt-demo:v3")
    rollout = shop.ends("rolled_back")
    assert "slt-third-3" in rollout["why"] and "unhealthy" in rollout["why"], rollout["why"]
    assert rollout["step"] == 2
    shop.goes_back_well()


@pytest.mark.parametrize("order", ["start-first", "stop-first"])
def test_an_old_one_that_is_marked_for_removal_is_not_waited_for(engine, images, start_sluice, start_load, tmp_path, order):
    """Where the way back cannot start what it stopped: what serves goes on serving, and somebody is called."""
    words = "container is marked for removal and cannot be started"
    relay = Relay(engine, tmp_path / "relay.sock")
    shop = Row(engine, f"marked-{order}", 2).open(start_sluice, start_load, host=relay.host, delay="10m", order=order)
    relay.rule = lambda method, path, body: (409, json.dumps({"message": words}).encode()) \
        if path.endswith(f"/{shop.ids[0]}/start") else None
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] == 1)
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    state = shop.ends("needs_attention", timeout=120)
    assert words in state["why"] and shop.names[0] in state["why"], state["why"]
    assert shop.load.stop()["failed"] == 0
    assert len(shop.containers()) == 3, "nothing was removed"
    assert shop.sluice.service(shop.name)["hold"] is None
    relay.close()


def test_a_failed_replica_pauses_the_rollout_where_it_is_to(engine, images, start_sluice, start_load):
    settings = lambda i: {"Env": ["HEALTH=ok"]} if i == 0 else {}  # noqa: E731
    shop = Row(engine, "paused", 2, settings=settings).open(start_sluice, start_load, failure_action="pause")
    shop.begin("slt-demo:v3")
    rollout = shop.wait(lambda rollout: rollout if rollout["state"] == "paused" else None)
    assert "sluice promote" in rollout["waiting"] and rollout["phase"] == "forward"
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    shop.ends("aborted")
    shop.goes_back_well()


def test_batches_and_surge(engine, images, start_sluice, start_load):
    shop = Row(engine, "batch", 4).open(start_sluice, start_load, parallelism=2, max_surge="50%", ramp="0s")
    after = len(shop.sluice.events.all)
    shop.begin()
    rollout = shop.ends()
    assert [step["set_weight"] for step in rollout["steps"]] == [50, 100]
    assert 5 <= shop.most_at_once(after) <= 6
    shop.closes_well()


# --- stop-first ----------------------------------------------------------------------------------------

def check_swap(shop, why):
    """The order was chosen by itself and said, requests were held, and the longest wait is reported."""
    shop.begin()
    rollout = shop.ends()
    assert rollout["order"] == "stop-first" and why in rollout["order_why"], rollout["order_why"]
    logged = [line["event"] for line in rollout["log"]]
    assert logged.index("held") < logged.index("draining") < logged.index("container_stopped") < logged.index("released")
    final = shop.load.stop()
    assert final["failed"] == 0, final["failures"]
    longest_ms = max(kind["max_us"] for kind in final["kinds"].values() if kind["requests"]) / 1000
    print(f"{shop.name}: requests were held; the longest took {longest_ms:.0f} ms")
    assert longest_ms < 25_000
    shop.load = None
    shop.closes_well()
    return rollout


def test_a_host_port_is_taken_over_with_requests_held(engine, images, start_sluice, start_load):
    port = free_port()
    shop = Row(engine, "port", settings=on_port(port)).open(start_sluice, start_load, strategy="canary")
    check_swap(shop, f"host's port {port}")
    bindings = engine.inspect(shop.containers()[0]["Id"])["HostConfig"]["PortBindings"]
    assert bindings == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}


def test_a_static_address_is_taken_over_with_requests_held(engine, images, start_sluice, start_load):
    engine.call("POST", "/networks/create", {"Name": "slt-static", "Labels": {"sluice.test": "1"},
                                             "IPAM": {"Config": [{"Subnet": "10.211.78.0/24"}]}})
    settings = {"HostConfig": {"NetworkMode": "slt-static"},
                "NetworkingConfig": {"EndpointsConfig": {"slt-static": {"IPAMConfig": {"IPv4Address": "10.211.78.9"}}}}}
    shop = Row(engine, "address", settings=settings).open(start_sluice, start_load, strategy="canary")
    check_swap(shop, "static IP (10.211.78.9)")
    networks = engine.inspect(shop.containers()[0]["Id"])["NetworkSettings"]["Networks"]
    assert networks["slt-static"]["IPAddress"] == "10.211.78.9"


def test_a_version_that_fails_hands_the_port_back(engine, images, start_sluice, start_load):
    shop = Row(engine, "back", settings=on_port(free_port())).open(start_sluice, start_load, strategy="canary")
    shop.begin("slt-demo:v3")
    rollout = shop.ends("rolled_back")
    assert [line["event"] for line in rollout["log"]][-2:].count("rollout_rolled_back") == 1
    shop.goes_back_well()
    assert shop.sluice.service(shop.name)["hold"] is None


def test_several_replicas_make_room_with_nothing_held(engine, images, start_sluice, start_load):
    ports = [free_port() for _ in range(2)]
    shop = Row(engine, "pair", 2, settings=lambda i: on_port(ports[i])).open(start_sluice, start_load)
    shop.begin()
    rollout = shop.ends()
    assert rollout["order"] == "stop-first" and rollout["strategy"] == "rolling"
    assert "held" not in [line["event"] for line in rollout["log"]]
    shop.closes_well()


def test_start_first_is_refused_where_it_cannot_work(engine, images, start_sluice):
    port = free_port()
    shop = Row(engine, "refused", settings=on_port(port)).open(start_sluice, order="start-first")
    before = engine.snapshot()
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2")
    assert done.returncode == 3 and f"host's port {port}" in done.stderr and "stop-first" in done.stderr, done.stderr
    assert engine.snapshot() == before
    told = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2", "--order", "stop-first", "--strategy", "canary")
    assert told.returncode == 0 and "stop-first" in told.stdout, told.stdout + told.stderr


def test_what_cannot_be_made_again_is_refused_whatever_the_order(engine, images, start_sluice):
    shop = Row(engine, "vanishes", settings={"HostConfig": {"AutoRemove": True}}).open(start_sluice)
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": "slt-demo:v2", "order": "stop-first"})
    assert refused.value.code == "cannot-recreate" and "--rm" in json.dumps(refused.value.body)


# --- death in the middle -------------------------------------------------------------------------------

def test_the_updater_is_killed_between_two_replicas(engine, images, start_sluice, start_load):
    shop = Row(engine, "killed", 3).open(start_sluice, start_load, delay="1s")
    shop.begin()
    shop.wait(lambda rollout: rollout["step"] >= 1)
    shop.sluice.kill(shop.sluice.pid("updater"))
    shop.ends(timeout=90)
    shop.closes_well()


def test_the_updater_is_killed_while_requests_are_held(engine, images, start_sluice, start_load):
    shop = Row(engine, "heldkill", settings=on_port(free_port())).open(start_sluice, start_load, strategy="canary")
    after = len(shop.sluice.events.all)
    updater = shop.sluice.pid("updater")
    shop.begin()
    shop.sluice.events.wait("hold_began", after=after)
    shop.sluice.kill(updater)
    shop.ends(timeout=90)
    shop.closes_well()
    assert shop.sluice.service(shop.name)["hold"] is None


def crash_row(engine, start_sluice, start_load, points, make, image="slt-demo:v2", outcome="completed", **config):
    """As crash_all() of test_faults.py: the updater of each shop dies at its point."""
    with ThreadPoolExecutor() as pool:
        shops = list(pool.map(make, [point.replace(":", "-") for point in points]))
    for shop, point in zip(shops, points):
        shop.open(start_sluice, environment={"SLUICE_TEST_CRASH": point}, **config)
    for shop in shops:
        shop.put_load(start_load)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda shop: shop.begin(image), shops))
    for shop in shops:
        died(shop)
    for shop in shops:
        shop.ends(outcome, timeout=90)
        shop.closes_well(image if outcome == "completed" else "slt-demo:v1")
        assert shop.sluice.service(shop.name)["hold"] is None


SWAP = ["hold:before", "hold:journalled", "hold:done", "drain:done", "stop:before", "stop:journalled", "stop:done", "start:done",
        "ready:done", "release:journalled", "release:done"]


@CRASHES
@pytest.mark.parametrize("half", [0, 1])
def test_the_updater_dies_at_every_point_of_a_swap(engine, images, start_sluice, start_load, half):
    crash_row(engine, start_sluice, start_load, SWAP[half::2],
              lambda name: Row(engine, f"swap-{name}", settings=on_port(free_port())), strategy="canary")


@CRASHES
def test_the_updater_dies_on_the_way_back_of_a_swap(engine, images, start_sluice, start_load):
    crash_row(engine, start_sluice, start_load, ["remove:journalled", "remove:done", "end:done"],
              lambda name: Row(engine, f"unswap-{name}", settings=on_port(free_port())), "slt-demo:v3", "rolled_back",
              strategy="canary")


@CRASHES
def test_the_updater_dies_between_replicas(engine, images, start_sluice, start_load):
    crash_row(engine, start_sluice, start_load, ["stop:journalled", "stop:done", "start:done", "set_weight:done"],
              lambda name: Row(engine, f"rolls-{name}", 2))
