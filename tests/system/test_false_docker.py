"""The whole of Sluice in front of an engine that lies, is slow or says odd things at the moment that matters."""
import http.client
import re
import sqlite3
import threading
import time

import pytest

from false_docker import FalseDocker
from sluice import BUILD, ApiError

HAS_CRASH_POINTS = b"SLUICE_TEST_CRASH" in (BUILD / "libexec/sluice/sluice-updater").read_bytes()
CRASHES = pytest.mark.skipif(not HAS_CRASH_POINTS, reason="this build has no crash points (-DTEST_CRASH_POINTS=ON)")


@pytest.fixture
def docker(tmp_path):
    engine = FalseDocker(str(tmp_path))
    engine.image("web:v1")
    engine.image("web:v2", Env=["VERSION=2"])
    engine.start()
    yield engine
    engine.stop()


def begin(sluice, **how):
    return sluice.api("POST", "/services/web/rollouts", {"image": "web:v2", "steps": [{"set_weight": 100}], **how})["id"]


def completes(sluice, rollout):
    sluice.events.wait("rollout_completed", lambda data: data["id"] == rollout)


def test_a_rollout_there_and_what_is_left_of_it(docker, start_sluice):
    """What the others rest on: this engine is one that a rollout goes well with."""
    docker.service("web", 2)
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 2)
    completes(sluice, begin(sluice))
    assert docker.names() == ["web-1", "web-2"]
    assert len(docker.of_image("web:v2")) == 2


@pytest.mark.parametrize("how, outcome", [({}, "rollout_completed"), ({"verb": "abort"}, "rollout_aborted")])
def test_one_that_was_stopped_before_is_not_the_rollouts(docker, start_sluice, how, outcome):
    """Somebody keeps it stopped (for its data, to look at): it was removed with the old ones."""
    docker.service("web", 2)
    docker.ends(docker.container("web-kept", "web:v1", {"app": "web"}))
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 2)
    rollout = begin(sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    sluice.wait_until(lambda: sluice.api("GET", f"/rollouts/{rollout}")["step"] == 1)
    sluice.api("POST", f"/rollouts/{rollout}/{how.get('verb', 'promote')}")
    sluice.events.wait(outcome, lambda data: data["id"] == rollout)
    assert docker.names() == ["web-1", "web-2", "web-kept"]
    kept = next(each for each in docker.containers.values() if each["Name"] == "/web-kept")
    assert kept["State"]["Status"] == "exited"


def generations(sluice):
    return {backend["name"]: backend["generation"] for backend in sluice.service("web")["groups"]["stable"]["backends"]}


def test_an_inspect_that_says_nothing_as_the_updater_starts(docker, start_sluice):
    """What was not understood was taken for told: the list counted as whole, and the slot of the one that it was about was
    dropped."""
    second = docker.service("web", 2)[1]["Id"]
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 2)
    before = generations(sluice)
    position = sluice.log_position()
    docker.rule = lambda request: (200, {}) if request.path == f"/containers/{second}/json" else None
    sluice.kill(sluice.pid("updater"))
    sluice.wait_log(["event=discovery-trouble", "does not describe a container"], after=position)
    docker.rule = lambda request: None
    sluice.wait_log("event=service-discovered", after=position)
    assert generations(sluice) == before


def test_what_compose_runs_for_once_is_none_of_the_service(docker, start_sluice):
    """`docker compose run web …` gives it the service's label and a number that one of the service has too: it got requests, was
    replaced like the others, and removed in the end."""
    docker.service("web", 1)
    once = docker.container("web-run-1", "web:v1", {"app": "web", "com.docker.compose.oneoff": "True",
                                                    "com.docker.compose.container-number": "1"})
    ended = docker.container("web-run-2", "web:v1", {"app": "web", "com.docker.compose.oneoff": "True"})
    docker.ends(ended)
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 1)
    assert list(generations(sluice)) == ["web-1"]
    completes(sluice, begin(sluice))
    assert docker.names() == ["web-1", "web-run-1", "web-run-2"]
    assert once["State"]["Running"]


def test_a_network_that_cannot_be_connected_is_told_in_the_engines_words(docker, start_sluice):
    """"A network of it could not be connected" was all that people were told."""
    docker.api = "1.41"  # one network per create, the others after it
    old = docker.service("web", 1)[0]
    old["NetworkSettings"]["Networks"]["back"] = {"NetworkID": "e" * 64, "IPAddress": "127.0.9.9"}
    docker.rule = lambda request: (403, {"message": "pool overlaps with 10.9"}) if request.path.endswith("/connect") else None
    sluice = start_sluice(docker.config(network="shop"))
    sluice.wait_healthy("web", 1)
    begin(sluice)
    told = sluice.wait_log(["event=action-failed", "action=create"])
    assert "the network back" in told and "pool overlaps with 10.9" in told


