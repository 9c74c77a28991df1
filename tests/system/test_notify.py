"""Notifications: told as they happen, in the words asked for, and never in the way of a rollout."""
import pytest

from hooks import Receiver
from shop import Shop, images  # noqa: F401
from sluice import ApiError  # noqa: F401


@pytest.fixture
def receiver():
    value = Receiver()
    yield value
    value.close()


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


def test_what_was_promised_is_looked_over_at_the_end(open_shop):
    shop = open_shop("nchecks", [])
    shop.begin()
    done = shop.ends()
    checks = {check["name"]: (check["state"], check["message"]) for check in done["checks"]}
    assert checks == {
        "all replicas are there": ("passed", "1 of 1"), "all run the image": ("passed", f"1 of 1: {done['digest'] or done['image_id']}"),
        "all are healthy and in rotation": ("passed", "1 of 1"), "all have their names": ("passed", "1 of 1"),
        "no container is left over": ("passed", "0"),
        "the record names this rollout as the stable one": ("passed", shop.rollout)}
    assert "## Checked at the end" in shop.sluice.cli("report", "nchecks").stdout
    shop.begin("slt-demo:v4")
    back = shop.ends("rolled_back")
    assert {check["state"] for check in back["checks"]} == {"passed"} and len(back["checks"]) == 5
