"""What goes wrong while a new container is made and started: nothing changes, and the reason is said.
(FAULTS.md says which fault is which test's.)"""
import json
import re

import pytest

from relay import HTML, Relay
from shop import Shop, images, start_load  # noqa: F401 (fixtures)


@pytest.fixture
def relay(engine, tmp_path):
    relay = Relay(engine, tmp_path / "relay.sock")
    yield relay
    relay.close()


def is_new(body, shop):
    """Whether this inspect answer is of a container of the rollout."""
    return f'"{shop.name}"'.encode() in body and b'"sluice.rollout"' in body


# --- it is not like the old one ------------------------------------------------------------------------

def test_a_new_container_that_is_not_like_the_old_one_gets_no_traffic(engine, images, start_sluice, start_load, relay):
    """The engine (or what is between) makes something else of what it was asked for."""
    shop = Shop(engine, "differs").open(start_sluice, start_load, host=relay.host)

    def change(method, path, body):
        if path.endswith("/json") and "/containers/" in path and is_new(body, shop):
            return body.replace(b'"Memory":0,', b'"Memory":67108864,').replace(b'"ReadonlyRootfs":false', b'"ReadonlyRootfs":true')
        return body

    relay.rewrite = change
    shop.begin()
    state = shop.ends("rolled_back")
    assert "HostConfig.Memory: 0 -> 67108864" in state["why"], state["why"]
    told = sorted(line["message"] for line in state["log"] if line["event"] == "container-differs")
    assert told == ["HostConfig.Memory: 0 -> 67108864", "HostConfig.ReadonlyRootfs: false -> true"]
    assert not any("/start" in path for _, path in relay.requests), "it never ran"
    shown = shop.sluice.cli("history", shop.rollout).stdout
    assert "HostConfig.Memory: 0 -> 67108864" in shown
    shop.closes_well("slt-demo:v1")
