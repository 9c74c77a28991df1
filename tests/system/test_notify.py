"""Notifications: told as they happen, in the words asked for, and never in the way of a rollout."""
import json

import pytest

from hooks import receiver  # noqa: F401 (fixture)
from relay import Relay
from shop import Shop, images  # noqa: F401
from sluice import ApiError  # noqa: F401


@pytest.fixture
def open_shop(engine, images, start_sluice):  # noqa: F811
    def build(name, notify, **rollout):
        shop = Shop(engine, name)
        shop.sluice = start_sluice({**shop.config(monitor="1ms", **rollout), "notify": notify})
        shop.sluice.wait_healthy(name, 1)
        return shop
    return build


def test_each_gets_what_it_asked_for_in_its_words(open_shop, receiver):
    shop = open_shop("nwords", [{"webhook": receiver.url("/json")},
                                {"webhook": receiver.url("/slack"), "format": "slack", "severity": "error"}],
                     hooks=[{"name": "each", "on": "event", "webhook": receiver.url("/hook")}])
    shop.begin()
    shop.ends()
    told = receiver.wait("/json", 3)
    assert [body["event"] for body in told] == ["rollout_updated", "rollout_step_completed", "rollout_completed"]
    assert {body["rollout"]["id"] for body in told} == {shop.rollout} and told[0]["severity"] == "info"
    assert told[0]["text"] == f"nwords: slt-demo:v1 → slt-demo:v2 started ({shop.rollout}, asked for by root)"
    assert len(receiver.wait("/hook", 3)) == 3
    assert receiver.of("/slack") == []  # all was well
    shop.begin("slt-demo:v4")
    state = shop.ends("rolled_back")
    (slack,) = receiver.wait("/slack")
    assert list(slack) == ["text"] and slack["text"].startswith("nwords: slt-demo:v2 → slt-demo:v4 rolled back: ")
    assert state["why"].split('"')[0] in slack["text"]


def test_a_receiver_that_never_answers_holds_no_rollout_up(open_shop, receiver):
    """The rollout ends while the first notification still hangs: that is the order of events."""
    receiver.answers["/hangs"] = receiver.hang
    shop = open_shop("nhangs", [{"webhook": receiver.url("/hangs"), "timeout": "1h"},
                                {"webhook": "http://127.0.0.1:1/down", "retries": 0}])
    shop.begin()
    shop.ends()
    assert [body["event"] for body in receiver.of("/hangs")] == ["rollout_updated"]
    shop.sluice.wait_log(["event=notification-failed", "notify=notify-2"])
    assert "sluice_notifications_dropped_total 0" not in shop.sluice.api("GET", "/metrics")
    shop.closes_well()


def test_one_that_fails_is_tried_again_in_order(open_shop, receiver):
    seen = []
    receiver.answers["/x"] = lambda body: 500 if not seen.append(body["event"]) and len(seen) == 1 else 200
    shop = open_shop("nagain", [{"webhook": receiver.url("/x"), "retries": 2}])
    shop.begin()
    shop.ends()
    told = [body["event"] for body in receiver.wait("/x", 4)]
    assert told == ["rollout_updated", "rollout_updated", "rollout_step_completed", "rollout_completed"]


def test_a_command_is_told_too(open_shop, receiver):
    command = 'read -r line; test "$SLUICE_EVENT" = rollout_completed && test $(id -u) != 0 && ' \
              'echo "$line" | grep -q "\\"event\\":\\"rollout_completed\\"" && exit 7; exit 0'
    shop = open_shop("ncommand", [{"name": "cmd", "command": command, "retries": 0}])
    shop.begin()
    shop.ends()
    shop.sluice.wait_log(["event=notification-failed", "notify=cmd", "exit status 7"])


def checks_of(shop):
    """Once the engine has been asked, which is after the end."""
    last = "no address of a container that is gone is left over"
    shop.wait(lambda rollout: any(check["name"] == last for check in rollout["checks"]))
    return {check["name"]: (check["state"], check["message"]) for check in shop.state()["checks"]}


