"""Every command that asks once: what it prints, what it sends, its exit code."""
import json
import re
import os
import subprocess

import pytest

from fake_daemon import ROLLOUT, backend, drain, drained, error, rollout, service, step_done

COMMANDS = ["run", "check", "status", "watch", "rollout", "pause", "resume", "promote", "abort", "confirm",
            "history", "report", "note", "weight", "drain", "version", "help"]


def test_help_lists_every_command_and_teaches(run):
    result = run("--help")
    assert result.code == 0
    for command in COMMANDS[:-1]:
        assert "\n  %s " % command in result.out
    assert "first five minutes" in result.out and "SLUICE_ADMIN" in result.out


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_examples_and_exit_codes(run, command):
    result = run(command, "--help")
    assert result.code == 0
    assert "Examples\n  sluice %s" % command in result.out
    assert "Exit codes\n  0  " in result.out
    assert run("help", command).out == result.out


@pytest.mark.parametrize("words, hint", [
    ((), "say what to do"),
    (("rolout", "web"), "did you mean 'rollout'?"),
    (("frobnicate",), "`sluice --help` lists them"),
    (("status", "--jsn"), "did you mean '--json'?"),
    (("rollout", "web", "--imgae", "x"), "did you mean '--image'?"),
    (("status", "--nothing-like-it"), "`sluice status --help` lists them"),
    (("rollout",), "something is missing"),
    (("rollout", "web"), "--image IMAGE"),
    (("rollout", "web", "--image"), "--image needs a value"),
    (("status", "--json=yes"), "--json takes no value"),
    (("weight", "web"), "something is missing"),
    (("weight", "web", "101"), "is no weight"),
    (("weight", "web", "-1"), "there is no option"),
    (("status", "a", "b"), "one word too many"),
    (("history", "--limit", "0"), "--limit '0'"),
    (("history", "--limit", "201"), "--limit '201' is no number from 1 to 200"),
    (("rollout", "web", "--image", "x", "--steps", "5,50"), "must end at 100"),
    (("rollout", "web", "--image", "x", "--steps", "50,5,100"), "'5' is no weight"),
    (("rollout", "web", "--image", "x", "--steps", "5,,100"), "is no weight"),
    (("rollout", "web", "--image", "x", "--steps", "5,100,"), "must end at 100"),
    (("rollout", "web", "--image", "x", "--interval", "soon"), "is no duration"),
    (("help", "frobnicate"), "there is no command"),
    (("run", "x.yaml", "--workers", "0"), "--workers '0'"),
])
def test_wrong_usage_is_2_and_says_what_to_do(run, daemon, words, hint):
    result = run(*words)
    assert result.code == 2, result
    assert result.err.startswith("sluice: ") and hint in result.err
    assert result.out == ""
    assert daemon.requests == []


def test_version(run):
    result = run("version")
    assert result.code == 0 and result.out.startswith("sluice 0.")
    assert "version" in json.loads(run("version", "--json").out)


@pytest.mark.parametrize("words", [
    ("status",), ("status", "web"), ("rollout", "web", "--image", "web:v2"), ("watch",),
    ("watch", "web", "--once"), ("pause", "web"), ("resume", "web"), ("promote", "web"),
    ("abort", "web"), ("confirm", "web"),
    ("report", "web"), ("note", "web", "x"), ("history",), ("history", "web"), ("weight", "web", "5"), ("drain", "web")])
def test_no_daemon_is_4_and_says_how_to_start_one(run, daemon, words):
    daemon.stop()
    result = run(*words)
    assert result.code == 4, result
    assert "nobody listens on it any more" in result.err
    assert "sluice run CONFIG --admin %s" % daemon.path in result.err
    os.unlink(daemon.path)
    result = run(*words)
    assert result.code == 4, result
    assert "there is no socket of this name" in result.err


