"""The quickstart, as a person runs it, on the engine of the test run."""
import os
import re
import socket
import subprocess

import pytest

from sluice import BUILD, ROOT


def quickstart(engine, *options, timeout=240):
    return subprocess.run([ROOT / "scripts/quickstart", *options], text=True, capture_output=True, timeout=timeout,
                          stdin=subprocess.DEVNULL, cwd="/",
                          env={**os.environ, "DOCKER_HOST": engine.host, "QUICKSTART_PRESET": BUILD.name})


@pytest.mark.skipif(BUILD.parent != ROOT / "build", reason="the quickstart builds below build/, SLUICE_BUILD is elsewhere")
def test_the_quickstart_does_the_main_job(engine):
    before = engine.snapshot()
    done = quickstart(engine, "--port", "0", "--interval", "2s")
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.rstrip().splitlines()[-1]
    figures = re.fullmatch(r"quickstart: requests=(\d+) failed=(\d+) steps=(\d+) split_error_max=([\d.]+) "
                           r"drain_notice_ms_max=([\d.]+) removed=(\d+) rolled_back=(yes|no)", last)
    assert figures, last
    assert int(figures[1]) > 5000 and figures[2] == "0" and figures[3] == "4"
    assert float(figures[4]) <= 1 and float(figures[5]) <= 100
    assert figures[6] == "3" and figures[7] == "yes"
    for shown in ("drained", "rolled back", "100 %", "sluice-demo:v2"):
        assert shown in done.stdout, shown
    assert engine.snapshot() == before  # it cleans up after itself


@pytest.mark.skipif(BUILD.parent != ROOT / "build", reason="the quickstart builds below build/, SLUICE_BUILD is elsewhere")
def test_the_quickstart_says_what_to_do_where_its_port_is_taken(engine):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = quickstart(engine, "--port", str(taken.getsockname()[1]))
    assert done.returncode != 0
    assert "another program listens there" in done.stderr and "--port" in done.stderr, done.stderr


def test_the_quickstart_refuses_options_it_does_not_know(engine):
    done = quickstart(engine, "--prot", "1")
    assert done.returncode != 0 and "--port" in done.stderr and "--prot" in done.stderr