def test_what_was_promised_is_looked_over_at_the_end(open_shop):
    shop = open_shop("nchecks", [])
    shop.begin()
    done = shop.ends()
    assert checks_of(shop) == {
        "all replicas are there": ("passed", "1 of 1"),
        "all run the image": ("passed", f"1 of 1: {done['digest'] or done['image_id']}"),
        "all are healthy and in rotation": ("passed", "1 of 1"), "all have their names": ("passed", "1 of 1"),
        "no container is left over": ("passed", "0"),
        "the record names this rollout as the stable one": ("passed", shop.rollout),
        "no anonymous volume is left over": ("passed", "0 of 0"),
        "no address of a container that is gone is left over": ("passed", "0 in 1 networks")}
    report = shop.sluice.cli("report", "nchecks").stdout
    assert "## Checked at the end" in report and "no anonymous volume is left over" in report
    shop.begin("slt-demo:v4")
    shop.ends("rolled_back")
    assert {state for state, _ in checks_of(shop).values()} == {"passed"}
    assert "the record names this rollout as the stable one" not in checks_of(shop)
    shop.rollout = shop.sluice.api("POST", "/services/nchecks/scale", {"replicas": 2})["id"]
    shop.ends()
    shop.rollout = shop.sluice.api("POST", "/services/nchecks/scale", {"replicas": 1})["id"]
    shop.ends()
    assert {state for state, _ in checks_of(shop).values()} == {"passed"}


def test_what_a_container_left_behind_is_told_with_what_to_do(engine, images, start_sluice, receiver, tmp_path):  # noqa: F811
    relay = Relay(engine, tmp_path / "relay.sock")
    shop = Shop(engine, "nleft", settings={"Volumes": {"/data": {}}})
    (volume,) = [mount["Name"] for mount in engine.inspect(shop.ids[0])["Mounts"]]

    def rewrite(method, path, body):
        answer = json.loads(body) if "/volumes?" in path or "/networks/" in path else None
        if answer is not None and "/volumes?" in path:
            answer["Volumes"] = [*(answer["Volumes"] or []), {"Name": volume}]
        elif answer is not None:
            answer["Containers"] = {**answer.get("Containers", {}), shop.ids[0]: {"Name": shop.names[0]}}
        return body if answer is None else json.dumps(answer).encode()
    relay.rewrite = rewrite
    shop.sluice = start_sluice({**shop.config(host=relay.host, monitor="1ms"),
                                "notify": [{"webhook": receiver.url("/told"), "severity": "warning"}]})
    shop.sluice.wait_healthy("nleft", 1)
    shop.begin()
    shop.ends()
    found = checks_of(shop)
    assert found["no anonymous volume is left over"] == (
        "warning", f"1 of 1, of {shop.names[0]}: no container has it; look at what is in it, then `docker volume rm {volume}`")
    assert found["no address of a container that is gone is left over"] == (
        "warning", f"1; `docker network disconnect -f bridge {shop.names[0]}` gives it back")
    shop.sluice.wait_log(["event=rollout-not-as-promised", "docker network disconnect"])
    told = receiver.wait("/told", 2)
    assert {body["event"] for body in told} == {"rollout_not_as_promised"} and volume in told[0]["text"]
    notes = [note["message"] for note in shop.state()["notes"] if note["lesson"]]
    assert any(volume in note for note in notes)
    assert "docker volume rm" in shop.sluice.cli("report", "nleft").stdout
    relay.close()


def test_what_the_engine_does_not_say_is_not_called_well(engine, images, start_sluice, tmp_path):  # noqa: F811
    relay = Relay(engine, tmp_path / "relay.sock")
    relay.rule = lambda method, path, body: (500, b"no") if "/volumes?" in path else None
    shop = Shop(engine, "nmute")
    shop.sluice = start_sluice(shop.config(host=relay.host, monitor="1ms"))
    shop.sluice.wait_healthy("nmute", 1)
    shop.begin()
    shop.ends()
    state, message = checks_of(shop)["no anonymous volume is left over"]
    assert state == "warning" and message.startswith("the engine could not be asked") and "docker volume ls" in message
    relay.close()
