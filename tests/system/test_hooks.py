"""Hooks: webhooks, commands and gates at the points of a rollout; what they may and may not do."""
import json
import os
import pathlib
import stat

import pytest

from hooks import Receiver, receiver  # noqa: F401 (fixture)
from shop import Shop, images, start_load  # noqa: F401
from sluice import ApiError

STEPS = [{"set_weight": 50}, {"set_weight": 100}]


@pytest.fixture
def open_shop(engine, images, start_sluice):  # noqa: F811
    def build(name, hooks, environment=None, replicas=1, **rollout):
        rollout = {"steps": STEPS, **rollout}
        shop = Shop(engine, name, replicas)
        config = shop.config(monitor="1ms", hooks=hooks, **rollout)
        if rollout["steps"] is None:  # the strategy has its own
            config["services"][name]["rollout"].pop("steps")
        shop.sluice = start_sluice(config, environment=environment)
        shop.sluice.wait_healthy(name, replicas)
        return shop
    return build


def hooks_of(state, name):
    return [hook for hook in state["hooks"] if hook["name"] == name]


def test_every_point_is_told_once_in_order_with_the_rollout_as_it_stands(open_shop, receiver):
    points = ["confirm_rollout", "pre_rollout", "rollout", "confirm_traffic_increase", "confirm_promotion",
              "post_rollout"]
    shop = open_shop("hpoints", [{"name": f"on-{point}", "on": point, "webhook": receiver.url("/" + point)}
                                 for point in points])
    shop.begin()
    done = shop.ends()
    told = [(body["on"], body["rollout"]["weight"], body["rollout"]["phase"]) for _, _, body in receiver.requests]
    assert told == [("confirm_rollout", 0, "forward"), ("pre_rollout", 0, "forward"),
                    ("confirm_traffic_increase", 0, "forward"), ("rollout", 50, "forward"),
                    ("confirm_traffic_increase", 50, "forward"), ("rollout", 100, "forward"),
                    ("confirm_promotion", 100, "forward"), ("post_rollout", 100, "promoted")]
    assert len({body["delivery"] for _, _, body in receiver.requests}) == len(told)
    for path, headers, body in receiver.requests:
        assert headers["Sluice-Delivery"] == body["delivery"] and headers["Content-Type"] == "application/json"
        assert body["rollout"]["id"] == shop.rollout and body["rollout"]["image"] == "slt-demo:v2"
        assert body["attempt"] == 1 and body["hook"] == "on-" + path[1:]
    assert receiver.of("/confirm_rollout")[0]["targets"] == []
    assert len(receiver.of("/pre_rollout")[0]["targets"]) == 1
    assert [hook["on"] for hook in done["hooks"]] == [point for point, _, _ in told]
    assert {hook["state"] for hook in done["hooks"]} == {"passed"}
    assert "## Hooks" in shop.sluice.cli("report", "hpoints").stdout
    shop.closes_well()


def test_a_hook_that_fails_turns_the_rollout_back_before_any_traffic(open_shop, receiver):
    receiver.answers["/smoke"] = 500, {}, "no\x07 database"
    shop = open_shop("hfails", [{"name": "smoke", "on": "pre_rollout", "webhook": receiver.url("/smoke"),
                                 "retries": 2, "interval": "10ms"}])
    shop.begin()
    state = shop.ends("rolled_back")
    assert "hook smoke failed: status 500, wanted 200-299: no  database" in state["why"]
    assert [body["attempt"] for body in receiver.of("/smoke")] == [1, 2, 3]
    assert len({body["delivery"] for body in receiver.of("/smoke")}) == 1
    assert hooks_of(state, "smoke")[0]["attempts"] == 3
    assert all(step["started"] is None for step in state["steps"])
    shop.closes_well("slt-demo:v1")


@pytest.mark.parametrize("trouble, said", [
    ("down", ""), ("hangs", "no answer within 300 ms"), ("redirects", "status 302, wanted 200-299")])
def test_no_trouble_of_a_receiver_holds_a_rollout_for_longer_than_its_limit(open_shop, receiver, trouble, said):
    elsewhere = Receiver()
    receiver.answers["/x"] = {"down": 200, "hangs": receiver.hang,
                              "redirects": (302, {"Location": elsewhere.url("/x")}, "")}[trouble]
    hook = {"name": "x", "on": "pre_rollout", "webhook": receiver.url("/x"), "timeout": "300ms", "retries": 1,
            "interval": "10ms", "on_failure": "ignore"}
    if trouble == "down":
        receiver.close()
    shop = open_shop("htrouble", [hook])
    shop.begin()
    done = shop.ends()
    assert hooks_of(done, "x")[0]["state"] == "failed" and said in hooks_of(done, "x")[0]["message"]
    assert hooks_of(done, "x")[0]["attempts"] == 2
    assert elsewhere.requests == []  # not followed
    elsewhere.close()


