import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Backend, Bench, Client  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    item.failed = outcome.get_result().failed


class World:
    """Everything that a test starts; ended in reverse."""

    def __init__(self):
        self.things = []
        self.benches = []

    def backend(self, name="a"):
        return self._add(Backend(name))

    def bench(self, config, rows=1, descriptors=None, leak=()):
        bench = self._add(Bench(config, rows, descriptors, leak))
        self.benches.append(bench)
        return bench

    def client(self, bench, listener=None, timeout=10):
        return self._add(Client(bench.ports[listener] if listener else bench.port, timeout))

    def _add(self, thing):
        self.things.append(thing)
        return thing


@pytest.fixture
def world(request):
    world = World()
    yield world
    for thing in reversed(world.things):
        if thing not in world.benches:
            thing.close()
    for bench in world.benches:
        if getattr(request.node, "failed", False):
            print("\n".join(bench.log().splitlines()[-60:]))
        bench.close()