def test_the_socket_may_come_from_the_environment(sluice, daemon):
    daemon.answers["GET", "/v1/services"] = 200, {"services": []}
    result = subprocess.run([sluice, "status"], env={**os.environ, "SLUICE_ADMIN": daemon.path},
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stdout == "no services\n"


def test_status_is_a_table_that_aligns(run, daemon):
    daemon.answers["GET", "/v1/services"] = 200, {"services": [
        service("web", weight=25, rollout=ROLLOUT, state="rollout"),
        service("größer-日本", state="no-backends", message="no container carries the label",
                replicas=0, healthy=0)]}
    result = run("status")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0].split() == ["SERVICE", "STATE", "STABLE", "WEIGHT", "HEALTHY", "CANARY",
                                "REQUESTS", "MESSAGE"]
    assert lines[1].split() == ["web", "rollout", "web:v1", "25%", "2/2", "-", "12345"]
    assert lines[2].endswith("no container carries the label")
    # 日 and 本 are two columns wide each, so the line has two characters less before STATE.
    assert lines[0].index("STATE") == lines[1].index("rollout") == lines[2].index("no-backends") + 2
    assert "web-1" in result.out and "400us" in result.out and "2.1ms" in result.out
    assert "\033" not in result.out


def test_status_of_one_service(run, daemon):
    unhealthy = backend("web-1", health="unhealthy", reason="status 500, wanted 200-399")
    value = service()
    value["groups"]["stable"]["backends"][0] = unhealthy
    daemon.answers["GET", "/v1/services/web"] = 200, value
    result = run("status", "web")
    assert result.code == 0 and "unhealthy" in result.out
    assert "status 500, wanted 200-399" in result.out
    assert json.loads(run("status", "web", "--json").out) == value


def test_status_tells_of_match_and_mirror_where_there_is_any(run, daemon):
    value = service(match={"header": {"name": "X-Canary", "value": "always"}}, mirror=12.5,
                    mirrored={"sent": 40, "compared": 38, "status_differs": 2, "body_differs": 1, "failed": 0})
    daemon.answers[("GET", "/v1/services/web")] = (200, value)
    lines = run("status", "web").out.splitlines()
    assert lines[-2].split() == ["SERVICE", "MATCH", "MIRROR", "COPIES", "COMPARED", "OTHER", "STATUS", "OTHER", "BODY",
                                 "FAILED"]
    assert lines[-1].split() == ["web", "header", "X-Canary:", "always", "12.5%", "40", "38", "2", "1", "0"]
    daemon.answers[("GET", "/v1/services/web")] = (200, service(match="none", mirror=0, mirrored={"sent": 0}))
    assert "MIRROR" not in run("status", "web").out


def test_status_tells_what_was_refused_and_nothing_where_nothing_was(run, daemon):
    answer = {"services": [service("web")], "refusals": {"bad-request": 12, "tls": 0, "rate": 3000}}
    daemon.answers["GET", "/v1/services"] = 200, answer
    assert [line.split() for line in run("status").out.splitlines()[-3:]] == [
        ["REFUSED", "TIMES"], ["bad-request", "12"], ["rate", "3000"]]
    assert json.loads(run("status", "--json").out) == answer
    for none in ({}, {"tls": 0}):
        daemon.answers["GET", "/v1/services"] = 200, {"services": [service("web")], "refusals": none}
        assert "REFUSED" not in run("status").out


def test_control_bytes_of_others_never_reach_the_terminal(run, daemon):
    daemon.answers["GET", "/v1/services"] = 200, {"services": [service("web", message="a\x1b[2Jb\rc")]}
    result = run("status")
    assert "\x1b" not in result.out and "\r" not in result.out
    assert "a?[2Jb?c" in result.out


def test_an_unknown_service_is_2_with_the_daemons_words(run, daemon):
    words = "there is no service 'wbe'; there are: web"
    daemon.answers["GET", "/v1/services/wbe"] = error(404, "no-such-service", words)
    result = run("status", "wbe")
    assert result.code == 2 and result.err == "sluice: %s\n" % words
    result = run("status", "wbe", "--json")
    assert json.loads(result.out)["error"]["code"] == "no-such-service"


def test_an_answer_that_is_no_json_is_an_error(run, daemon):
    daemon.answers["GET", "/v1/services"] = 200, b"<html>"
    result = run("status")
    assert result.code == 1 and "not JSON" in result.err


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_verbs_take_a_service_or_an_id(run, daemon, verb):
    daemon.answers["GET", "/v1/services/web"] = 200, service(rollout=ROLLOUT)
    daemon.answers["POST", "/v1/rollouts/%s/%s" % (ROLLOUT, verb)] = 200, rollout(
        "paused", weight=25, step=1)
    result = run(verb, "web")
    assert result.code == 0, result
    told = {"abort": "rollout %s of web goes back to web:v1; `sluice watch web` shows it\n",
            "promote": "rollout %s of web: paused at 25%%, step 2 of 3; the pause it is in, or the next one, ends\n"}
    assert result.out == told.get(verb, "rollout %s of web: paused at 25%%, step 2 of 3\n") % ROLLOUT
    assert daemon.requests[-1] == ("POST", "/v1/rollouts/%s/%s" % (ROLLOUT, verb), None)
    result = run(verb, ROLLOUT, "--json")
    assert result.code == 0 and json.loads(result.out)["state"] == "paused"