def test_a_gate_waits_for_a_yes_of_somebody_whose_name_is_kept(open_shop):
    shop = open_shop("hgate", [{"name": "go", "on": "confirm_rollout", "gate": True},
                               {"name": "end", "on": "confirm_promotion", "gate": True}])
    shop.begin()
    shop.wait(lambda rollout: rollout["state"] == "paused" and "the gate go" in rollout["waiting"])
    assert shop.new() == []
    with pytest.raises(ApiError) as refused:
        shop.sluice.api("POST", f"/rollouts/{shop.rollout}/confirm", {"name": "end"})
    assert refused.value.status == 409 and "end does not wait for a yes; go" in refused.value.body["error"]["message"]
    assert "goes on" in shop.sluice.cli("confirm", "hgate").stdout
    shop.wait(lambda rollout: "the gate end" in rollout["waiting"])
    shop.sluice.kill(shop.sluice.pid("updater"))
    shop.wait(lambda rollout: "the gate end" in rollout["waiting"] and rollout["weight"] == 100)
    assert shop.sluice.cli("confirm", "hgate", "--name", "end").returncode == 0
    done = shop.ends()
    assert [(hook["name"], hook["user"], hook["message"]) for hook in done["hooks"]] == [
        ("go", "root", "confirmed"), ("end", "root", "confirmed")]
    assert shop.sluice.cli("confirm", "hgate").returncode == 3
    shop.closes_well()


def test_a_gate_that_nobody_opens_goes_back_at_its_end(open_shop):
    shop = open_shop("hshut", [{"name": "go", "on": "confirm_rollout", "gate": True, "wait": "200ms"}])
    shop.begin()
    assert shop.ends("rolled_back")["why"] == "hook go failed: no yes within 200ms"
    shop.closes_well("slt-demo:v1")


def test_a_webhook_is_asked_until_it_says_yes_and_a_person_may_answer_for_it(open_shop, receiver):
    receiver.answers["/desk"] = 403, {}, "not yet"
    shop = open_shop("hdesk", [{"name": "desk", "on": "confirm_traffic_increase", "webhook": receiver.url("/desk"),
                                "interval": "20ms"}])
    shop.begin()
    receiver.wait("/desk", 3)
    state = shop.wait(lambda rollout: "not yet" in rollout["waiting"] and rollout)
    assert state is not None and shop.state()["weight"] == 0
    receiver.answers["/desk"] = lambda body: 200 if body["rollout"]["step"] == 0 else 403
    shop.wait(lambda rollout: rollout["weight"] == 50)
    shop.sluice.cli("confirm", "hdesk")
    done = shop.ends()
    first, second = hooks_of(done, "desk")
    assert (first["step"], first["user"]) == (0, None) and (second["step"], second["user"]) == (1, "root")
    shop.closes_well()


def test_a_hook_may_ask_for_the_way_back_at_any_moment(open_shop, receiver):
    receiver.answers["/back"] = 404
    shop = open_shop("hback", [{"name": "alarm", "on": "rollback", "webhook": receiver.url("/back"),
                                "interval": "20ms"}],
                     steps=[{"set_weight": 50}, {"pause": {}}, {"set_weight": 100}])
    shop.begin()
    shop.wait(lambda rollout: rollout["state"] == "paused")
    receiver.wait("/back", 2)
    receiver.answers["/back"] = 200
    assert shop.ends("rolled_back")["why"] == "hook alarm asked for it"
    shop.closes_well("slt-demo:v1")


def test_a_failure_may_wait_for_people_instead(open_shop, receiver):
    receiver.answers["/step"] = 503
    shop = open_shop("hpause", [{"name": "step", "on": "rollout", "webhook": receiver.url("/step"), "retries": 0,
                                 "on_failure": "pause"}])
    shop.begin()
    shop.wait(lambda rollout: rollout["state"] == "paused" and "hook step failed" in rollout["waiting"])
    receiver.answers["/step"] = 200
    shop.sluice.cli("confirm", "hpause")
    done = shop.ends()
    assert hooks_of(done, "step")[0]["message"].startswith("confirmed in spite of: status 503")
    shop.closes_well()


# --- strategies ------------------------------------------------------------------------------------


