"""sluice-health itself, against backends that do what each test needs."""
import os
import selectors
import signal
import socket
import threading
import time

import pytest

FAST = {"interval": "250ms", "timeout": "250ms"}  # a busy machine may take 50 ms to answer


def http(**keys):
    return {"http": keys, **FAST}


# --- HTTP ---------------------------------------------------------------------------------------

def test_a_backend_that_answers_200_is_healthy_at_once(start_bench, backend):
    bench = start_bench({"http": {"path": "/healthz?full=1"}, "interval": "1h"})
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")
    path, host, _, _ = backend.seen[0]
    assert (path, host) == ("/healthz?full=1", backend.address)


def test_the_configured_host_is_sent(start_bench, backend):
    bench = start_bench({"http": {"host": "shop.example"}, "interval": "1h"})
    bench.add(backend.address)
    bench.verdict()
    assert backend.seen[0][1] == "shop.example"


def test_each_check_is_a_connection_of_its_own(start_bench, backend):
    bench = start_bench(http())
    bench.add(backend.address)
    bench.verdict()
    wait_until(lambda: len(backend.seen) >= 3)
    ports = [port for _, _, port, _ in backend.seen]
    assert len(set(ports)) == len(ports)


def test_status_500_is_starting_and_then_unhealthy_with_the_reason(start_bench, backend):
    backend.status = 500
    bench = start_bench({**http(), "retries": 2})
    bench.add(backend.address)
    assert bench.verdict() == ("starting", "status 500, wanted 200-399")
    assert bench.verdict() == ("unhealthy", "status 500, wanted 200-399")


def test_a_status_outside_the_configured_range_fails(start_bench, backend):
    bench = start_bench({**http(status=204), "retries": 1})
    bench.add(backend.address)
    assert bench.verdict() == ("unhealthy", "status 200, wanted 204")
    backend.status, backend.body = 204, b""
    assert bench.verdict() == ("healthy", "")


def test_a_redirect_is_judged_and_not_followed(start_bench, backend):
    backend.status, backend.headers = 302, {"Location": "/elsewhere"}
    bench = start_bench({"http": {"status": "200-299"}, **FAST, "retries": 1})
    bench.add(backend.address)
    assert bench.verdict() == ("unhealthy", "status 302, wanted 200-299")
    assert {path for path, _, _, _ in backend.seen} == {"/"}


def test_an_error_status_can_be_what_is_wanted(start_bench, backend):
    backend.status, backend.body = 401, b"who are you"
    bench = start_bench(http(status=401, body="who"))
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")


def test_the_body_must_hold_the_piece(start_bench, backend):
    backend.body = b"all is well"
    bench = start_bench({**http(body="is well"), "retries": 1})
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")
    backend.body = b"so so"
    assert bench.verdict() == ("unhealthy", 'body lacks "is well"')


def test_the_piece_is_looked_for_in_the_first_64_kib(start_bench, backend):
    backend.body = b"." * (65536 - 4) + b"here" + b"." * 100000
    bench = start_bench({"http": {"body": "here"}, "interval": "250ms", "retries": 1})
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")
    backend.body = b"." * (65536 - 3) + b"here" + b"." * 100000
    assert bench.verdict() == ("unhealthy", 'body lacks "here"')


def test_no_answer_in_time_fails(start_bench, backend):
    backend.hold = threading.Event()
    bench = start_bench({**http(), "retries": 1})
    bench.add(backend.address)
    assert bench.verdict() == ("unhealthy", "no answer within 250 ms")


def test_a_refused_connection_fails(start_bench, closed_address):
    bench = start_bench({**http(), "retries": 1})
    bench.add(closed_address)
    assert bench.verdict() == ("unhealthy", "connect: Connection refused")


def test_what_is_not_http_fails(start_bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        def talk():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"220 mail \x1b[31m ready\r\n")
                connection.close()

        threading.Thread(target=talk, daemon=True).start()
        bench = start_bench({**http(), "retries": 1})
        bench.add("127.0.0.1:%d" % server.getsockname()[1])
        state, reason = bench.verdict()
        server.shutdown(socket.SHUT_RDWR)
    assert state == "unhealthy"
    assert reason and reason.isprintable()


# --- TCP ----------------------------------------------------------------------------------------

def test_a_tcp_check_passes_where_somebody_listens(start_bench, backend):
    bench = start_bench({"tcp": {}, **FAST})
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")
    assert backend.seen == []


