"""Fixtures for tests of the whole system: the real binaries, and a real engine where one is given.

    SLUICE_BUILD        the build to test (default build/release)
    SLUICE_TEST_ENGINE  unix:///... of a Docker Engine that is ours alone; without it, tests that
                        need one are skipped and say so
"""
import os

import pytest

from backends import Backend, EchoServer
from engine import Engine
from sluice import BUILD, COMMAND, Sluice


def pytest_report_header():
    return f"sluice: {BUILD}; engine: {os.environ.get('SLUICE_TEST_ENGINE', 'none')}"


@pytest.fixture(scope="session", autouse=True)
def built():
    assert COMMAND.exists(), f"{COMMAND} is missing: build it first (scripts/build), or set SLUICE_BUILD"


@pytest.fixture
def start_sluice(tmp_path):
    """start_sluice(config, *options) gives a Sluice that serves. At the end each must stop well; what
    it logged is shown where the test failed."""
    instances = []

    def start(config, *options, **keys):
        folder = tmp_path / f"sluice-{len(instances)}"
        folder.mkdir()
        instances.append(Sluice(folder, config, *options, **keys))
        return instances[-1]

    yield start
    for instance in instances:
        instance.close()
        print("\n".join(instance.log.all))
    for instance in instances:
        instance.stop()


@pytest.fixture
def start_backend():
    """start_backend(name) gives a Backend."""
    backends = []

    def start(name, **keys):
        backends.append(Backend(name, **keys))
        return backends[-1]

    yield start
    for backend in backends:
        backend.close()


@pytest.fixture
def start_echo():
    """start_echo(name) gives an EchoServer."""
    servers = []

    def start(name):
        servers.append(EchoServer(name))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="session")
def engine_of_the_run():
    host = os.environ.get("SLUICE_TEST_ENGINE")
    if not host:
        pytest.skip("needs a Docker Engine of its own: SLUICE_TEST_ENGINE is not set (scripts/test sets it, as root)")
    engine = Engine(host)
    yield engine
    engine.clean_up()
    engine.clean_up_images()


@pytest.fixture
def engine(engine_of_the_run):
    """The engine; what the test leaves in it is removed. Ask for it before start_sluice, so that it
    is cleaned up after Sluice has ended."""
    yield engine_of_the_run
    engine_of_the_run.clean_up()