def test_a_batch_is_a_step_and_its_old_ones_are_kept_until_the_promotion_is_confirmed(open_shop, receiver):
    points = ["pre_rollout", "confirm_traffic_increase", "rollout"]
    hooks = [{"name": point, "on": point, "webhook": receiver.url("/x")} for point in points]
    shop = open_shop("hrolling", [*hooks, {"name": "end", "on": "confirm_promotion", "gate": True}], replicas=2,
                     strategy="rolling", ramp="200ms", steps=None)
    shop.begin()
    shop.wait(lambda rollout: "the gate end" in rollout["waiting"])
    assert [(body["on"], body["rollout"]["step"]) for body in receiver.of("/x")] == [
        ("pre_rollout", 0), ("confirm_traffic_increase", 0), ("rollout", 0),
        ("confirm_traffic_increase", 1), ("rollout", 1)]
    assert sorted(each["State"] for each in shop.containers()) == ["exited", "exited", "running", "running"]
    shop.sluice.api("POST", f"/rollouts/{shop.rollout}/abort")
    shop.ends("aborted")
    shop.closes_well("slt-demo:v1")


def test_the_switch_of_blue_and_green_waits_for_a_yes(open_shop):
    shop = open_shop("hblue", [{"name": "switch", "on": "confirm_traffic_increase", "gate": True}], replicas=2,
                     strategy="blue_green", bake_time="1ms", steps=None)
    shop.begin()
    shop.wait(lambda rollout: "the gate switch" in rollout["waiting"])
    assert len(shop.new()) == 2 and shop.state()["weight"] == 0
    shop.sluice.cli("confirm", "hblue")
    shop.ends()
    shop.closes_well()


def test_stop_first_asks_while_the_old_one_still_serves(open_shop):
    shop = open_shop("hswap", [{"name": "swap", "on": "confirm_traffic_increase", "gate": True}], order="stop-first")
    shop.begin()
    shop.wait(lambda rollout: "the gate swap" in rollout["waiting"])
    assert sorted(each["State"] for each in shop.containers()) == ["created", "running"]
    assert shop.sluice.service("hswap")["state"] != "held"
    shop.sluice.cli("confirm", "hswap")
    done = shop.ends()
    assert done["order"] == "stop-first" and hooks_of(done, "swap")[0]["state"] == "passed"
    shop.closes_well()


# --- commands ------------------------------------------------------------------------------------


