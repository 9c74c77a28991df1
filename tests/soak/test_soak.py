"""The soak, short, and what holds that its judges can find something."""
import json
import os
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "system")]

from ledger import Ledger
from measure import Sampler, slope
from sluice import BUILD

SECONDS = 30


def test_half_a_minute_of_mixed_traffic_leaves_nothing_behind(tmp_path):
    done = subprocess.run([sys.executable, HERE / "soak.py", str(SECONDS), tmp_path], capture_output=True, text=True,
                          timeout=SECONDS + 150, env={**os.environ, "SLUICE_BUILD": str(BUILD)})
    assert (tmp_path / "result.json").exists(), done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    print("\n".join(result["log"][-100:]))
    assert result["wrong"] == []
    assert done.returncode == 0
    assert result["events"]["killed"] + result["events"]["terminated"] >= 2 and result["events"]["reloads"] >= 1


# --- the judges -----------------------------------------------------------------------------------

def failed(ledger, kind, seconds=0.1, wild=True, detail="closed"):
    exchange = ledger.begin(kind, wild)
    exchange.start -= seconds
    exchange.failed(detail)


def test_a_failure_without_a_death_is_not_allowed():
    ledger = Ledger()
    failed(ledger, "upload")
    assert len(ledger.verdict()[1]) == 1


def test_a_kill_excuses_what_was_in_flight_and_nothing_else():
    ledger = Ledger()
    ledger.died("kill", "a")
    failed(ledger, "keepalive", seconds=0.5)
    failed(ledger, "keepalive", seconds=0.5, wild=False)
    failed(ledger, "download", seconds=0.5, detail="wrong body")
    ledger.deaths[0] = (time.monotonic() - 60, "kill", "a")
    assert len(ledger.verdict()[1]) == 3
    ledger.deaths[0] = (time.monotonic() - 0.2, "kill", "a")
    allowed, wrong = ledger.verdict()
    assert allowed == {"keepalive": 1} and len(wrong) == 2


def test_an_orderly_end_excuses_no_request_that_may_be_sent_twice():
    ledger = Ledger()
    ledger.died("term", "a")
    failed(ledger, "keepalive", seconds=0.5)
    failed(ledger, "upload", seconds=0.5)
    allowed, wrong = ledger.verdict()
    assert allowed == {"upload": 1} and len(wrong) == 1


def test_an_orderly_end_may_meet_one_that_was_not_accepted_and_no_more():
    ledger = Ledger()
    ledger.died("term", "a")
    failed(ledger, "keepalive", seconds=0.5, detail="status 502")
    failed(ledger, "keepalive", seconds=0.5, detail="status 502")
    ledger.deaths[0] = (time.monotonic() - 0.2, "term", "a")
    allowed, wrong = ledger.verdict()
    assert allowed == {"keepalive": 1} and len(wrong) == 1


def samples(pss, descriptors):
    sampler = Sampler(1, 1)
    sampler.samples = [(float(i), {7: ("sluice-worker", pss(i), descriptors(i))}) for i in range(100)]
    return sampler


def test_memory_that_grows_is_found_and_noise_is_not():
    steady = samples(lambda i: (4 << 20) + (i % 7 << 12), lambda i: 50 + i % 9)
    assert steady.judge(0)[1] == []
    leaking = samples(lambda i: (4 << 20) + i * 8192, lambda i: 50)
    assert "grew" in leaking.judge(0)[1][0]
    open_ended = samples(lambda i: 4 << 20, lambda i: 50 + i)
    assert "descriptors" in open_ended.judge(0)[1][0]


def test_a_slope_is_deaf_to_an_outlier():
    points = [(float(i), 10.0) for i in range(50)]
    points[20] = (20.0, 1e9)
    assert slope(points) == 0
