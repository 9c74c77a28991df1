"""A new version is judged by its requests, on a real engine under load: one that fails some, one that
is slow, one that is good; where nobody asks; and with the updater killed in the middle."""
import os

import pytest

from shop import DEMO, Shop, images, start_load, text_of  # noqa: F401 (fixtures)

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for an engine of its own")

WEIGHT = {"set_weight": 20}
FULL = {"set_weight": 100}


def analysis(**rules):
    return {"analysis": {"interval": "5s", "min_requests": 100, **rules}}


@pytest.fixture(scope="module")
def judged_images(engine_of_the_run, images):  # noqa: F811
    """v5 fails 5 of 100 requests, v6 is slow; the health check of both is fine."""
    demo = DEMO.read_bytes()
    for version, setting in {"v5": "FAIL=5", "v6": "DELAY_MS=1500"}.items():
        engine_of_the_run.build(
            f"slt-demo:{version}",
            f"FROM scratch\nCOPY sluice-demo /sluice-demo\nENV VERSION={version} {setting}\nEXPOSE 8080 9000\n"
            'CMD ["/sluice-demo"]\n', {"sluice-demo": demo})


@pytest.fixture
def open_shop(engine, judged_images, start_sluice, start_load):  # noqa: F811
    """open_shop(steps, …) gives two containers of v1 behind Sluice, under load."""
    shops = []

    def open_one(steps, load=True, rate=400, **rollout):
        shop = Shop(engine, f"judged-{len(shops)}", replicas=2)
        # Patient with health: this is about requests, and the machine may be busy.
        patient = {"healthcheck": {"http": {"path": "/healthz"}, "interval": "2s", "timeout": "2s", "retries": 5}}
        shop.open(start_sluice, steps=steps, service=patient, **rollout)
        if load:
            shop.load = start_load("--address", text_of(shop.sluice.address("web")), "--rate", rate, "--connections", 32)
            shop.sluice.wait_until(lambda: (shop.load.progress() or {}).get("requests", 0) > 100)
        shops.append(shop)
        return shop

    return open_one


def step_of(rollout, kind):
    return next(step for step in rollout["steps"] if step["kind"] == kind)


def only_what_the_version_did(final, versions):
    """Every failure is an answer 500 of the new version; nothing was lost besides."""
    assert set(final["versions"]) >= versions
    assert all(failure["detail"] == "status 500" for failure in final["failures"]), final["failures"]


def test_a_good_version_passes_with_its_figures(open_shop):
    shop = open_shop([WEIGHT, analysis(latency_p99="5s"), FULL])
    shop.begin("slt-demo:v2")
    rollout = shop.ends("completed", timeout=120)
    step = step_of(rollout, "analysis")
    assert step["state"] == "done" and step["rules"]["success_rate"] == 99
    assert step["analysis"]["verdict"] == "pass", step
    assert step["analysis"]["canary"]["requests"] >= 100 and step["analysis"]["canary"]["failures"] == 0
    assert step["analysis"]["stable"]["requests"] > step["analysis"]["canary"]["requests"]
    assert step["analysis"]["canary"]["p99_ms"] > 0
    assert any(line["event"] == "analysis" and "pass" in line["message"] for line in rollout["log"])
    done = shop.sluice.cli("history", rollout["id"])
    assert "analysis in step 2: pass" in done.stdout, done.stdout
    shop.closes_well("slt-demo:v2")


@pytest.mark.parametrize("image, words", [("slt-demo:v5", "success"), ("slt-demo:v6", "took longer")],
                         ids=["five-per-cent-fail", "slow"])
def test_a_bad_version_is_caught_and_rolled_back(open_shop, image, words):
    shop = open_shop([WEIGHT, analysis(interval="60s", latency_p99="1s"), FULL], rate=200)
    before = shop.engine.snapshot()
    shop.begin(image)
    rollout = shop.ends("rolled_back", timeout=120)
    assert rollout["why"].startswith("analysis: ") and words in rollout["why"], rollout["why"]
    step = step_of(rollout, "analysis")
    assert step["analysis"]["verdict"] == "fail" and step["analysis"]["why"] in rollout["why"]
    only_what_the_version_did(shop.load.stop(), {"v1"})
    assert shop.engine.snapshot() == before
    assert shop.sluice.service(shop.name)["weight"] == 0