@pytest.mark.parametrize("status, code", [(409, 3), (404, 2), (500, 1)])
@pytest.mark.parametrize("words", [("pause", "web"), ("abort", ROLLOUT), ("report", "web"), ("note", "web", "x")])
def test_errors_are_json_for_programs_and_words_for_people(run, daemon, status, code, words):
    daemon.answers["GET", "/v1/services/web"] = 200, service(rollout=ROLLOUT)
    daemon.answers["GET", "/v1/services/" + ROLLOUT] = error(404, "not-found", "no such service")
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": [rollout()]}
    path = {"report": "report", "note": "notes"}.get(words[0], words[0])
    daemon.answers["GET" if path == "report" else "POST", "/v1/rollouts/%s/%s" % (ROLLOUT, path)] = error(status, "odd", "it is odd")
    result = run(*words, "--json")
    assert result.code == code and json.loads(result.out)["error"]["message"] == "it is odd"
    assert "it is odd" in result.err or "there is no service and no rollout" in result.err


def test_a_dry_run_tells_limits_as_they_are(run, daemon):
    settings = {"memory_bytes": 512 << 20, "nano_cpus": 128 * 10**9, "networks": ["front", "back"]}
    plan = {"service": "web", "strategy": "canary", "image": "web:v2", "would": "begin", "actions": [], "checks": [],
            "running": [{"name": "web-1", "image": "web:v1", "image_id": "sha256:" + "a" * 64, "digest": "", "settings": settings}]}
    daemon.answers["POST", "/v1/services/web/rollouts"] = 200, plan
    result = run("rollout", "web", "--image", "web:v2", "--dry-run")
    assert result.code == 0 and "512.0 MiB, 128 CPUs" in result.out and "front, back" in result.out
    settings["nano_cpus"] = 1_250_000_000
    assert "1.25 CPUs" in run("rollout", "web", "--image", "web:v2", "--dry-run").out


def test_a_verb_says_nothing_of_what_was_waited_for_before_it(run, daemon):
    daemon.answers["POST", "/v1/rollouts/%s/resume" % ROLLOUT] = 200, rollout(
        weight=100, step=3, waiting="paused by an operator: `sluice resume` goes on")
    result = run("resume", ROLLOUT)
    assert result.out == "rollout %s of web: running at 100%%, step 3 of 3\n" % ROLLOUT


@pytest.mark.parametrize("verb", ["pause", "resume", "promote", "abort"])
def test_a_verb_that_does_not_apply_is_3(run, daemon, verb):
    words = "rollout %s is completed; there is nothing to do" % ROLLOUT
    daemon.answers["POST", "/v1/rollouts/%s/%s" % (ROLLOUT, verb)] = error(
        409, "not-applicable", words)
    result = run(verb, ROLLOUT)
    assert result.code == 3 and result.err == "sluice: %s\n" % words
    daemon.answers["GET", "/v1/services/web"] = 200, service()
    result = run(verb, "web")
    assert result.code == 3 and "no rollout in progress" in result.err
    result = run(verb, "nothing")
    assert result.code == 2 and "no service and no rollout 'nothing'" in result.err


def test_weight(run, daemon):
    daemon.answers["POST", "/v1/services/web/weight"] = lambda query, body: (
        200, service(weight=body["weight"], static=True))
    result = run("weight", "web", "0.25")
    assert result.code == 0 and "0.25% of its traffic" in result.out
    assert daemon.requests[-1][2] == {"weight": 0.25}
    assert run("weight", "web", "10%").code == 0
    assert daemon.requests[-1][2] == {"weight": 10}
    assert json.loads(run("weight", "web", "0", "--json").out)["weight"] == 0
    daemon.answers["POST", "/v1/services/web/weight"] = error(409, "not-static", "web is discovered")
    assert run("weight", "web", "5").code == 3


