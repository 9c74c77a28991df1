"""Attackers by the thousand on one worker, and a second client that must not notice."""

import importlib.util
import resource
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

PROXY = Path(__file__).resolve().parents[1] / "proxy"
sys.path.insert(0, str(PROXY))

from harness import Client, sanitized, web  # noqa: E402

# The proxy's own world of workers, backends and clients.
_spec = importlib.util.spec_from_file_location("proxy_conftest", PROXY / "conftest.py")
_proxy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_proxy)
world = _proxy.world
pytest_runtest_makereport = _proxy.pytest_runtest_makereport

SLOWEST = 1.0  # seconds, without what worker and visitor waited for a processor: the machine is shared


@pytest.fixture(autouse=True)
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 8000:
        pytest.skip(f"needs 8000 descriptors, may have {hard}: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def waited(path):
    """Seconds that a process or thread was ready and had no processor."""
    with open(f"/proc/{path}/schedstat") as file:
        return int(file.read().split()[1]) / 1e9


class Visitor:
    """The second client: a new connection with two requests, again and again, each visit timed."""

    def __init__(self, bench):
        self.bench, self.times, self.faults = bench, [], []
        self.pid = bench.ask("pids")[0]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._visit, daemon=True)
        self.thread.start()

    def _waited(self):
        return waited(self.pid) + waited(f"self/task/{threading.get_native_id()}")

    def _visit(self):
        while not self.over.wait(0.02):
            client = None
            begun, before = time.monotonic(), self._waited()
            try:
                client = Client(self.bench.port)
                for _ in range(2):
                    answer = client.get("/visit")
                    if answer.status != 200 or answer.body != b"a":
                        self.faults.append(f"{answer.status} {answer.body[:40]}")
                    if answer.field("connection") == "close":
                        break
            except (OSError, EOFError) as error:
                self.faults.append(repr(error))
            finally:
                if client is not None:
                    client.close()
            self.times.append(time.monotonic() - begun - self._waited() + before)

    def end(self, at_least=20):
        """Holds that every visit was served, and soon."""
        patience = time.monotonic() + 20
        while len(self.times) < at_least and time.monotonic() < patience:
            self.over.wait(0.02)
        self.over.set()
        self.thread.join(15)
        assert not self.faults, (len(self.faults), self.faults[:5])
        assert len(self.times) >= at_least
        if not sanitized():
            assert max(self.times) < SLOWEST and statistics.median(self.times) < 0.1, (
                f"{len(self.times)} visits, median {statistics.median(self.times):.3f} s, slowest {max(self.times):.3f} s")


class Victim:
    """victim.py: the backend that the crowd asks."""

    def __init__(self, large):
        self.process = subprocess.Popen([sys.executable, Path(__file__).with_name("victim.py"), str(large)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.address = f"127.0.0.1:{int(self.process.stdout.readline())}"

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def stage(world):
    """A worker with two services: everything is the crowd's but /visit, the visitor's."""

    def build(large=1 << 20, descriptors=None, **keys):
        victim, own = world._add(Victim(large)), world.backend()
        config = web(own, **keys)
        config["services"] = {"crowd": {"backends": [victim.address], "routes": [{"path": "/"}]},
                              "web": {**config["services"]["web"], "routes": [{"path": "/visit"}]}}
        return world.bench(config, descriptors=descriptors)

    return build


@pytest.fixture
def visit():
    visitors = []

    def start(bench):
        visitors.append(Visitor(bench))
        return visitors[-1]

    yield start
    for visitor in visitors:
        visitor.over.set()
