"""`sluice rollout`, followed to each of its ends, and through a daemon that goes away."""
import json
import signal
import threading

import pytest

from fake_daemon import ROLLOUT, backend, drain, drained, error, rollout, service, step_done

PATH = "/v1/rollouts/" + ROLLOUT


@pytest.fixture
def follow(daemon, start):
    """Starts `sluice rollout web`; returns it once it follows and has asked for the rollout."""
    daemon.answers["POST", "/v1/services/web/rollouts"] = 201, rollout()
    daemon.answers["GET", PATH] = 200, rollout()

    def begin(*words):
        follower = start("rollout", "web", "--image", "web:v2", *words)
        daemon.wait_for(lambda d: any(r[1] == PATH for r in d.requests))
        return follower

    return begin


def container(name, identity, **changes):
    return {"name": name, "id": identity, "ordinal": 0, "new": True, "state": "running",
            "backend": "ready", "health": "healthy", **changes}


STEPS_DONE = [step_done(0, 5, 1000, 50), step_done(1), step_done(2, 100, 500, 500)]


def test_follows_to_completion(daemon, follow):
    follower = follow("--steps", "5,100", "--interval", "30s", "--reason", "new checkout")
    assert daemon.requests[0] == ("POST", "/v1/services/web/rollouts", {
        "image": "web:v2", "reason": "new checkout",
        "steps": [{"set_weight": 5}, {"pause": "30s"}, {"set_weight": 100}]})
    assert daemon.streams == [("web", None)]
    follower.wait_line("web: web:v1 → web:v2, 1 replicas, 3 steps; rollout " + ROLLOUT)
    daemon.publish("container_created", {"service": "web", "rollout": ROLLOUT, "container": "n1",
                                         "name": "web-1-new", "new": True})
    new = [container("web-1-new", "n1", health="starting")]
    daemon.publish("rollout_updated", rollout(containers=new,
                                              waiting="for web-1-new to become healthy (1 s)"))
    follower.wait_line("waiting for web-1-new to become healthy")
    daemon.publish("rollout_updated", rollout(containers=new,
                                              waiting="for web-1-new to become healthy (2 s)"))
    daemon.publish("backend_health", {"service": "web", "backend": backend("web-1-new", 2, "canary")})
    follower.wait_line("web-1-new is healthy")
    new = [container("web-1-new", "n1")]
    daemon.publish("rollout_updated", rollout(containers=new, weight=5))
    follower.wait_line("5% of the traffic goes to the new version, before: 0%")
    steps = STEPS_DONE[:1] + [{"index": 1, "pause_ms": 30000, "state": "running"}]
    daemon.publish("rollout_step_completed", rollout(containers=new, weight=5, step=1, steps=steps))
    follower.wait_line("step 1 of 2 done: set weight 5%")
    follower.wait_line("step 2 of 2: pause 30.0s")
    old = drained("web-1", "o1", drained=None, stopped=None, removed=None)
    daemon.publish("drain_started", {"service": "web", "rollout": ROLLOUT, "drain": old})
    follower.wait_line("draining web-1 (old version)")
    held = service()
    held["groups"]["stable"]["backends"][0]["drain"] = drain("web-1", waited_ms=12000)
    daemon.publish("service", held)
    follower.wait_line("web-1 still has 1 active (1 requests), 28.8s left")
    # somebody else's is none of our business
    daemon.publish("rollout_completed", rollout("completed", id="20261123-000000-0000"))
    done = rollout("completed", containers=new, weight=100, steps=STEPS_DONE, duration_ms=65000,
                   drains=[drained("web-1", "o1")])
    daemon.publish("rollout_completed", done)
    follower.wait_line("step 2 of 3 done: pause 30.0s; 50 of 1000 requests went to the new version")
    result = follower.end()
    assert result.code == 0, result
    assert result.out.count("created web-1-new") == 1
    assert result.out.count("web-1-new is healthy") == 1
    assert result.out.count("waiting for web-1-new") == 1
    assert "drained web-1 in 2.1s, noticed 1.2ms after its last exchange" in result.out
    assert "stopped web-1\n" in result.out and "removed web-1\n" in result.out
    summary = result.out[result.out.index("completed rollout"):]
    assert "web:v1 → web:v2, in 1m 05s" in summary
    assert "5.00%" in summary and "2.5s" in summary and "1.2ms" in summary
    assert result.err == ""