def test_drain_lists_what_holds(run, daemon):
    daemon.answers["GET", "/v1/services/web/drains"] = 200, {"drains": [drain("web-1", hold_total=3)]}
    result = run("drain", "web")
    assert result.code == 0
    assert "web-1  waited 1.2s, 28.8s left, then close; 1 active" in result.out
    assert "GET /slow" in result.out and "127.0.0.1:40000" in result.out
    assert re.search(r"72057594037927937 +request .* 28.8s +- +0$", result.out, re.MULTILINE)
    assert "and 2 more" in result.out
    assert json.loads(run("drain", "web", "--json").out)["drains"][0]["hold_total"] == 3
    daemon.answers["GET", "/v1/services/web/drains"] = 200, {"drains": []}
    assert run("drain", "web").out == "nothing of web is draining\n"


def test_drain_orders(run, daemon):
    daemon.answers["POST", "/v1/services/web/drains"] = 200, {"drains": [drain("web-1")]}
    for arguments, body in ((["--end", "72057594037927937"], {"end": "72057594037927937"}),
                            (["--end", "websockets"], {"end_kind": "websockets"}),
                            (["--extend", "5m"], {"extend": "5m"}),
                            (["--extend", "websockets=5m"], {"extend": {"websockets": "5m"}})):
        result = run("drain", "web", *arguments)
        assert result.code == 0 and "web-1  waited" in result.out, result
        assert daemon.requests[-1] == ("POST", "/v1/services/web/drains", body)
    for arguments in (["--extend", "soon"], ["--extend", "tcp=0s"], ["--extend", "5m", "--end", "tcp"]):
        assert run("drain", "web", *arguments).code == 2
    daemon.answers["POST", "/v1/services/web/drains"] = error(409, "not-applicable", "nothing of web is draining")
    result = run("drain", "web", "--end", "all")
    assert result.code == 3 and "nothing of web is draining" in result.err


def test_drain_watches_until_nothing_drains(run, daemon):
    answers = [{"drains": [drain("web-1", waited_ms=1000)]}, {"drains": [drain("web-1", waited_ms=2000)]}, {"drains": []}]
    daemon.answers["GET", "/v1/services/web/drains"] = lambda query, body: (200, answers.pop(0))
    result = run("drain", "web", "--watch")
    assert result.code == 0 and answers == []
    assert "waited 1.0s" in result.out and "waited 2.0s" in result.out
    assert result.out.endswith("nothing of web is draining\n")


def test_drain_is_ended_and_watched(run, daemon):
    answers = [{"drains": [drain("web-1", waited_ms=2000)]}, {"drains": []}]
    daemon.answers["POST", "/v1/services/web/drains"] = 200, {"drains": [drain("web-1", waited_ms=1000)]}
    daemon.answers["GET", "/v1/services/web/drains"] = lambda query, body: (200, answers.pop(0))
    result = run("drain", "web", "--end", "all", "--watch")
    assert result.code == 0 and answers == []
    assert "waited 1.0s" in result.out and "waited 2.0s" in result.out


def test_history_lists_and_shows_one(run, daemon):
    full = rollout("rolled_back", why="web-1 stayed unhealthy", duration_ms=61000,
                   ended="2026-11-23T05:16:01.000Z", reason="new checkout",
                   steps=[step_done(0, 5, 1000, 50)], drains=[drained("web-1", "a")],
                   log=[{"time": "2026-11-23T05:15:00Z", "event": "create", "message": "web-1"}])
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": [full]}
    daemon.answers["GET", "/v1/rollouts/" + ROLLOUT] = 200, full
    daemon.answers["GET", "/v1/services/web"] = 200, service()
    result = run("history")
    assert result.code == 0 and "web-1 stayed unhealthy" in result.out
    assert "2026-11-23 05:15:00" in result.out and "1m 01s" in result.out
    assert daemon.requests[-1][1] == "/v1/rollouts?limit=20"
    assert run("history", "web", "--limit", "5").code == 0
    assert daemon.requests[-1][1] == "/v1/rollouts?service=web&limit=5"
    result = run("history", ROLLOUT)
    assert result.code == 0
    for text in ("rolled back rollout " + ROLLOUT, "set weight 5%", "5.00%", "1.2ms", "PROOF",
                 "new checkout", "sha256:2"):
        assert text in result.out
    assert json.loads(run("history", ROLLOUT, "--json").out) == full
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": []}
    assert run("history").out == "no rollouts yet\n"
    assert run("history", "nothing").code == 2