def test_what_fails_in_a_pause_is_caught_too(open_shop):
    """`analysis` of the rollout, not of a step."""
    shop = open_shop([WEIGHT, {"pause": {}}, FULL], analysis={"interval": "5s"})
    shop.begin("slt-demo:v5")
    rollout = shop.ends("rolled_back", timeout=120)
    assert rollout["why"].startswith("analysis: "), rollout["why"]
    assert step_of(rollout, "pause")["analysis"]["verdict"] == "fail"
    only_what_the_version_did(shop.load.stop(), {"v1"})


def test_without_traffic_a_step_waits_until_somebody_promotes(open_shop):
    shop = open_shop([WEIGHT, analysis(interval="1s"), FULL], load=False)
    shop.begin("slt-demo:v2")
    shop.wait(lambda rollout: "to be sure" in rollout["waiting"])
    rollout = shop.state()
    assert "0 of 0 requests" in rollout["waiting"] and "sluice promote" in rollout["waiting"]
    assert step_of(rollout, "analysis")["analysis"]["verdict"] == "inconclusive"
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends("completed")
    shop.closes_well("slt-demo:v2")


@pytest.mark.parametrize("choice, outcome", [("pass", "completed"), ("fail", "rolled_back")])
def test_without_traffic_a_step_does_as_told(open_shop, choice, outcome):
    shop = open_shop([WEIGHT, analysis(interval="1s", inconclusive=choice), FULL], load=False)
    shop.begin("slt-demo:v2")
    rollout = shop.ends(outcome)
    if outcome == "rolled_back":
        assert "stayed inconclusive" in rollout["why"]


def test_figures_outlive_a_worker_and_a_verdict_the_updater(open_shop):
    shop = open_shop([WEIGHT, analysis(interval="8s", min_requests=50), FULL], rate=200)
    shop.begin("slt-demo:v2")
    shop.wait(lambda rollout: (step_of(rollout, "analysis")["analysis"] or {}).get("canary", {}).get("requests", 0) > 20)
    seen = step_of(shop.state(), "analysis")["analysis"]["canary"]["requests"]
    shop.sluice.kill(shop.sluice.worker_pids()[0])
    shop.wait(lambda rollout: step_of(rollout, "analysis")["analysis"]["canary"]["requests"] > seen)
    shop.sluice.kill(shop.sluice.pid("updater"))
    rollout = shop.ends("completed", timeout=120)
    assert step_of(rollout, "analysis")["analysis"]["verdict"] == "pass"


def test_replicas_and_match_come_before_any_weight(open_shop):
    match = {"match": {"header": {"name": "X-Team", "value": "yes"}}}
    shop = open_shop([{"replicas": 2}, match, {"pause": {}}, FULL])
    shop.begin("slt-demo:v2")
    shop.wait(lambda rollout: rollout["state"] == "paused")
    assert len(shop.new()) == 2 and shop.state()["weight"] == 0
    shop.sluice.wait_adopted()
    status, _, body = shop.sluice.get(headers={"X-Team": "yes"})
    assert status == 200 and body.startswith(b"v2"), body
    assert {shop.sluice.get()[2][:2] for _ in range(8)} == {b"v1"}
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends("completed")
    shop.closes_well("slt-demo:v2")


def test_a_preset_of_the_config_and_one_built_in(open_shop, start_sluice):
    shop = open_shop([FULL])
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v2", "--preset", "at_once", timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    done = shop.sluice.cli("rollout", shop.name, "--image", "slt-demo:v1", "--preset", "hasty")
    assert done.returncode == 2 and "careful, fast, at_once" in done.stderr, done.stderr
