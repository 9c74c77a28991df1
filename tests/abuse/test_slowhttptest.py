"""slowhttptest (Debian's) in its four modes, all at once, on one worker: each mode is cut off by the limit
that is there for it, and a second client is served throughout, as slowhttptest's own probe is."""

import re
import shutil
import subprocess

import pytest

SECONDS = 10
CONNECTIONS = 300
ATTACKS = {
    "slowloris": (["-H", "-i", "1", "-x", "8"], "/"),
    "slow-post": (["-B", "-i", "1", "-s", "100000", "-x", "8"], "/"),
    "slow-read": (["-X", "-k", "3", "-n", "1", "-w", "64", "-y", "256", "-z", "16"], "/large"),
    "range": (["-R", "-a", "5", "-b", "300", "-t", "HEAD"], "/"),
}


@pytest.fixture
def attack(tmp_path):
    if shutil.which("slowhttptest") is None:
        pytest.skip("slowhttptest is not installed: scripts/packages test")
    processes = {}

    def start(port):
        for name, (options, path) in ATTACKS.items():
            log = open(tmp_path / name, "w")
            processes[name] = subprocess.Popen(
                ["nice", "-n", "19", "slowhttptest", *options, "-c", str(CONNECTIONS), "-r", "150", "-l", str(SECONDS), "-p", "2", "-v", "1",
                 "-u", f"http://127.0.0.1:{port}{path}"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            log.close()
        return {name: (tmp_path / name, process) for name, process in processes.items()}

    yield start
    for process in processes.values():
        process.kill()
        process.wait()


def at_rest(scores):
    return all(backend["active"] == [0, 0, 0, 0, 0] for backend in scores["backends"])


def test_four_attacks_at_once_do_not_reach_a_second_client(stage, attack, visit):
    bench = stage(limits={"min_rate": 500, "min_rate_window": "2s"}, timeouts={"header": "3s", "body": "5s"})
    visitor = visit(bench)
    running = attack(bench.port)
    for log, process in running.values():
        process.wait(SECONDS + 20)
    visitor.end(at_least=50)
    for name, (log, process) in running.items():
        text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", log.read_text(errors="replace"))
        states = re.findall(r"service available: +(\w+)", text)
        assert states and set(states) == {"YES"}, (name, states, text[-800:])
    scores = bench.until(lambda s: s["rows"][0]["clients"] == 0 and at_rest(s), 30)
    refused = scores["rows"][0]["refused"]
    assert refused["slow-client"] >= CONNECTIONS / 2, refused  # heads that did not end
    assert refused["slow-body"] >= CONNECTIONS / 2, refused
    assert refused["slow-read"] >= CONNECTIONS / 2, refused
