"""The whole of Sluice in front of an engine that lies, is slow or says odd things at the moment that matters."""
import pytest

from false_docker import FalseDocker
from sluice import ApiError


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


@pytest.mark.parametrize("verb, body", [("scale", {"replicas": 2}), ("rollouts", {"image": "web:v2"})])
def test_more_containers_than_a_rollout_may_have(docker, start_sluice, verb, body):
    """A scale asked no check: the steps of so many, one by one, were written beyond their room."""
    docker.service("web", 120, serves=False)
    sluice = start_sluice(docker.config(rollout={"strategy": "rolling", "parallelism": 1, "delay": "1s"}))
    sluice.wait_log("event=service-discovered")
    with pytest.raises(ApiError) as refused:
        sluice.api("POST", f"/services/web/{verb}", body)
    assert (refused.value.status, refused.value.code) == (422, "too-many-containers")
