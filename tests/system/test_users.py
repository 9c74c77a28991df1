"""Users of a sticky service keep to their version, whatever dies, is read again or starts anew."""
import http.client
import json
import os
import signal
import stat

import pytest

from test_static import config_of

STICKY = {"sticky": {"cookie": "shop_user"}}


class Users:
    """Some browsers, each with its own cookie."""

    def __init__(self, sluice, count):
        self.cookies = []
        for _ in range(count):
            _, headers, _ = sluice.get()
            self.cookies.append(headers["Set-Cookie"].split(";")[0])

    def places(self, sluice):
        """Who answers each of them; nobody is given another cookie."""
        places = []
        for cookie in self.cookies:
            status, headers, body = sluice.get(headers={"Cookie": cookie})
            assert (status, headers["Set-Cookie"]) == (200, None)
            places.append(body)
        return places


def wait_reloaded(sluice):
    after = sluice.log_position()
    sluice.signal(signal.SIGHUP)
    sluice.wait_log("event=reload-completed", after)


def test_users_keep_their_version_over_crashes_reloads_and_restarts(start_sluice, start_backend, tmp_path):
    old, new = start_backend("old"), start_backend("new")
    config = config_of([old], [new], **STICKY)
    state = tmp_path / "kept"
    first = start_sluice(config, "--state", state)
    first.wait_healthy("web", 2)
    users = Users(first, 60)
    assert set(users.places(first)) == {b"old"}
    first.cli("weight", "web", "30")
    first.wait_adopted()
    places = users.places(first)
    assert 6 <= places.count(b"new") <= 32
    for row in first.service("web")["split"]:
        assert (row["by"], row["error"]) == ("user", None)

    for pid in (first.worker_pids()[0], first.pid("updater")):
        after = first.log_position()
        first.kill(pid)
        first.wait_log("event=worker-started" if pid != first.pid("updater") else "event=updater-started", after)
        first.wait_adopted()
        assert users.places(first) == places
    wait_reloaded(first)
    first.wait_adopted()
    assert users.places(first) == places
    first.close()

    second = start_sluice(config, "--state", state)
    second.wait_healthy("web", 2)
    second.wait_adopted()
    assert users.places(second) == places

    before = places
    for weight in ("50", "80", "100"):
        second.cli("weight", "web", weight)
        second.wait_adopted()
        now = users.places(second)
        assert all(a == b or (a, b) == (b"old", b"new") for a, b in zip(before, now))
        before = now
    assert set(before) == {b"new"}
    second.cli("weight", "web", "0")
    second.wait_adopted()
    assert set(users.places(second)) == {b"old"}
    second.cli("weight", "web", "30")
    second.wait_adopted()
    assert users.places(second) != places  # others come first this time


def test_the_secret_is_kept_to_the_state_folder(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("old")], **STICKY))
    secret = sluice.folder / "state" / "secret"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600 and len(secret.read_bytes()) == 32
    told = json.dumps([sluice.api("GET", "/services"), sluice.api("GET", "/healthz"), sluice.log.all])
    assert secret.read_bytes().hex() not in told


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_broken_secret_is_replaced(start_sluice, start_backend, tmp_path, content):
    state = tmp_path / "kept"
    state.mkdir(mode=0o700)
    (state / "secret").write_bytes(content)
    sluice = start_sluice(config_of([start_backend("old")], **STICKY), "--state", state)
    sluice.wait_healthy("web", 1)
    secret = (state / "secret").read_bytes()
    assert len(secret) == 32 and secret != content
    users = Users(sluice, 3)
    os.unlink(state / "secret")  # what is published counts until it is gone too
    after = sluice.log_position()
    sluice.kill(sluice.pid("updater"))
    sluice.wait_log("event=updater-started", after)
    assert (state / "secret").read_bytes() == secret
    users.places(sluice)