GOOD = '{"listeners": {"web": {"address": "127.0.0.1:8080"}}, "services": {"web": {"backends": ["127.0.0.1:9000"]}}}'
BAD = GOOD.replace('"backends"', '"backend"')


def test_a_report_is_text_of_a_services_newest_rollout_or_of_an_id(run, daemon):
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": [rollout(id="20261123-1")]}
    daemon.answers["GET", "/v1/rollouts/20261123-1/report"] = 200, b"# web\n"
    assert run("report", "web").out == "# web\n"
    assert daemon.requests[-1][1].endswith("/report?format=markdown")
    daemon.answers["GET", "/v1/rollouts"] = error(404, "no-such-service", "there is no service")
    assert run("report", "20261123-1").out == "# web\n"
    daemon.answers["GET", "/v1/rollouts/20261123-1/report"] = 200, {"id": "20261123-1"}
    assert json.loads(run("report", "20261123-1", "--json").out) == {"id": "20261123-1"}
    result = run("report", "20261123-1")  # JSON where text was asked for
    assert result.code == 1 and "is no text" in result.err


def test_a_note_is_sent_with_the_newest_rollout(run, daemon):
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": [rollout(id="20261123-1")]}
    daemon.answers["POST", "/v1/rollouts/20261123-1/notes"] = 201, rollout(id="20261123-1")
    assert "noted with rollout 20261123-1" in run("note", "web", "slow at 25%").out
    assert daemon.requests[-1][2] == {"message": "slow at 25%"}
    assert "next rollout's start" in run("note", "web", "migrate", "--lesson").out
    assert daemon.requests[-1][2] == {"message": "migrate", "lesson": True}
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": []}
    result = run("note", "web", "x")
    assert result.code == 3 and "no rollout yet" in result.err


def test_confirm_says_yes_to_one(run, daemon):
    daemon.answers["GET", "/v1/rollouts"] = 200, {"rollouts": [rollout(id="20261123-1")]}
    daemon.answers["POST", "/v1/rollouts/20261123-1/confirm"] = 200, rollout(id="20261123-1")
    assert "confirmed; rollout 20261123-1 of web goes on" in run("confirm", "web").out
    assert daemon.requests[-1][2] is None
    assert run("confirm", "web", "--name", "desk").code == 0
    assert daemon.requests[-1][2] == {"name": "desk"}
    daemon.answers["POST", "/v1/rollouts/20261123-1/confirm"] = error(409, "not-applicable", "nothing waits")
    result = run("confirm", "web")
    assert result.code == 3 and "nothing waits" in result.err


def test_check_says_what_is_wrong(run, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(GOOD)
    bad.write_text(BAD)
    result = run("check", str(good))
    assert result.code == 0 and "1 listener, 1 service" in result.out
    assert "127.0.0.1:8080" in result.out
    assert json.loads(run("check", str(good), "--json").out) == {"ok": True, "errors": []}
    assert json.loads(run("check", str(good), "--canonical").out)["services"]["web"]["backends"]
    result = run("check", str(bad))
    assert result.code == 2 and "backend" in result.err and result.out == ""
    answer = json.loads(run("check", str(bad), "--json").out)
    assert answer["ok"] is False and len(answer["errors"]) >= 1
    assert run("check", str(tmp_path / "none.json")).code == 2


def test_run_becomes_the_supervisor(run, tmp_path):
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(GOOD)
    bad.write_text(BAD)
    stand_in = tmp_path / "sluice-supervisor"
    stand_in.write_text('#!/bin/sh\necho "$$ $@"\nexit 7\n')
    stand_in.chmod(0o755)
    result = run("run", str(good), "--state", "s", "--engine", "unix:///e.sock", "--workers", "2",
                 "--endpoints", "e.json", SLUICE_LIBEXEC=str(tmp_path))
    assert result.code == 7
    words = result.out.split()[1:]
    assert words[:4] == ["--config", str(good), "--state", "s"]
    assert words[4] == "--admin" and words[6:] == ["--engine", "unix:///e.sock", "--workers", "2",
                                                  "--endpoints", "e.json"]
    result = run("run", str(bad), SLUICE_LIBEXEC=str(tmp_path))
    assert result.code == 2 and result.out == "" and "backend" in result.err
    result = run("run", str(good), SLUICE_LIBEXEC=str(tmp_path / "nowhere"))
    assert result.code == 1 and "SLUICE_LIBEXEC" in result.err