@pytest.fixture
def script(tmp_path):
    """script(text) gives the path of a program that `nobody` may run, and a folder that it may write."""
    folder = pathlib.Path("/tmp") / f"slt-hook-{os.getpid()}-{tmp_path.name}"
    folder.mkdir()
    folder.chmod(0o777)

    def write(text):
        path = folder / "hook"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path, folder
    yield write
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def runs(pid):
    """A zombie that nobody reaps does not run."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_runs_as_nobody_with_the_rollout_on_stdin_and_nothing_else(open_shop, script):
    path, folder = script("""exec > "$1/said"
        id -u; id -g; id -G; ls /proc/self/fd | tr '\\n' ' '; echo; env | sort; cat
        grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs)' /proc/self/status > "$1/status"
        cat "/proc/$PPID/environ" >/dev/null 2>&1 && echo readable >> "$1/status"; exit 0""")
    shop = open_shop("hcommand", [{"name": "warm", "on": "pre_rollout", "command": [str(path), str(folder)]}])
    shop.begin()
    shop.ends()
    lines = (folder / "said").read_text().splitlines()
    assert "0" not in lines[:3] and lines[0] != "0"
    assert lines[3].split() == ["0", "1", "2", "3"]  # 3 is that of ls itself
    payload = json.loads(lines[-1])
    assert payload["hook"] == "warm" and payload["rollout"]["id"] == shop.rollout and len(payload["targets"]) == 1
    variables = dict(line.split("=", 1) for line in lines[4:-1])
    assert {"SLUICE_ROLLOUT", "SLUICE_SERVICE", "SLUICE_IMAGE", "SLUICE_HOOK", "SLUICE_ON", "SLUICE_WEIGHT"} <= set(variables)
    assert variables["SLUICE_ROLLOUT"] == shop.rollout and variables["SLUICE_IMAGE"] == "slt-demo:v2"
    assert set(name for name in variables if not name.startswith("SLUICE_")) <= {"PATH", "PWD", "OLDPWD", "_", "SHLVL"}
    status = (folder / "status").read_text()
    assert "CapEff:\t0000000000000000" in status and "CapPrm:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status and "readable" not in status


@pytest.mark.parametrize("text, said", [
    ("echo broken; exit 3", "exit status 3: broken"),
    ("kill -9 $$", "killed by signal 9"),
    ("exec /does/not/exist", "exit status 127"),
])
def test_a_command_that_fails_says_how(open_shop, script, text, said):
    path, _ = script(text)
    shop = open_shop("hcfails", [{"name": "c", "on": "pre_rollout", "command": [str(path)], "retries": 0}])
    shop.begin()
    assert f"hook c failed: {said}" in shop.ends("rolled_back")["why"]
    shop.closes_well("slt-demo:v1")


def test_a_command_that_hangs_is_told_to_end_and_its_children_go_with_it(open_shop, script):
    path, folder = script("""trap 'echo told > "$1/told"; exit 9' TERM
        sleep 1000 & echo $! > "$1/child"; wait""")
    shop = open_shop("hchang", [{"name": "c", "on": "pre_rollout", "command": [str(path), str(folder)], "retries": 0,
                                 "timeout": "500ms"}])
    shop.begin()
    assert "hook c failed: no end within 500 ms" in shop.ends("rolled_back")["why"]
    assert (folder / "told").read_text() == "told\n"
    assert not runs((folder / "child").read_text().strip())


def test_a_command_that_prints_without_end_is_cut_in_the_record(open_shop, script):
    path, _ = script("yes 'all work and no play' | head -c 5000000; exit 1")
    shop = open_shop("hcbig", [{"name": "c", "on": "pre_rollout", "command": str(path), "retries": 0,
                                "on_failure": "ignore"}])
    shop.begin()
    done = shop.ends()
    message = hooks_of(done, "c")[0]["message"]
    assert message.startswith("exit status 1: all work") and len(message) < 1100


def test_a_command_dies_with_the_updater_and_is_run_again_under_the_same_delivery(open_shop, script):
    path, folder = script("""n=$(cat "$1/count" 2>/dev/null || echo 0); n=$((n + 1))
        echo $SLUICE_DELIVERY $$ >> "$1/runs"; echo $n > "$1/count"
        [ $n -gt 1 ] || exec sleep 1000""")
    shop = open_shop("hcdies", [{"name": "c", "on": "pre_rollout", "command": [str(path), str(folder)],
                                 "timeout": "1m"}])
    shop.begin()
    shop.wait(lambda rollout: (folder / "count").exists() and "the hook c" in rollout["waiting"])
    shop.sluice.kill(shop.sluice.pid("updater"))
    done = shop.ends()
    (first, first_pid), (second, _) = [line.split() for line in (folder / "runs").read_text().splitlines()]
    assert first == second == f"{shop.rollout}/c/0"
    assert not runs(first_pid)
    assert hooks_of(done, "c")[0]["attempts"] >= 1 and hooks_of(done, "c")[0]["state"] == "passed"
    shop.closes_well()


# --- the updater dies ----------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["task:before", "task:journalled", "task:begun", "task:answered", "task:kept",
                                   "task:done", "task:after"])
def test_a_result_is_neither_forgotten_nor_doubled_wherever_the_updater_dies(open_shop, receiver, point):
    shop = open_shop("hcrash", [{"name": "a", "on": "pre_rollout", "webhook": receiver.url("/a")},
                                {"name": "b", "on": "post_rollout", "webhook": receiver.url("/b")}],
                     environment={"SLUICE_TEST_CRASH": point})
    shop.begin()
    shop.sluice.wait_log("event=child-killed")
    shop.sluice.killed.update(int(line.split(" pid=")[1].split()[0]) for line in shop.sluice.log.all
                              if "event=child-killed" in line)
    done = shop.ends()
    for name in ("a", "b"):
        told = receiver.of("/" + name)
        assert {body["delivery"] for body in told} == {f"{shop.rollout}/{name}/0"}
        assert len(told) == (2 if name == "a" and point == "task:answered" else 1)
        assert [hook["state"] for hook in hooks_of(done, name)] == ["passed"]
    shop.closes_well()


def test_a_dry_run_shows_where_hooks_come_and_asks_nobody(open_shop, receiver):
    shop = open_shop("hdry", [{"name": "smoke", "on": "pre_rollout", "webhook": receiver.url("/smoke")},
                              {"name": "alarm", "on": "rollback", "webhook": receiver.url("/alarm")}])
    result = shop.sluice.cli("rollout", "hdry", "--image", "slt-demo:v2", "--dry-run")
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stdout.splitlines() if "task" in line or "set_weight" in line]
    assert any("smoke" in line for line in lines) and receiver.requests == []
