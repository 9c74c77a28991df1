"""Users of a sticky service in real rollouts: as the weight rises nobody goes back, whatever dies."""
import http.client
import signal
import threading

import pytest

from shop import Shop, images  # noqa: F401 (fixture)

STEPS = [{"set_weight": 20}, {"pause": {}}, {"set_weight": 50}, {"pause": {}}, {"set_weight": 80}, {"pause": {}},
         {"set_weight": 100}]
SERVICE = {"sticky": {"cookie": "user"}, "preview": {"header": {"name": "X-Canary", "value": "1"}}}


class Crowd:
    """Users that ask all the time; `seen` has each one's versions in order, `lost` what broke off."""

    def __init__(self, sluice, count):
        self.sluice, self.lost = sluice, 0
        self.cookies = [self._ask(None)[1].split(";")[0] for _ in range(count)]
        assert len(set(self.cookies)) == count
        self.seen = [["v1"] for _ in self.cookies]
        self.rounds, self.stop = 0, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _ask(self, cookie, **fields):
        headers = {**({"Cookie": cookie} if cookie else {}), **fields}
        status, headers, body = self.sluice.get(headers=headers)
        assert status == 200, body
        return body.split()[0].decode(), headers["Set-Cookie"]

    def _run(self):
        while not self.stop.is_set():
            for user, cookie in enumerate(self.cookies):
                try:
                    version, told = self._ask(cookie)
                except (OSError, http.client.HTTPException):
                    self.lost += 1
                    continue
                assert told is None
                if self.seen[user][-1] != version:
                    self.seen[user].append(version)
            self.rounds += 1

    def now(self):
        """Where everybody is: after a whole round that began from now on."""
        begun = self.rounds
        self.sluice.wait_until(lambda: self.rounds >= begun + 2, 30)
        return [versions[-1] for versions in self.seen]

    def end(self):
        self.stop.set()
        self.thread.join(30)
        return self.seen


@pytest.fixture
def shop(engine, images, start_sluice):  # noqa: F811
    shop = Shop(engine, "users", replicas=2).open(start_sluice, service=SERVICE, steps=STEPS)
    yield shop


def at(shop, weight):
    shop.wait(lambda rollout: rollout["weight"] == weight and "promote" in rollout["waiting"])
    shop.sluice.wait_adopted()


def test_no_user_goes_back_while_workers_die_and_the_config_is_read_again(shop):
    sluice = shop.sluice
    crowd = Crowd(sluice, 40)
    shop.begin()
    at(shop, 20)
    first = crowd.now()
    assert 2 <= first.count("v2") <= 18
    assert crowd._ask(crowd.cookies[first.index("v1")], **{"X-Canary": "1"})[0] == "v2"
    after = sluice.log_position()
    sluice.kill(sluice.worker_pids()[0])
    sluice.wait_log(["event=child-ready", "child=worker"], after)
    assert crowd.now() == first

    assert sluice.cli("promote", shop.name).returncode == 0
    at(shop, 50)
    second = crowd.now()
    after = sluice.log_position()
    sluice.signal(signal.SIGHUP)
    sluice.wait_log("event=reload-completed", after)
    assert crowd.now() == second

    assert sluice.cli("hold", shop.name).returncode == 0  # the rollout goes on behind it
    after = sluice.log_position()
    sluice.kill(sluice.pid("updater"))
    sluice.wait_log(["event=child-ready", "child=updater"], after)
    sluice.wait_until(lambda: sluice.service(shop.name)["state"] == "held")
    assert sluice.cli("promote", shop.name).returncode == 0
    at(shop, 80)
    assert sluice.cli("release", shop.name).returncode == 0
    third = crowd.now()
    assert first.count("v2") < second.count("v2") < third.count("v2")

    assert sluice.cli("promote", shop.name).returncode == 0
    shop.ends()
    assert set(crowd.now()) == {"v2"}
    assert all(versions == ["v1", "v2"] for versions in crowd.end())
    assert crowd.lost <= 1  # what was on the worker that was killed
    for step in shop.state()["steps"]:
        for split in step.get("split") or []:
            assert (split["by"], split["error"]) == ("user", None)
    assert "by user" in sluice.cli("history", shop.rollout).stdout
    shop.closes_well()


def test_an_abort_takes_everybody_back_and_the_next_rollout_takes_others_first(shop):
    sluice = shop.sluice
    crowd = Crowd(sluice, 40)
    shop.begin()
    at(shop, 20)
    first = crowd.now()
    assert sluice.cli("abort", shop.name).returncode == 0
    shop.ends("aborted")
    assert set(crowd.now()) == {"v1"}
    shop.begin()
    at(shop, 20)
    assert crowd.now() != first
    assert sluice.cli("abort", shop.name).returncode == 0
    shop.ends("aborted")
    crowd.end()
    assert crowd.lost == 0
    shop.closes_well("slt-demo:v1")