def test_a_rollout_ends_while_a_new_container_is_still_compared(docker, start_sluice):
    """The comparison read the changes on purpose of a rollout that was no more."""
    olds = docker.service("web", 2)
    sluice = start_sluice(docker.config(rollout={"progress_deadline": "1s", "monitor": "0s"}))
    sluice.wait_healthy("web", 2)
    rollout = begin(sluice, steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}],
                    changes={"env": {f"KEY_{i}": "value" for i in range(20)}})
    sluice.events.wait("rollout_paused", lambda data: data["id"] == rollout)
    for old in olds:
        docker.falls_ill(old)
    sluice.wait_healthy("web", 1)
    go_on, asked = threading.Event(), threading.Event()

    def keep_back(request):
        if request.path.startswith("/images/") and len(docker.containers) == 4:
            asked.set()
            go_on.wait(20)

    docker.rule = keep_back
    sluice.api("POST", f"/rollouts/{rollout}/promote")
    assert asked.wait(20)
    sluice.api("POST", f"/rollouts/{rollout}/abort")
    sluice.events.wait("rollout_needs_attention", lambda data: data["id"] == rollout)
    position = sluice.log_position()
    go_on.set()
    sluice.wait_log(["event=action-failed", "action=create", "has ended meanwhile"], after=position)


def died(sluice):
    killed = sluice.wait_log(["event=child-killed", "child=updater"])
    sluice.killed.add(int(re.search(r"\bpid=(\d+)", killed)[1]))


@CRASHES
def test_the_updater_dies_between_a_drain_and_its_record(docker, start_sluice):
    """It was under way already, and nothing was written down of it: the removal carried no proof."""
    docker.service("web", 2)
    sluice = start_sluice(docker.config(), environment={"SLUICE_TEST_CRASH": "drain:published"})
    sluice.wait_healthy("web", 2)
    rollout = begin(sluice)
    died(sluice)
    completes(sluice, rollout)
    drains = sluice.api("GET", f"/rollouts/{rollout}")["drains"]
    assert sorted(drain["container"] for drain in drains) == ["web-1", "web-2"]
    for drain in drains:
        assert drain["drained"] and all(row["seen_epoch"] >= drain["epoch"] for row in drain["proof"] if row["live"])


@CRASHES
def test_the_updater_dies_as_a_rollout_begins_and_one_had_ended_before(docker, start_sluice):
    """Who takes part was not written down yet: the next updater took the one that does not run for the first replica, so that a
    new one got its name, and one that runs had none."""
    docker.ends(docker.container("web-0", "web:v1", {"app": "web"}))
    docker.service("web", 2)
    sluice = start_sluice(docker.config(), environment={"SLUICE_TEST_CRASH": "begin:after"})
    sluice.wait_healthy("web", 2)
    events = sluice.events
    with pytest.raises((OSError, http.client.HTTPException)):
        begin(sluice)
    died(sluice)
    events.wait("rollout_completed")
    assert {"web-1", "web-2"} <= set(docker.names())
    assert len(docker.of_image("web:v2")) == 2


def test_a_journal_that_cannot_be_read_for_a_while_loses_no_rollout(docker, start_sluice):
    """An updater that could not read what was in progress served the new version as if it were the old one, for good."""
    docker.service("web", 1)
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 1)
    rollout = begin(sluice, steps=[{"replicas": 1}, {"pause": {}}, {"set_weight": 100}])
    sluice.events.wait("rollout_paused", lambda data: data["id"] == rollout)
    sluice.forgiven.add("exit=111")
    journal = sqlite3.connect(sluice.folder / "state/journal.db", timeout=20)
    journal.execute("ALTER TABLE drain_orders RENAME TO hidden")
    sluice.kill(sluice.pid("updater"))
    refused = sluice.wait_log("event=rollout-not-loaded")
    assert "drain_orders" in refused
    assert {sluice.get()[2] for _ in range(20)} == {b"/web-1"}
    position = sluice.log_position()
    journal.execute("ALTER TABLE hidden RENAME TO drain_orders")
    journal.close()
    sluice.wait_log(["event=child-ready", "child=updater"], after=position, timeout=60)
    sluice.api("POST", f"/rollouts/{rollout}/promote")
    completes(sluice, rollout)

def test_many_other_containers_are_looked_at_a_few_at_a_time(docker, start_sluice):
    """All at once were more than the engine's socket lets wait: the check whether another hangs on ours was then left out."""
    docker.service("web", 1)
    for i in range(300):
        docker.container(f"other-{i}", "web:v1", {}, serves=False)
    asked, lock = {"now": 0, "most": 0}, threading.Lock()

    def count(request):
        if re.fullmatch("/containers/[^/]+/json", request.path):
            with lock:
                asked["now"] += 1
                asked["most"] = max(asked.values())
            time.sleep(0.005)  # it takes an engine its time
            with lock:
                asked["now"] -= 1

    docker.rule = count
    sluice = start_sluice(docker.config())
    sluice.wait_healthy("web", 1)
    plan = sluice.api("POST", "/services/web/rollouts", {"image": "web:v2", "dry_run": True})
    assert next(check["outcome"] for check in plan["checks"] if check["name"] == "dependents") == "ok"
    assert asked["most"] <= 32


@pytest.mark.parametrize("verb, body", [("scale", {"replicas": 2}), ("rollouts", {"image": "web:v2"})])
def test_more_containers_than_a_rollout_may_have(docker, start_sluice, verb, body):
    """A scale asked no check: the steps of so many, one by one, were written beyond their room."""
    docker.service("web", 120, serves=False)
    sluice = start_sluice(docker.config(rollout={"strategy": "rolling", "parallelism": 1, "delay": "1s"}))
    sluice.wait_log("event=service-discovered")
    with pytest.raises(ApiError) as refused:
        sluice.api("POST", f"/services/web/{verb}", body)
    assert (refused.value.status, refused.value.code) == (422, "too-many-containers")
