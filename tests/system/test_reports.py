"""What is kept of a rollout for people: reports, notes, lessons."""
import json

import pytest

from shop import Shop, images, start_load  # noqa: F401
from sluice import ApiError


@pytest.fixture
def shop(engine, images, start_sluice):  # noqa: F811
    return Shop(engine, "report").open(start_sluice, monitor="1ms")


def test_a_report_says_what_happened_and_stays_in_the_state_folder(shop):
    shop.begin()
    done = shop.ends()
    text = shop.sluice.cli("report", "report").stdout
    assert text == shop.sluice.cli("report", shop.rollout).stdout
    assert text.startswith("# report: slt-demo:v1 → slt-demo:v2, completed\n")
    assert "What went wrong" not in text
    for container in done["containers"]:
        assert container["id"][:12] in text and container["image_id"] in text
    for drain in done["drains"]:
        assert f"epoch {drain['epoch']}; worker 0 (pid {drain['proof'][0]['pid']})" in text
    assert done["image_id"] in text and done["previous_image_id"] in text
    folder = shop.sluice.folder / "state/reports"
    assert (folder / f"{shop.rollout}.md").read_text() == text
    kept = json.loads((folder / f"{shop.rollout}.json").read_text())
    assert kept == json.loads(shop.sluice.cli("report", "report", "--json").stdout)
    assert kept["id"] == shop.rollout and kept["outcome"] == "completed"
    assert folder.stat().st_mode & 0o077 == 0
    assert sorted(path.name for path in folder.iterdir()) == [f"{shop.rollout}.json", f"{shop.rollout}.md"]


def test_a_failure_is_told_in_the_report_and_is_a_lesson_at_the_next_start(shop):
    shop.begin("slt-demo:v4")
    failed = shop.ends("rolled_back")
    text = shop.sluice.cli("report", "report").stdout
    assert "## What went wrong" in text and "## Lessons for the next time" in text
    assert failed["notes"][0]["message"] == "rolled_back: " + failed["why"]
    assert failed["notes"][0]["user"] is None and failed["lessons"] == []
    first = shop.rollout
    result = shop.sluice.cli("rollout", "report", "--image", "slt-demo:v2", "--detach")
    assert result.returncode == 0 and "lesson of " in result.stdout and failed["why"][:60] in result.stdout
    shop.rollout = shop.sluice.service("report")["rollout"] or shop.sluice.api("GET", "/rollouts")["rollouts"][0]["id"]
    done = shop.ends()
    assert [lesson["rollout"] for lesson in done["lessons"]] == [first]


def test_notes_go_into_the_record_while_it_runs_and_after(shop):
    shop.sluice.write_config(shop.config())
    shop.rollout = shop.sluice.api("POST", "/services/report/rollouts", {
        "image": "slt-demo:v2", "steps": [{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}],
        "reason": "a | b\nc"})["id"]
    shop.wait(lambda rollout: rollout["state"] == "paused")
    assert shop.sluice.cli("note", "report", "looks <b>fine</b>").returncode == 0
    shop.sluice.kill(shop.sluice.pid("updater"))  # what was answered is kept
    shop.wait(lambda rollout: [note["message"] for note in rollout["notes"]] == ["looks <b>fine</b>"])
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/promote")
    shop.ends()
    result = shop.sluice.cli("note", shop.rollout, "warm the cache first", "--lesson")
    assert result.returncode == 0 and "noted with rollout" in result.stdout
    kept = (shop.sluice.folder / f"state/reports/{shop.rollout}.md").read_text()
    assert "- looks \\<b\\>fine\\</b\\> (root, " in kept
    assert "## Lessons for the next time\n\n- warm the cache first (root, " in kept
    assert "| reason | a \\| b c |" in kept


@pytest.mark.parametrize("body", [
    {}, {"message": ""}, {"message": 5}, {"message": "x" * 2001}, {"message": "x", "lesson": "yes"},
    {"message": "x", "more": 1}])
def test_what_is_no_note_is_refused(shop, body):
    shop.begin()
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/rollouts/{shop.rollout}/notes", body)
    assert refused.value.status == 400
    shop.ends()


def test_there_is_no_report_of_what_never_was(shop):
    assert shop.sluice.cli("report", "nobody").returncode == 2
    assert shop.sluice.cli("note", "nobody", "x").returncode == 2
    result = shop.sluice.cli("report", "report")
    assert result.returncode == 3 and "has had no rollout yet" in result.stderr
    with pytest.raises(ApiError) as refused:
        shop.begin()
        shop.sluice.api("GET", f"/rollouts/{shop.rollout}/report?format=pdf")
    assert refused.value.status == 400
    shop.ends()
