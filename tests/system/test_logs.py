"""The access log's file over the life of a whole Sluice: who opens it, and when anew."""
import json
import os
import signal
import threading

import pytest

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
