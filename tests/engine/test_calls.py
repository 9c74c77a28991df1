"""Every call of the engine client against a real engine."""

import subprocess

import pytest


@pytest.fixture(scope="module")
def image(engine):
    return engine.image('CMD ["/pause"]')


def test_ping_tells_versions_and_chooses_one_that_both_know(tool):
    result = tool("ping")
    assert result.code == 0, result
    assert result.json["ApiVersion"]
    chosen = result.err.strip().removeprefix("api=")
    newest = tuple(map(int, result.json["ApiVersion"].split(".")))
    assert tuple(map(int, chosen.split("."))) == min(newest, (1, 47))


def test_life_of_a_container(engine, tool, image):
    name = engine.name("life")
    engine.containers += [name, name + "-renamed"]
    result = tool("create", name, f'{{"Image": "{image}", "Labels": {{"{name}": "yes"}}}}')
    assert result.code == 0, result
    container = result.json["Id"]
    assert tool("start", container).code == 0
    assert tool("start", container).code == 0, "started already (304) counts as done"
    assert [c["Id"] for c in tool("list", f"{name}=yes").json] == [container]
    assert tool("list", f"{name}=no").json == []
    assert tool("rename", container, name + "-renamed").code == 0
    assert tool("inspect", name + "-renamed").json["Id"] == container
    assert tool("stop", container, -1).code == 0
    assert tool("stop", container, 1).code == 0, "stopped already (304) counts as done"
    assert engine.inspect(container)["State"]["ExitCode"] == 0
    assert [c["State"] for c in tool("list", name).json] == ["exited"], "stopped ones are listed"
    assert tool("remove", container).code == 0
    assert tool("remove", container).code == 0, "gone already (404) counts as done"
    result = tool("inspect", container)
    assert result.code == 1 and "error=ENOENT status=404" in result.err
    assert "No such container" in result.err


def test_kill_sends_the_signal_that_was_asked_for(engine, tool, image):
    name = engine.create({"Image": image})
    assert tool("kill", name, "SIGUSR1").code == 0
    engine.call("POST", f"/containers/{name}/wait")
    assert engine.inspect(name)["State"]["ExitCode"] == 0
    result = tool("kill", name, "SIGUSR1")
    assert result.code == 1 and "is not running" in result.err


def test_a_name_that_is_taken_is_a_conflict(engine, tool, image):
    name = engine.create({"Image": image}, start=False)
    result = tool("create", name, f'{{"Image": "{image}"}}')
    assert result.code == 1
    assert "error=EEXIST status=409" in result.err and "already in use" in result.err


def test_an_image_that_is_missing_is_named(engine, tool):
    result = tool("create", engine.name("x"), '{"Image": "engine-test-nowhere:v1"}')
    assert "error=ENOENT status=404" in result.err and "No such image" in result.err
    assert "error=ENOENT" in tool("image", "engine-test-nowhere:v1").err


def test_a_config_that_is_refused_says_why(engine, tool, image):
    result = tool("create", engine.name("x"),
                  f'{{"Image": "{image}", "HostConfig": {{"Memory": 1}}}}')
    assert result.code == 1 and "emory limit" in result.err and "passing=0" in result.err


@pytest.mark.parametrize("name", ["..", ".", "", "a/../../version", "a?force=1", "ä ö", "%2e%2e"])
def test_a_strange_name_stays_a_name(tool, name):
    result = tool("inspect", name)
    assert result.code == 1
    assert "error=EINVAL" in result.err or "error=ENOENT" in result.err, result


@pytest.mark.parametrize("reference", ["../version", "a//b", "a b", "", "x:", "UPPER:v1"])
def test_a_strange_reference_is_refused(tool, reference):
    result = tool("pull", reference)
    assert result.code == 1 and "error=EINVAL" in result.err, result


def test_a_pull_from_a_registry_that_is_not_there_fails_with_the_engines_words(tool):
    result = tool("pull", "127.0.0.1:1/engine-test/none:v1")
    assert result.code == 1 and "127.0.0.1:1" in result.err, result


def test_events_of_a_container_come_once_and_in_order(engine, tool_path, image):
    process = subprocess.Popen([tool_path, engine.host, "events", "3"], stdout=subprocess.PIPE,
                               text=True)
    try:
        assert process.stdout.readline() == "gap - -\n"
        name = engine.create({"Image": image})
        container = engine.inspect(name)["Id"]
        engine.call("POST", f"/containers/{name}/kill")
        mine = []
        for line in process.stdout:
            if container in line:
                mine.append(line.split()[1])
        assert mine[:2] == ["create", "start"] and len(mine) <= 3
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.wait()
