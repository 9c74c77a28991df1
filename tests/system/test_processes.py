"""What each process holds and may do, and what the others do when one hangs or the parent dies."""
import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

from sluice import BUILD
from test_static import config_of

INJECT = BUILD / "tests/sluice-inject"
# CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER: sockets and state folders of whomever
FILE_CAPABILITIES = 0b1011


def status_of(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def board_modes(pid):
    """{"sluice-routing": {"r--s"}, ...}: how each board is mapped."""
    modes = {}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.search(r"^\S+ (\S+) .*/memfd:(sluice-\S+)", line)
        if found:
            modes.setdefault(found[2], set()).add(found[1])
    return modes


def held_by(pid):
    """What its descriptors lead to; one that was closed meanwhile does not count."""
    held = []
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            held.append((int(entry.name), os.readlink(entry)))
        except FileNotFoundError:
            pass
    return held


def is_gone(pid):
    try:
        return status_of(pid)["State"][0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


@pytest.fixture
def sluice(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one"), start_backend("two")]))
    sluice.wait_healthy("web", 2)
    return sluice


def test_what_faces_the_network_is_unprivileged(sluice):
    if os.geteuid() != 0:
        pytest.skip("needs root: only root has privileges to give up")
    for pid in [*sluice.worker_pids(), sluice.pid("health")]:
        status = status_of(pid)
        assert "0" not in status["Uid"].split() and "0" not in status["Gid"].split()
        assert status["Groups"] == ""
        assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {0}


def test_the_updater_keeps_the_capabilities_for_files_only(sluice):
    if os.geteuid() != 0:
        pytest.skip("needs root: only root has privileges to give up")
    status = status_of(sluice.pid("updater"))
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == FILE_CAPABILITIES
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0


def test_a_worker_that_leaves_its_sandbox_is_killed_told_of_and_replaced(sluice):
    """Here it is a file that it opens; tests/sandbox has the rest."""
    if not INJECT.exists() or os.geteuid() != 0:
        pytest.skip("needs x86-64, and root for ptrace")
    victim, position = sluice.worker_pids()[0], sluice.log_position()
    sluice.killed.add(victim)
    done = subprocess.run([INJECT, str(victim), "openat", "-100", f"={sluice.folder}/state/journal.db", "0"],
                          capture_output=True, text=True, timeout=20)
    if done.stdout.startswith("returned -"):
        pytest.skip("a build with sanitizers: it may open files, but finds none that it may read")
    assert done.stdout == f"killed {int(signal.SIGSYS)}\n", done.stderr
    sluice.wait_log("event=sandbox-violation syscall=openat", after=position)
    sluice.wait_log(["event=child-killed-by-sandbox", f"pid={victim}"], after=position)
    sluice.wait_log(["event=child-ready", "child=worker"], after=position)
    for _ in range(20):
        assert sluice.get()[0] == 200


def test_no_child_can_gain_privileges(sluice):
    for pid in [*sluice.worker_pids(), sluice.pid("health"), sluice.pid("updater")]:
        assert status_of(pid)["NoNewPrivs"] == "1"


def test_each_board_has_one_writer(sluice):
    updater, health = board_modes(sluice.pid("updater")), board_modes(sluice.pid("health"))
    assert updater["sluice-routing"] == {"rw-s"}
    assert health["sluice-verdicts"] == {"rw-s"}
    assert health["sluice-routing"] == updater["sluice-verdicts"] == {"r--s"}
    for pid in sluice.worker_pids():
        worker = board_modes(pid)
        assert worker["sluice-routing"] == worker["sluice-verdicts"] == {"r--s"}


def test_children_hold_what_they_were_given_and_no_more(sluice):
    """No worker and no health process has a socket but its own: neither journal nor admin socket."""
    for pid in [*sluice.worker_pids(), sluice.pid("health")]:
        held = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        assert not [path for path in held if path.startswith(str(sluice.folder / "state"))]
    unix_sockets = {line.split()[6] for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]}
    for pid in [*sluice.worker_pids(), sluice.pid("health")]:
        held = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()]
        inodes = {path[8:-1] for path in held if path.startswith("socket:[")}
        # libcurl and libev wake themselves through socket pairs, which have no path
        named = {line.split()[6]: line.split()[7] for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]
                 if len(line.split()) > 7}
        assert not {named[inode] for inode in inodes & unix_sockets if inode in named}


def test_all_die_with_the_supervisor(sluice):
    pids = sluice.endpoints()["pids"]
    children = [pids["updater"], pids["health"], *pids["workers"]]
    sluice.process.kill()
    sluice.process.wait()
    sluice.log.join()  # until nobody holds stderr any more
    deadline = time.monotonic() + 10
    while not all(is_gone(pid) for pid in children):  # its descriptors are closed before it is gone
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sluice.process.returncode = 0  # it was we


def test_a_worker_that_hangs_is_replaced(sluice):
    victim = sluice.worker_pids()[0]
    position = sluice.log_position()
    sluice.killed.add(victim)
    os.kill(victim, signal.SIGSTOP)
    sluice.wait_log(["event=worker-hangs", f"pid={victim}"], after=position)
    sluice.wait_log(["event=child-ready", "child=worker"], after=position)
    sluice.wait_until(lambda: len(sluice.worker_pids()) == 2 and victim not in sluice.worker_pids())
    for _ in range(20):
        assert sluice.get()[0] == 200


def test_verdicts_flow_while_the_updater_hangs(start_sluice, start_backend):
    one, two = start_backend("one"), start_backend("two")
    sluice = start_sluice(config_of([one, two]))
    sluice.wait_healthy("web", 2)
    updater, position = sluice.pid("updater"), sluice.log_position()
    os.kill(updater, signal.SIGSTOP)
    try:
        two.health = 500
        sluice.wait_log(["event=backend-health", f"backend={two.address}", "health=unhealthy"], after=position)
        before = two.count
        assert {sluice.get()[2] for _ in range(40)} == {b"one"}
        assert two.count == before
    finally:
        os.kill(updater, signal.SIGCONT)
    sluice.wait_healthy("web", 1)


def test_a_descriptor_that_the_starting_shell_left_open_is_closed(start_sluice, start_backend):
    with open("/dev/null") as left_open:
        sluice = start_sluice(config_of([start_backend("one")]), pass_fds=(left_open.fileno(),))
        sluice.wait_healthy("web", 1)
        assert sluice.get()[0] == 200
        for pid in (sluice.pid("supervisor"), sluice.pid("updater"), sluice.pid("health"), *sluice.worker_pids()):
            held = [path for fd, path in held_by(pid) if fd > 2]
            assert "/dev/null" not in held


def test_a_start_that_fails_is_never_called_ready(start_sluice, start_backend):
    with pytest.raises(AssertionError, match="did not start") as failed:
        start_sluice({**config_of([start_backend("one")]), "user": "nobody-of-this-name"})
    assert "event=start-failed" in str(failed.value) and "event=ready" not in str(failed.value)
