"""Every strategy under the whole load of test_rollout.py (slow answers, uploads, WebSockets, TCP): forward, back to the
version before, and back from half-way. Nothing is lost on any of the ways."""
import os

import pytest

from ports import free_port
from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from test_rollout import flowing, steady

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")

PATIENT = {"healthcheck": {"http": {"path": "/healthz"}, "interval": "1s", "timeout": "1s", "retries": 4}}
ROLLING = {"strategy": "rolling", "ramp": "400ms", "delay": "500ms"}
STRATEGIES = {
    "canary": {"steps": [{"set_weight": 25}, {"pause": "1s"}, {"set_weight": 100}]},
    "rolling": ROLLING,
    "rolling, stop-first": {**ROLLING, "order": "stop-first"},
    "blue_green": {"strategy": "blue_green", "bake_time": "5s"},
}


def on_the_host(port):
    """One host has one such port: the old container has to make room."""
    return {"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(port)}]}}}


class Busy(Shop):
    def config(self, host=None, service=None, **rollout):
        drain = {"requests": "20s", "websockets": "20s", "tcp": "20s"}
        config = super().config(host, service or PATIENT, drain=drain, **rollout)
        if "steps" not in rollout:
            del config["services"][self.name]["rollout"]["steps"]
        return {**config, "workers": 2}

    def open_busy(self, start_sluice, start_load, **rollout):
        self.open(start_sluice, **rollout)
        self.load = start_load(*steady(self.sluice), "--timeout", 30)  # of those that are held for a swap too
        flowing(self.sluice, self.load)
        return self

    def goes_forward_and_back(self):
        self.begin("slt-demo:v2")
        forward = self.ends(timeout=180)
        self.rollout = self.sluice.api("POST", f"/services/{self.name}/rollback", {})["id"]
        self.ends(timeout=180)
        return forward

    def turns_back_half_way(self):
        self.begin("slt-demo:v2")
        self.wait(lambda rollout: rollout["weight"] > 0, timeout=180)
        self.sluice.api("POST", f"/rollouts/{self.rollout}/abort")
        self.ends("aborted", timeout=180)

    def has_lost_nothing(self):
        progress, final, self.load = self.load.progress(), self.load.stop(), None
        assert final["failed"] == 0, final["failures"]
        assert final["websockets"]["broken"] == 0 and final["tcp"]["broken"] == 0
        assert final["websockets"]["messages"] > 0 and final["tcp"]["messages"] > 0
        assert set(final["versions"]) == {"v1", "v2"}
        longest_ms = max(kind["max_us"] for name, kind in final["kinds"].items() if name != "slow") / 1000
        print(f"{self.name}: {progress['requests'] * 1000 // progress['elapsed_ms']} requests a second, the longest {longest_ms:.0f} ms")
        self.closes_well("slt-demo:v1")
        return longest_ms


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nothing_is_lost_forward_and_back(engine, images, start_sluice, start_load, strategy):
    shop = Busy(engine, strategy.replace(", ", "-").replace("_", "-"), 3)
    shop.open_busy(start_sluice, start_load, **STRATEGIES[strategy])
    forward = shop.goes_forward_and_back()
    assert forward["strategy"] == STRATEGIES[strategy].get("strategy", "canary")
    assert len([drain for drain in forward["drains"] if not drain["new"] and drain["proof"] and not drain["forced"]]) == 3
    shop.turns_back_half_way()
    shop.has_lost_nothing()


def test_nothing_is_lost_while_requests_are_held_for_a_swap(engine, images, start_sluice, start_load):
    shop = Busy(engine, "held", settings=on_the_host(free_port()))
    shop.open_busy(start_sluice, start_load, **STRATEGIES["canary"])
    forward = shop.goes_forward_and_back()
    assert forward["order"] == "stop-first"
    assert "held" in [line["event"] for line in forward["log"]]
    shop.begin("slt-demo:v3")  # is ill: the way back holds requests too
    shop.ends("rolled_back", timeout=180)
    assert shop.has_lost_nothing() < 60_000


def test_nothing_is_lost_while_a_service_grows_and_shrinks(engine, images, start_sluice, start_load):
    shop = Busy(engine, "scaled", 2)
    shop.open_busy(start_sluice, start_load, **STRATEGIES["canary"])
    for replicas in (4, 1, 2):
        shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/scale", {"replicas": replicas})["id"]
        shop.ends(timeout=180)
        shop.sluice.wait_healthy(shop.name, replicas)
    shop.goes_forward_and_back()
    shop.has_lost_nothing()
