"""A held service, by the command: nothing fails, whatever dies meanwhile, and it ends by itself."""
import http.client
import json
import os
import signal
import threading

import pytest

from test_static import config_of


class Visitors:
    """Clients that ask again and again; `statuses` has every answer, "lost" where there was none."""

    def __init__(self, sluice, count):
        self.statuses, self.stop = [], threading.Event()
        self.threads = [threading.Thread(target=self._visit, args=(sluice,), daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _visit(self, sluice):
        while not self.stop.is_set():
            try:
                self.statuses.append(sluice.get(timeout=30)[0])
            except (OSError, http.client.HTTPException):
                self.statuses.append("lost")

    def end(self):
        self.stop.set()
        for thread in self.threads:
            thread.join(30)
        return set(self.statuses)


def queued(sluice):
    return sluice.service("web")["queued"]


def test_hold_and_release_by_the_command(start_sluice, start_backend):
    backend = start_backend("one")
    sluice = start_sluice(config_of([backend]))
    sluice.wait_healthy("web", 1)
    visitors = Visitors(sluice, 4)
    sluice.wait_until(lambda: len(visitors.statuses) > 20)
    after = len(sluice.events.all)
    held = sluice.cli("hold", "web", "--timeout", "1m")
    assert (held.returncode, held.stdout) == (0, "web is held for 1m 00s; `sluice release web` ends it\n")
    sluice.wait_until(lambda: queued(sluice) == 4)
    count = backend.count
    shown = sluice.service("web")
    assert shown["state"] == "held" and 0 < shown["hold"]["left_ms"] <= 60_000
    assert shown["healthy"] == 1  # checks go on
    assert "4 wait; `sluice release web` ends it" in sluice.cli("status").stdout
    assert "sluice release web" in sluice.cli("watch", "web", "--once").stdout
    metrics = sluice.api("GET", "/metrics")
    assert 'sluice_service_held{service="web"} 1' in metrics and 'sluice_service_queued{service="web"} 4' in metrics
    assert backend.count == count
    released = sluice.cli("release", "web")
    assert (released.returncode, released.stdout) == (0, "web goes on, with 4 that waited\n")
    done = len(visitors.statuses)
    sluice.wait_until(lambda: len(visitors.statuses) > done + 20)
    assert visitors.end() == {200}
    assert sluice.events.wait("hold_began", after=after)["left_ms"] <= 60_000
    assert sluice.events.wait("hold_ended", after=after) == {"service": "web", "why": "released"}
    again = sluice.cli("release", "web")
    assert (again.returncode, "is not held" in again.stderr) == (3, True)
    assert sluice.service("web")["hold"] is None


def test_a_hold_ends_by_itself(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one")], hold={"timeout": "400ms"}))
    sluice.wait_healthy("web", 1)
    held = json.loads(sluice.cli("hold", "web", "--json").stdout)
    assert 0 < held["hold"]["left_ms"] <= 400
    assert sluice.events.wait("hold_ended") == {"service": "web", "why": "timeout"}
    sluice.wait_log(["event=hold-ended", "why=timeout"])
    assert sluice.get()[0] == 200
    assert sluice.service("web")["state"] == "steady"


@pytest.mark.parametrize("victim", ["updater", "worker", "health", "reload"])
def test_a_hold_outlives_what_dies(start_sluice, start_backend, victim):
    backend = start_backend("one")
    sluice = start_sluice(config_of([backend]))
    sluice.wait_healthy("web", 1)
    assert sluice.cli("hold", "web").returncode == 0
    visitors = Visitors(sluice, 3)
    sluice.wait_until(lambda: queued(sluice) == 3)
    after, count = sluice.log_position(), backend.count
    if victim == "reload":
        sluice.signal(signal.SIGHUP)
        sluice.wait_log("event=reload-completed", after)
    else:
        sluice.kill(sluice.worker_pids()[0] if victim == "worker" else sluice.pid(victim))
        sluice.wait_log([f"child={victim}", "event=child-ready"], after)
    shown = sluice.wait_until(lambda: sluice.service("web"))
    assert shown["state"] == "held"
    sluice.wait_until(lambda: queued(sluice) == 3)
    assert backend.count == count
    assert sluice.cli("release", "web").returncode == 0
    done = len(visitors.statuses)
    sluice.wait_until(lambda: len(visitors.statuses) > done + 6)
    assert visitors.end() <= ({200, "lost"} if victim == "worker" else {200})


def test_a_hold_ends_though_the_updater_is_gone(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one")]))
    sluice.wait_healthy("web", 1)
    updater = sluice.pid("updater")
    assert sluice.cli("hold", "web", "--timeout", "1s").returncode == 0
    os.kill(updater, signal.SIGSTOP)
    try:
        assert sluice.get()[0] == 200
    finally:
        os.kill(updater, signal.SIGCONT)


@pytest.mark.parametrize("arguments, code", [
    (["hold", "nobody"], 2), (["hold", "web", "--timeout", "2h"], 2), (["hold", "web", "--timeout", "0"], 2),
    (["hold", "web", "--timeout", "soon"], 2), (["release", "web"], 3), (["release", "nobody"], 2)])
def test_a_wrong_request_holds_nothing(start_sluice, start_backend, arguments, code):
    sluice = start_sluice(config_of([start_backend("one")]))
    epoch = sluice.api("GET", "/healthz")["epoch"]
    done = sluice.cli(*arguments)
    assert done.returncode == code and done.stderr.startswith("sluice: ")
    assert sluice.api("GET", "/healthz")["epoch"] == epoch


@pytest.mark.parametrize("body", [{"timeout": 5}, {"timeout": "61m"}, {"until": "1s"}, {"timeout": "1s", "x": 1}, [1]])
def test_the_api_says_what_a_hold_takes(start_sluice, start_backend, body):
    sluice = start_sluice(config_of([start_backend("one")]))
    with pytest.raises(AssertionError) as error:
        sluice.api("POST", "/services/web/hold", body)
    assert (error.value.status, error.value.code) == (400, "bad-request")
    assert sluice.api("POST", "/services/web/hold")["state"] == "held"
