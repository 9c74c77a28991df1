import importlib.util
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(1, str(HERE.parent / "system"))

from registry import Registry, RegistryRelay  # noqa: E402

# The whole of Sluice and an engine of our own, as the system's tests have them.
_spec = importlib.util.spec_from_file_location("system_conftest", HERE.parent / "system" / "conftest.py")
_system = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_system)
built, start_sluice = _system.built, _system.start_sluice
engine_of_the_run, engine = _system.engine_of_the_run, _system.engine

from shop import images  # noqa: E402,F401


@pytest.fixture(scope="session")
def registries(tmp_path_factory):
    """registries(users) gives a registry that is started when it is first asked for."""
    made = {}

    def get(users=None):
        key = tuple((users or {}).items())
        if key not in made:
            if shutil.which("docker-registry") is None:
                pytest.skip("needs Debian's docker-registry (scripts/packages test)")
            made[key] = Registry(tmp_path_factory.mktemp("registry") / str(len(made)), users)
        return made[key]

    yield get
    for registry in made.values():
        registry.stop()


@pytest.fixture
def registry(registries):
    return registries()


@pytest.fixture
def private(registries):
    return registries({"reader": "open sesame:1"})


@pytest.fixture
def relay(registry):
    relay = RegistryRelay(registry)
    yield relay
    relay.close()
