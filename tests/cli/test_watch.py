"""`sluice watch`: plain blocks, and the whole screen in a real terminal."""
import os
import shutil
import signal
import subprocess
import time

import pytest

from fake_daemon import ROLLOUT, backend, drain, error, rollout, service, step_done


def busy():
    value = service(weight=25, rollout=ROLLOUT, state="rollout", replicas=3, healthy=2)
    value["groups"]["canary"] = {"image": "web:v2", "image_id": "sha256:2", "backends": [
        backend("web-1-new", 2, "canary", health="unhealthy", reason="status 500")]}
    value["groups"]["stable"]["backends"][1].update(state="draining", drain=drain("web-2"))
    return value


def steps():
    return [step_done(0, 5, 1000, 50),
            {"index": 1, "pause_ms": 30000, "state": "running", "started": None, "ended": None},
            {"index": 2, "set_weight": 100, "state": "pending", "started": None, "ended": None}]


@pytest.fixture
def scene(daemon):
    daemon.answers["GET", "/v1/services/web"] = 200, busy()
    daemon.answers["GET", "/v1/services"] = 200, {"services": [busy(), service("shop")]}
    daemon.answers["GET", "/v1/rollouts/" + ROLLOUT] = 200, rollout(
        weight=25, steps=steps(), waiting="for the pause to end")
    return daemon


def test_once_prints_one_frame(scene, run):
    result = run("watch", "web", "--once")
    assert result.code == 0, result
    for text in ("web  http  rollout  2/3 healthy", "█", "web:v2", "✖ unhealthy", "status 500",
                 "DRAINING", "web-2", "28.8s left, then close", "GET /slow", "ROLLOUT " + ROLLOUT,
                 "✔ set weight 5%", "॥ pause 30.0s", "○ set weight 100%", "waiting for the pause"):
        assert text in result.out, text
    result = run("watch", "--once")
    assert "shop  http  steady" in result.out


def test_without_utf8_it_is_ascii(scene, run):
    result = run("watch", "web", "--once", LC_ALL="C")
    assert result.code == 0 and result.out.isascii()
    assert "+ set weight 5%" in result.out and "####" in result.out


def test_an_unknown_service_is_2(daemon, run):
    daemon.answers["GET", "/v1/services/wbe"] = error(404, "no-such-service", "there is: web")
    result = run("watch", "wbe")
    assert result.code == 2 and "there is: web" in result.err


def test_prints_block_after_block_where_it_is_no_terminal(scene, start):
    follower = start("watch", "web")
    scene.wait_for(lambda d: len(d.streams) == 1)
    changed = busy()
    changed["message"] = "as the event says"
    scene.answers["GET", "/v1/services/web"] = 200, changed
    follower.wait_line("as the event says")
    follower.process.send_signal(signal.SIGINT)
    result = follower.end()
    assert result.code == 0 and result.out.count("DRAINING") >= 2


class Terminal:
    def __init__(self, folder, command, environment):
        self.base = ["tmux", "-u", "-S", str(folder / "tmux.sock"), "-f", "/dev/null"]
        words = ["env", *["%s=%s" % pair for pair in environment.items()], *command]
        subprocess.run([*self.base, "new-session", "-d", "-x", "110", "-y", "40",
                        "; ".join([" ".join(words), "echo ended $?", "exec cat"])], check=True)

    def tmux(self, *words):
        return subprocess.run([*self.base, *words], check=True, capture_output=True,
                              text=True).stdout

    def text(self):
        return self.tmux("capture-pane", "-p")

    def wait_text(self, text, seconds=20):
        """A terminal tells nobody that it was drawn on: it is looked at until the text is there."""
        end = time.monotonic() + seconds
        shown = self.text()
        while text not in shown and time.monotonic() < end:
            shown = self.text()
        return shown

    def close(self):
        subprocess.run([*self.base, "kill-server"], check=False, capture_output=True)


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_fills_the_screen_follows_events_resizes_and_quits(scene, sluice, tmp_path):
    terminal = Terminal(tmp_path, [sluice, "watch", "web", "--admin", scene.path],
                        {"LC_ALL": "C.UTF-8", "TERM": "screen"})

    def wait_text(text):
        shown = terminal.wait_text(text)
        assert text in shown, shown
        return shown

    try:
        shown = wait_text("q quits")
        assert "✔ set weight 5%" in shown and "█" in shown and "DRAINING" in shown
        changed = busy()
        changed["message"] = "as the event says"
        scene.answers["GET", "/v1/services/web"] = 200, changed
        scene.publish("service", changed)
        wait_text("as the event says")
        scene.publish("rollout_paused", rollout("paused", weight=25, steps=steps()))
        wait_text("paused")
        terminal.tmux("resize-window", "-x", "60", "-y", "12")
        shown = wait_text("q quits")
        assert len(shown.rstrip("\n").split("\n")) <= 12
        scene.stop()
        wait_text("no daemon")
        scene.restart()
        wait_text("q quits, up")
        terminal.tmux("send-keys", "q")
        wait_text("ended 0")
    finally:
        terminal.close()