@pytest.mark.parametrize("version, header", [
    ("v1", b"PROXY UNKNOWN\r\n"), ("v2", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")])
def test_a_tcp_check_speaks_for_nobody_where_a_proxy_header_is_wanted(start_bench, version, header):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        bench = start_bench({"tcp": {}, **FAST}, send_proxy_protocol=version)
        bench.add("127.0.0.1:%d" % server.getsockname()[1])
        with server.accept()[0] as connection:
            connection.settimeout(10)
            with connection.makefile("rb") as file:
                assert file.read() == header
        assert bench.verdict() == ("healthy", "")


def test_an_http_check_says_who_it_is_where_a_proxy_header_is_wanted(start_bench):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        bench = start_bench({"http": {}, **FAST}, send_proxy_protocol="v2")
        bench.add("127.0.0.1:%d" % server.getsockname()[1])
        connection, (host, port) = server.accept()
        with connection, connection.makefile("rb") as file:
            connection.settimeout(10)
            own = server.getsockname()[1]
            assert file.readline() == b"PROXY TCP4 %s 127.0.0.1 %d %d\r\n" % (host.encode(), port, own)
            assert file.readline() == b"GET / HTTP/1.1\r\n"
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            assert bench.verdict() == ("healthy", "")


def test_a_tcp_check_fails_where_nobody_listens(start_bench, closed_address):
    bench = start_bench({"tcp": {}, **FAST, "retries": 1})
    bench.add(closed_address)
    assert bench.verdict() == ("unhealthy", "connect: Connection refused")


def test_a_tcp_check_times_out_where_the_connect_hangs(start_bench):
    """A listener whose queue is full: Linux then drops what else comes."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        filler = []
        for _ in range(4):
            filler.append(socket.socket())
            filler[-1].setblocking(False)
            filler[-1].connect_ex(server.getsockname())
        bench = start_bench({"tcp": {}, **FAST, "retries": 1})
        bench.add("127.0.0.1:%d" % server.getsockname()[1])
        assert bench.verdict() == ("unhealthy", "no answer within 250 ms")
        for client in filler:
            client.close()


# --- scripts ------------------------------------------------------------------------------------

def script(command, **keys):
    return {"script": ["/bin/sh", "-c", command], "interval": "5s", "timeout": "5s", "retries": 1, **keys}


def test_a_script_that_exits_0_passes(start_bench):
    bench = start_bench(script("exit 0"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("healthy", "")


def test_a_script_sees_the_backend_and_nothing_else(start_bench, open_folder, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SUPERVISOR", "1")
    bench = start_bench(script(f"env | sort > {open_folder}/env; ls /proc/self/fd > {open_folder}/fds"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("healthy", "")
    seen = dict(line.split("=", 1) for line in (open_folder / "env").read_text().splitlines())
    seen.pop("PWD", None)  # the shell's own
    assert seen.pop("PATH").startswith("/usr/local/sbin:")
    assert seen == {"SLUICE_SERVICE": "web", "SLUICE_BACKEND_ADDRESS": "127.0.0.1:9000",
                    "SLUICE_BACKEND_HOST": "127.0.0.1", "SLUICE_BACKEND_PORT": "9000",
                    "SLUICE_BACKEND_NAME": "127.0.0.1:9000", "SLUICE_BACKEND_GROUP": "stable"}
    assert (open_folder / "fds").read_text().split() == ["0", "1", "2", "3"]  # 3: ls itself


def test_a_scripts_first_line_is_the_reason(start_bench):
    bench = start_bench(script("printf 'replica is \\033[1m40 s behind\\nmore\\n' >&2; exit 3"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("unhealthy", "replica is ?[1m40 s behind")


def test_a_long_reason_is_cut(start_bench):
    bench = start_bench(script("yes | tr -d '\\n' | head -c 300000; exit 1"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("unhealthy", "y" * 127)


def test_a_silent_script_fails_with_its_status(start_bench):
    bench = start_bench(script("exit 7"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("unhealthy", "script ended with status 7")


def test_a_script_that_is_not_there_fails(start_bench):
    bench = start_bench({"script": ["/no/such/check"], "interval": "5s", "retries": 1})
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("unhealthy", "cannot run /no/such/check: No such file or directory")


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


def test_a_script_past_its_timeout_is_killed_with_its_grandchildren(start_bench, open_folder):
    bench = start_bench(script(f"sleep 1000 & echo $! > {open_folder}/pid; wait", timeout="300ms"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("unhealthy", "script killed after 300 ms")
    pid = int((open_folder / "pid").read_text())
    wait_until(lambda: is_gone(pid))


def test_what_a_script_leaves_behind_is_killed(start_bench, open_folder):
    bench = start_bench(script(f"sleep 1000 & echo $! > {open_folder}/pid; exit 0"))
    bench.add("127.0.0.1:9000")
    assert bench.verdict() == ("healthy", "")
    pid = int((open_folder / "pid").read_text())
    wait_until(lambda: is_gone(pid))


def test_a_running_script_ends_with_its_backend(start_bench, open_folder):
    os.mkfifo(open_folder / "pid")
    os.chmod(open_folder / "pid", 0o666)
    bench = start_bench(script(f"echo $$ > {open_folder}/pid; exec sleep 1000"))
    bench.add("127.0.0.1:9000")
    pid = int((open_folder / "pid").read_text())
    bench.say("remove 0")
    wait_until(lambda: is_gone(pid))


def test_a_running_script_ends_with_the_process(start_bench, open_folder):
    os.mkfifo(open_folder / "pid")
    os.chmod(open_folder / "pid", 0o666)
    bench = start_bench(script(f"echo $$ > {open_folder}/pid; exec sleep 1000"))
    bench.add("127.0.0.1:9000")
    pid = int((open_folder / "pid").read_text())
    bench.say("kill")
    bench.wait(lambda line: line == f"signalled {int(signal.SIGKILL)}")
    wait_until(lambda: is_gone(pid))


# --- judgement over time ------------------------------------------------------------------------

def test_falls_and_comes_back(start_bench, backend):
    bench = start_bench({**http(), "retries": 3, "successes": 2})
    bench.add(backend.address)
    assert bench.verdict()[0] == "healthy"
    backend.status = 503
    assert bench.verdict() == ("unhealthy", "status 503, wanted 200-399")
    backend.status = 200
    assert bench.verdict() == ("healthy", "")


def test_failures_in_the_start_period_do_not_count(start_bench, backend):
    backend.status = 503
    bench = start_bench({**http(), "retries": 1, "start_period": "1h"})
    bench.add(backend.address)
    assert bench.verdict()[0] == "starting"
    wait_until(lambda: len(backend.seen) > 5)
    assert bench.show()[0] == "starting"
    backend.status = 200
    assert bench.verdict()[0] == "healthy"
    backend.status = 503  # from the first success on they count
    assert bench.verdict()[0] == "unhealthy"


def test_the_start_period_counts_from_the_containers_start(start_bench, backend):
    backend.status = 503
    bench = start_bench({**http(), "retries": 1, "start_period": "10m"})
    bench.add(backend.address, age_ms=600001)
    assert bench.verdict()[0] == "unhealthy"


def test_a_new_backend_is_tried_again_before_the_interval_is_over(start_bench, backend):
    backend.status = 503
    bench = start_bench({"http": {}, "interval": "1h", "retries": 2})
    bench.add(backend.address)
    assert bench.verdict()[0] == "starting"
    wait_until(lambda: len(backend.seen) >= 3)
    assert bench.show()[0] == "starting"
    backend.status = 200
    assert bench.verdict()[0] == "healthy"


def test_checks_of_one_backend_never_overlap(start_bench, backend):
    backend.hold = threading.Event()
    bench = start_bench({"http": {}, "interval": "400ms", "timeout": "400ms", "retries": 3})
    bench.add(backend.address)
    assert bench.verdict()[0] == "starting"
    bench.wait(lambda line: line.startswith("verdict 0 1 unhealthy"))
    times = [at for _, _, _, at in backend.seen]
    gaps = [later - earlier for earlier, later in zip(times, times[1:])]
    assert gaps and min(gaps) > 0.35


# --- in step with the routing table -------------------------------------------------------------

def test_a_new_generation_is_judged_afresh(start_bench, backend, closed_address):
    bench = start_bench({"http": {}, "interval": "1h", "retries": 1})
    bench.add(backend.address)
    assert bench.wait(lambda line: line.startswith("verdict 0")) == "verdict 0 1 healthy "
    bench.add(closed_address)
    assert bench.wait(lambda line: line.startswith("verdict 0")) == (
        "verdict 0 2 unhealthy connect: Connection refused")


@pytest.mark.parametrize("change", ["state 0 draining", "remove 0"])
def test_a_backend_out_of_rotation_is_not_checked(start_bench, backend, change):
    bench = start_bench(http())
    bench.add(backend.address)
    bench.verdict()
    bench.say(change)
    bench.add(backend.address, slot=1)
    bench.verdict(1)  # this table is in force
    bench.say("remove 1")
    bench.say("add 2 web 127.0.0.1:1")
    bench.verdict(2)
    seen = len(backend.seen)
    wait_until(lambda: bench.show(2)[0] == "unhealthy")
    assert len(backend.seen) == seen


def test_ready_backends_are_checked_too(start_bench, backend):
    bench = start_bench(http())
    bench.add(backend.address)
    bench.verdict()
    bench.say("state 0 ready")
    backend.status = 500
    assert bench.verdict()[0] == "unhealthy"


def test_workers_bells_are_rung_at_each_change(start_bench, backend):
    bench = start_bench({"http": {}, "interval": "1h"})
    bench.say("bells")
    assert bench.wait(lambda line: line.startswith("bells")) == "bells 0"
    bench.add(backend.address)
    bench.verdict()
    rung = 0

    def both_have_rung():  # the updater's bell, which the bench waits for, comes first
        nonlocal rung
        bench.say("bells")
        rung += int(bench.wait(lambda line: line.startswith("bells")).split()[1])
        return rung >= 2

    wait_until(both_have_rung)
    assert rung == 2


def test_no_check_is_healthy_at_once(start_bench):
    bench = start_bench("none")
    bench.add("127.0.0.1:9")
    assert bench.verdict() == ("healthy", "no check configured")


def test_the_containers_own_check_is_followed(start_bench):
    bench = start_bench({"container": {}})
    bench.add("127.0.0.1:9")
    assert bench.verdict() == ("healthy", "the image has no HEALTHCHECK")
    bench.say("container 0 starting")
    assert bench.verdict()[0] == "starting"
    bench.say("container 0 healthy")
    assert bench.verdict() == ("healthy", "")
    bench.say("container 0 unhealthy")
    assert bench.verdict() == ("unhealthy", "the engine reports the container unhealthy")


# --- death and restart --------------------------------------------------------------------------

def test_verdicts_stand_over_a_restart(start_bench, backend):
    bench = start_bench({"http": {}, "interval": "400ms", "retries": 3})
    bench.add(backend.address)
    assert bench.verdict() == ("healthy", "")
    bench.say("kill")
    bench.wait(lambda line: line.startswith("signalled"))
    backend.status = 500
    bench.say("start")
    bench.wait(lambda line: line == "ready")
    assert bench.show()[0] == "healthy"  # not unknown, not starting
    assert bench.verdict()[0] == "unhealthy"  # and is watched on
    assert "health=starting" not in bench.log_text()


def test_a_change_is_one_line_in_the_log(start_bench, backend):
    backend.status = 500
    bench = start_bench({**http(), "retries": 1})
    bench.add(backend.address)
    bench.verdict()
    lines = [line for line in bench.log_text().splitlines() if "event=backend-health" in line]
    assert len(lines) == 1
    for part in ("service=web", f"backend={backend.address}", "health=unhealthy",
                 'reason="status 500, wanted 200-399"'):
        assert part in lines[0]


def test_being_told_to_end_twice_is_a_good_end(start_bench, backend):
    bench = start_bench(http())
    bench.add(backend.address)
    bench.verdict()
    bench.say("terminate")
    bench.wait(lambda line: line.startswith(("ended", "signalled")))
    assert bench.lines[-1] == "ended 0"


# --- many ---------------------------------------------------------------------------------------

def test_500_backends_do_not_stall(start_bench, backend):
    bench = start_bench({"http": {}, "interval": "2s", "timeout": "2s"})
    for slot in range(500):
        bench.say("add", slot, "web", backend.address)
    healthy = set()
    started = time.monotonic()
    while len(healthy) < 500:
        line = bench.wait(lambda line: line.startswith("verdict "))
        if line.split()[3] == "healthy":
            healthy.add(line.split()[1])
    assert time.monotonic() - started < 10


class Silent:
    """Takes connections and never answers; knows how many were open at most."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.open = self.most = 0
        self.ended = False
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.socket, selectors.EVENT_READ)
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.ended:
            ready = [key.fileobj for key, _ in self.selector.select(0.05)]
            for connection in (c for c in ready if c is not self.socket):
                if not connection.recv(4096):
                    self.selector.unregister(connection)
                    connection.close()
                    self.open -= 1
            if self.socket in ready:
                connection, _ = self.socket.accept()
                self.selector.register(connection, selectors.EVENT_READ)
                self.open += 1
                self.most = max(self.most, self.open)

    def close(self):
        self.ended = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


def test_backends_that_hang_do_not_hold_up_another(start_bench, backend):
    """More than may be checked at once (256): the others wait their turn, and no longer."""
    silent = Silent()
    try:
        bench = start_bench({"http": {}, "interval": "1s", "timeout": "1s"})
        for slot in range(400):
            bench.say("add", slot, "web", silent.address)
        wait_until(lambda: silent.open >= 256)
        bench.add(backend.address, slot=400)
        assert bench.verdict(400, patience=5) == ("healthy", "")
        bench.wait(lambda line: line.startswith("verdict 0 1 unhealthy"))
        assert silent.most <= 256 + 16  # some that are closing are still counted
    finally:
        silent.close()


def wait_until(condition):
    """For what no line tells: processes that end, requests that arrive."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "did not come true in 20 s"
        time.sleep(0.01)
