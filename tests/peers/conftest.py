import shutil
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "system")]

from servers import Apache, Nginx  # noqa: E402
from sluice import Sluice  # noqa: E402


class Peers:
    """A running Sluice in front of servers of one kind. `port` is where its clients connect."""

    def __init__(self, folder, kind, count=1, **keys):
        if shutil.which(kind.program) is None:
            pytest.skip(f"{kind.program} is not installed: scripts/packages test")
        self.kind = kind
        self.servers = [kind(**keys) for _ in range(count)]
        self.sluice = Sluice(folder, {
            "listeners": {"web": {"address": "127.0.0.1:0"}},
            "services": {"web": {"backends": [server.address for server in self.servers]}}, "workers": 2})
        self.port = self.sluice.address("web")[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def sums(self):
        """The backends' counters, added up."""
        backends = self.sluice.service("web")["groups"]["stable"]["backends"]
        return {name: sum(backend[name] for backend in backends)
                for name in ("exchanges", "retries", "resets", "timeouts", "active", "open", "idle")}

    def close(self):
        self.sluice.close()
        for server in self.servers:
            server.close()
        self.sluice.stop()


@pytest.fixture
def start_peers(tmp_path):
    """start_peers(kind, count, keep_alive_requests=, keep_alive_ms=)"""
    started = []

    def start(kind, count=1, **keys):
        folder = tmp_path / f"sluice-{len(started)}"
        folder.mkdir()
        started.append(Peers(folder, kind, count, **keys))
        return started[-1]

    yield start
    for peers in started:
        peers.close()


@pytest.fixture(scope="module", params=[Nginx, Apache], ids=lambda kind: kind.name)
def peers(request, tmp_path_factory):
    peers = Peers(tmp_path_factory.mktemp("sluice"), request.param)
    yield peers
    peers.close()
