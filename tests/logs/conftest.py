"""Workers as tests/proxy runs them."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "proxy"))

from harness import Backend, Bench, Client  # noqa: E402


class World:
    def __init__(self, folder):
        self.folder, self.things, self.benches = folder, [], []
        self.file = folder / "access.log"

    def backend(self, name="a"):
        self.things.append(Backend(name))
        return self.things[-1]

    def bench(self, config, **keys):
        self.benches.append(Bench(config, **keys))
        return self.benches[-1]

    def client(self, bench):
        self.things.append(Client(bench.port))
        return self.things[-1]


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    for thing in reversed(world.things):
        thing.close()
    for bench in world.benches:
        bench.close()
