"""A Docker Engine of the matrix's own: on its path is a hook that lets it take requests for GPUs, which it then grants
by doing nothing. SLUICE_MATRIX_ENGINE names one that is there already (started with hook/ on its PATH)."""
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from client import Docker  # noqa: E402


@pytest.fixture(scope="session")
def docker(tmp_path_factory):
    host = os.environ.get("SLUICE_MATRIX_ENGINE")
    folder = ROOT / "build/test-engine-matrix"
    environment = {**os.environ, "PATH": f"{HERE / 'hook'}:{os.environ['PATH']}"}
    if not host and os.getuid() != 0:
        pytest.skip("needs root to start a Docker Engine of its own")
    if not host:
        started = subprocess.run([ROOT / "scripts/engine", "start", folder], env=environment, capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
    docker = Docker(host or started.stdout.strip(), tmp_path_factory.mktemp("docker"))
    docker.clean_up()  # of a run that was cut off
    try:
        yield docker
    finally:
        docker.clean_up()
        if not host:
            subprocess.run([ROOT / "scripts/engine", "stop", folder], check=True)
