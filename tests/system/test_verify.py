"""Verifications: the new version is tried before its traffic and at full weight."""
import pytest

from shop import Shop, images, start_load  # noqa: F401


@pytest.fixture
def open_shop(engine, images, start_sluice):  # noqa: F811
    def build(name, verify, start_load=None, replicas=1, **rollout):  # noqa: F811
        return Shop(engine, name, replicas).open(start_sluice, start_load, monitor="1ms", verify=verify, **rollout)
    return build


def verification(state, name="smoke"):
    return [each for each in state["verifications"] if each["name"] == name]


def test_what_fails_before_traffic_goes_back_and_no_request_of_a_client_was_there(open_shop, start_load):  # noqa: F811
    shop = open_shop("vbefore", [{"name": "smoke", "http": {"path": "/", "status": 418}, "interval": "10ms"}],
                     start_load)
    seen = {}
    shop.begin()
    backends = shop.sluice.wait_until(lambda: shop.sluice.service("vbefore")["groups"]["canary"]["backends"])
    seen[backends[0]["name"]] = backends[0]["exchanges"]
    state = shop.ends("rolled_back")
    assert "verification smoke failed" in state["why"] and "status 200, wanted 418-418" in state["why"]
    assert verification(state)[0]["state"] == "failed" and verification(state)[0]["attempts"] == 3
    assert {row["canary"] for step in state["steps"] for row in step.get("split") or []} <= {0}
    assert all(step["started"] is None for step in state["steps"])  # no weight was ever set
    for line in shop.sluice.log.all:
        assert "event=weight " not in line
    assert set(seen.values()) == {0}
    shop.closes_well("slt-demo:v1")


def test_what_fails_at_full_weight_goes_back_too(open_shop):
    shop = open_shop("vafter", [{"name": "smoke", "on": "service", "http": {"body": "no such words"}, "retries": 0}])
    shop.begin()
    state = shop.ends("rolled_back")
    assert "verification smoke failed" in state["why"] and 'the answer lacks "no such words"' in state["why"]
    assert verification(state)[0]["on"] == "service" and state["steps"][0]["state"] == "done"
    shop.closes_well("slt-demo:v1")


def test_each_new_container_is_tried_with_all_that_was_said(open_shop):
    http = {"path": "/headers?x=1", "method": "POST", "send": "a=b", "host": "shop.example", "status": "200-499",
            "headers": {"X-Test": "yes"}}
    shop = open_shop("veach", [{"name": "smoke", "on": "both", "http": http}], replicas=2,
                     steps=[{"set_weight": 10}, {"set_weight": 100}])
    shop.begin()
    done = shop.ends()
    assert [(each["name"], each["on"], each["step"], each["state"]) for each in done["verifications"]] == [
        ("smoke", "canary", 0, "passed"), ("smoke", "canary", 1, "passed"), ("smoke-service", "service", 2, "passed")]
    shop.closes_well()


def test_a_command_verifies_what_it_is_told_of(open_shop):
    command = 'test $(echo "$SLUICE_ON") = verify_canary && read -r line && ' \
              'echo "$line" | grep -q "\\"targets\\":\\[\\"1" && echo "fine: $SLUICE_IMAGE"'
    shop = open_shop("vcommand", [{"name": "smoke", "command": command}])
    shop.begin()
    done = shop.ends()
    assert verification(done)[0]["message"] == "fine: slt-demo:v2"
    assert "fine: slt-demo:v2" in shop.sluice.cli("report", "vcommand").stdout
    shop.closes_well()


@pytest.mark.parametrize("answer, outcome, image", [("v2", "completed", "slt-demo:v2"),
                                                    ("no such words", "rolled_back", "slt-demo:v1")])
def test_the_last_one_is_verified_while_requests_are_held_and_none_is_lost(open_shop, start_load,  # noqa: F811
                                                                           answer, outcome, image):
    shop = open_shop("vswap", [{"name": "smoke", "http": {"path": "/", "body": answer}, "retries": 1, "interval": "10ms"}],
                     start_load, order="stop-first")
    shop.begin()
    state = shop.ends(outcome)
    assert state["order"] == "stop-first" and "held" in [line["event"] for line in state["log"]]
    (smoke,) = verification(state)
    assert smoke["state"] == ("passed" if outcome == "completed" else "failed")
    shop.closes_well(image)


def test_a_scale_verifies_what_it_adds(open_shop):
    shop = open_shop("vscale", [{"name": "smoke", "http": {"path": "/", "status": 418}, "retries": 0}],
                     hooks=[{"on": "confirm_rollout", "gate": True}])
    shop.rollout = shop.sluice.api("POST", "/services/vscale/scale", {"replicas": 2})["id"]
    state = shop.ends("rolled_back")
    assert "verification smoke failed" in state["why"] and state["hooks"] == []
    assert len(shop.containers()) == 1
