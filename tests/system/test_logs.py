"""The access log's file over the life of a whole Sluice: who opens it, and when anew."""
import gzip
import json
import os
import re
import shutil
import signal
import subprocess
import threading

import pytest

from sluice import ROOT
from test_static import config_of


def logging(backends, file, **keys):
    return {**config_of(backends, **keys), "access_log": {"format": "json", "file": str(file)}}


def paths_in(*files):
    return [json.loads(line).get("path") for file in files for line in file.read_text().splitlines()]


def test_sigusr1_gives_every_worker_the_new_file_and_no_line_is_lost(start_sluice, start_backend, tmp_path):
    """As logrotate does it, under load. The file is the supervisor's own: workers could not open it."""
    file, old = tmp_path / "access.log", tmp_path / "access.log.1"
    sluice = start_sluice(logging([start_backend("one")], file))
    sluice.wait_healthy("web", 1)
    assert file.stat().st_mode & 0o777 == 0o640 and file.stat().st_uid == os.geteuid()
    counts, stopping = [0] * 4, threading.Event()

    def run(number):
        while not stopping.is_set():
            assert sluice.get(path=f"/{number}/{counts[number]}")[0] == 200
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(counts))]
    for thread in threads:
        thread.start()
    sluice.wait_until(lambda: sum(counts) > 50)
    os.rename(file, old)
    position = sluice.log_position()
    sluice.signal(signal.SIGUSR1)
    sluice.wait_log(["event=access-log-reopened", "workers=2"], after=position)
    before = sum(counts)
    sluice.wait_until(lambda: sum(counts) > before + 50)
    stopping.set()
    for thread in threads:
        thread.join()
    sluice.close()
    logged = paths_in(file, old)
    assert len(logged) == len(set(logged)) == sum(counts)
    assert paths_in(file) and paths_in(old)


def test_the_packaged_logrotate_file_works_with_logrotate(start_sluice, start_backend, tmp_path):
    """packaging/logrotate as it is, but for the folder and for how the supervisor is found without systemd."""
    if shutil.which("logrotate") is None:
        pytest.skip("needs logrotate: scripts/packages test")
    folder = tmp_path / "log"
    folder.mkdir(mode=0o700)
    sluice = start_sluice(logging([start_backend("one")], folder / "access.log"))
    sluice.wait_healthy("web", 1)
    text = (ROOT / "packaging" / "logrotate").read_text()
    signalled = re.search(r"/bin/systemctl kill --kill-who=main --signal=SIGUSR1 sluice.service", text)[0]
    rules = tmp_path / "rules"
    rules.write_text(text.replace("/var/log/sluice", str(folder)).replace(signalled, f"kill -USR1 {sluice.process.pid}"))
    rules.chmod(0o600)
    for turn in range(3):
        assert sluice.get(path=f"/{turn}")[0] == 200
        sluice.wait_until(lambda: (folder / "access.log").stat().st_size > 0)
        position = sluice.log_position()
        done = subprocess.run(["logrotate", "--force", "--state", tmp_path / "state", rules], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        sluice.wait_log("event=access-log-reopened workers=2", after=position)
    sluice.close()
    assert sorted(path.name for path in folder.iterdir()) == ["access.log", "access.log.1", "access.log.2.gz", "access.log.3.gz"]
    assert paths_in(folder / "access.log.1") == ["/2"] and (folder / "access.log").stat().st_size == 0
    assert b'"/0"' in gzip.decompress((folder / "access.log.3.gz").read_bytes())


def test_a_worker_that_is_replaced_writes_to_the_file_of_that_name(start_sluice, start_backend, tmp_path):
    file = tmp_path / "access.log"
    sluice = start_sluice(logging([start_backend("one")], file, workers=1))
    sluice.wait_healthy("web", 1)
    os.rename(file, tmp_path / "gone")
    position = sluice.log_position()
    sluice.kill(sluice.worker_pids()[0])
    sluice.wait_log(["event=child-ready", "child=worker"], after=position)
    assert sluice.get(path="/after")[0] == 200
    sluice.close()
    assert paths_in(file) == ["/after"]


def test_a_reload_writes_to_the_file_that_it_names(start_sluice, start_backend, tmp_path):
    one = start_backend("one")
    sluice = start_sluice(logging([one], tmp_path / "a"))
    sluice.wait_healthy("web", 1)
    assert sluice.get(path="/first")[0] == 200
    position = sluice.log_position()
    sluice.write_config(logging([one], tmp_path / "no-such-folder" / "b"))
    sluice.signal(signal.SIGHUP)
    sluice.wait_log("event=reload-refused", after=position)
    sluice.wait_log(["event=access-log-refused", "No such file or directory"], after=position)
    sluice.write_config(logging([one], tmp_path / "b"))
    sluice.signal(signal.SIGHUP)
    # until then the old ones may take a connection yet
    sluice.wait_until(lambda: sum("event=worker-retires" in line for line in sluice.log.all) == 2)
    assert sluice.get(path="/second")[0] == 200
    sluice.close()
    assert (paths_in(tmp_path / "a"), paths_in(tmp_path / "b")) == (["/first"], ["/second"])


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_file_that_could_block_or_lead_elsewhere_is_refused(start_sluice, start_backend, tmp_path, kind):
    file = tmp_path / "access.log"
    if kind == "fifo":
        os.mkfifo(file)
    elif kind == "link":
        file.symlink_to(tmp_path / "elsewhere")
    else:
        file.mkdir()
    with pytest.raises(AssertionError, match="did not start") as failed:
        start_sluice(logging([start_backend("one")], file))
    assert "event=access-log-refused" in str(failed.value)
    assert not (tmp_path / "elsewhere").exists()


def test_sigusr1_without_a_file_does_nothing(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one")]))
    sluice.signal(signal.SIGUSR1)
    sluice.wait_log("event=access-log-reopened workers=0")
    sluice.wait_healthy("web", 1)
    assert sluice.get()[0] == 200