def test_a_rollback_is_1_and_says_why(daemon, follow):
    follower = follow()
    assert daemon.requests[0][2] == {"image": "web:v2"}
    daemon.publish("rollout_updated", rollout("rolling_back", why="web-1-new: status 500"))
    follower.wait_line("rolling back: web-1-new: status 500")
    daemon.publish("rollout_rolled_back", rollout("rolled_back", why="web-1-new: status 500"))
    result = follower.end()
    assert result.code == 1
    assert "rolled back rollout" in result.out and "web-1-new: status 500" in result.out


@pytest.mark.parametrize("state, code", [("needs_attention", 1), ("aborted", 5), ("completed", 0)])
def test_each_end_has_its_exit_code(daemon, follow, state, code):
    follower = follow()
    daemon.publish("rollout_" + state, rollout(state))
    assert follower.end().code == code


def test_an_end_before_the_stream_opened_is_seen(daemon, start):
    daemon.answers["POST", "/v1/services/web/rollouts"] = 201, rollout()
    daemon.answers["GET", PATH] = 200, rollout("completed")
    assert start("rollout", "web", "--image", "web:v2").end().code == 0


def test_json_is_the_rollout_at_its_end(daemon, follow):
    follower = follow("--json")
    daemon.publish("rollout_updated", rollout(weight=5))
    done = rollout("completed", weight=100)
    daemon.publish("rollout_completed", done)
    result = follower.end()
    assert result.code == 0 and json.loads(result.out) == done


def test_detach_returns_at_once(daemon, run):
    daemon.answers["POST", "/v1/services/web/rollouts"] = 201, rollout()
    result = run("rollout", "web", "--image", "web:v2", "--interval", "1m", "--detach")
    assert result.code == 0 and "started rollout %s of web" % ROLLOUT in result.out
    assert [s for s in daemon.requests[0][2]["steps"] if "pause" in s] == [{"pause": "1m"}] * 3
    result = run("rollout", "web", "--image", "web:v2", "--detach", "--json")
    assert json.loads(result.out)["id"] == ROLLOUT
    assert daemon.streams == []


@pytest.mark.parametrize("answer, code", [
    (error(409, "rollout-in-progress", "web has a rollout in progress"), 3),
    (error(422, "no-such-image", "the engine has no image web:v9"), 3),
    (error(503, "engine-unreachable", "the engine does not answer"), 3),
    (error(502, "engine", "no space left on device"), 3),
    (error(404, "no-such-service", "there is no service web"), 2),
    (error(400, "bad-steps", "steps must end at 100"), 2),
    (error(500, "oops", "something broke"), 1),
])
def test_a_refusal_is_told_in_the_daemons_words(daemon, run, answer, code):
    daemon.answers["POST", "/v1/services/web/rollouts"] = answer
    result = run("rollout", "web", "--image", "web:v2")
    assert result.code == code, result
    assert result.err == "sluice: %s\n" % answer[1]["error"]["message"]
    assert result.out == "" and daemon.streams == []


def pull(**changes):
    value = {"image": "web:v2", "state": "pulling", "started": "2026-11-23T05:15:00.000Z", "attempt": 1, "attempts": 5,
             "error": None, "layers": 5, "layers_done": 2, "bytes": 12 << 20, "bytes_total": 80 << 20,
             "percent": 15, "bytes_per_s": 3 << 20, "left_ms": 21400}
    value.update(changes)
    return value


class SlowDaemon:
    """One whose answer to the rollout waits until it is told."""

    def __init__(self, daemon, answer):
        self.daemon, self.answer, self.pull = daemon, answer, None
        self.open = threading.Event()
        daemon.answers["POST", "/v1/services/web/rollouts"] = lambda query, body: self.wait()
        daemon.answers["GET", "/v1/services/web"] = lambda query, body: (200, service(pull=self.pull))
        daemon.answers["POST", "/v1/services/web/abort"] = 200, service()
        daemon.answers["GET", PATH] = 200, rollout("completed")

    def wait(self):
        assert self.open.wait(20)
        return self.answer


def test_a_pull_is_shown_a_line_for_each_tenth(daemon, start):
    slow = SlowDaemon(daemon, (201, rollout()))
    follower = start("rollout", "web", "--image", "web:v2", "--pull", "always")
    slow.pull = pull(state="authorizing", layers=0, percent=0)
    follower.wait_line("pulling web:v2: asking for credentials")
    slow.pull = pull()
    follower.wait_line("pulling web:v2: 2 of 5 layers, 12.0 MiB of 80.0 MiB, 15%, 3.0 MiB/s, 21")
    slow.pull = pull(percent=16, bytes_total=None, left_ms=None)
    slow.daemon.wait_for(lambda d: sum(r[1] == "/v1/services/web" for r in d.requests) >= 4)
    slow.pull = pull(state="retrying", error="the pull stalled", retry_in_ms=900)
    follower.wait_line("pulling web:v2: the pull stalled; try 2 of 5 in 900ms")
    slow.open.set()
    result = follower.end()
    assert result.code == 0 and result.out.count("pulling web:v2: 2 of 5") == 1, result
    assert daemon.requests[0][2]["pull"] == "always"


def test_a_pull_that_somebody_aborts_is_5(daemon, start):
    slow = SlowDaemon(daemon, error(409, "aborted", "the pull was aborted by root"))
    slow.pull = pull()
    follower = start("rollout", "web", "--image", "web:v2")
    follower.wait_line("pulling web:v2")
    slow.open.set()
    result = follower.end()
    assert result.code == 5 and "aborted by root" in result.err


def test_ctrl_c_in_a_pull_leaves_it_going(daemon, start):
    slow = SlowDaemon(daemon, (201, rollout()))
    slow.pull = pull()
    follower = start("rollout", "web", "--image", "web:v2", "--no-pull")
    follower.wait_line("pulling web:v2")
    follower.process.send_signal(signal.SIGINT)
    result = follower.end()
    slow.open.set()
    assert result.code == 130 and "the pull goes on" in result.err and "sluice abort web" in result.err
    assert daemon.requests[0][2]["pull"] == "never"


def test_a_daemon_that_dies_in_a_pull_is_4_and_nothing_was_changed(daemon, start):
    slow = SlowDaemon(daemon, None)
    slow.pull = pull()
    follower = start("rollout", "web", "--image", "web:v2")
    follower.wait_line("pulling web:v2")
    slow.open.set()  # the handler fails: its connection ends without an answer
    result = follower.end()
    assert result.code == 4 and "nothing was changed" in result.err


def test_abort_ends_a_pull_where_there_is_no_rollout_yet(daemon, run):
    daemon.answers["GET", "/v1/services/web"] = 200, service(pull=pull())
    daemon.answers["POST", "/v1/services/web/abort"] = 200, service()
    result = run("abort", "web")
    assert result.code == 0 and "nothing was changed" in result.out
    assert ("POST", "/v1/services/web/abort", None) in daemon.requests
    result = run("pause", "web")
    assert result.code == 3 and "still being pulled" in result.err


def test_pull_and_no_pull_do_not_go_together(daemon, run):
    assert run("rollout", "web", "--image", "web:v2", "--pull", "always", "--no-pull").code == 2
    assert run("rollout", "web", "--image", "web:v2", "--pull", "often").code == 2


def test_ctrl_c_detaches_and_says_how_to_go_on(daemon, follow):
    follower = follow()
    follower.wait_line("rollout " + ROLLOUT)
    follower.process.send_signal(signal.SIGINT)
    result = follower.end()
    assert result.code == 130
    assert "the rollout goes on" in result.err and "sluice watch web" in result.err
    assert all(request[0] == "GET" for request in daemon.requests[1:])


def test_goes_on_when_the_daemon_comes_back(daemon, follow):
    follower = follow()
    daemon.publish("rollout_updated", rollout(weight=5))
    follower.wait_line("5% of the traffic goes to the new version")
    last = daemon.next_id - 1
    daemon.stop()
    follower.wait_line("lost the daemon", "err")
    daemon.publish("rollout_updated", rollout(weight=50))  # while nobody listens
    daemon.answers["GET", PATH] = 200, rollout(weight=50)
    daemon.restart()
    follower.wait_line("50% of the traffic goes to the new version, before: 5%")
    assert daemon.streams[-1] == ("web", str(last))
    daemon.publish("rollout_completed", rollout("completed", weight=100))
    result = follower.end()
    assert result.code == 0
    assert result.err.count("lost the daemon") == 1
    assert result.out.count("before: 5%") == 1


def test_a_daemon_that_forgot_the_rollout_is_an_error(daemon, follow):
    follower = follow()
    daemon.stop()
    follower.wait_line("lost the daemon", "err")
    daemon.answers["GET", PATH] = error(404, "no-such-rollout", "no")
    daemon.restart()
    result = follower.end()
    assert result.code == 1 and "does not know rollout" in result.err
