"""Static services: no engine, no root. The processes, what their deaths do, reload and stop."""
import contextlib
import hashlib
import http.client
import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from sluice import COMMAND

CHECK = {"http": {"path": "/healthz"}, "interval": "300ms", "timeout": "300ms", "retries": 3}


def config_of(stable, canary=(), workers=2, **service):
    web = {"backends": [backend.address for backend in stable], "healthcheck": CHECK, **service}
    if canary:
        web["canary"] = [backend.address for backend in canary]
    return {"listeners": {"web": {"address": "127.0.0.1:0"}}, "services": {"web": web}, "workers": workers}


class Held:
    """A request for /hold, which its backend does not answer yet."""

    def __init__(self, sluice):
        self.connection = http.client.HTTPConnection(*sluice.address("web"), timeout=30)
        self.connection.request("GET", "/hold")

    def outcome(self):
        """The body, or "lost" where the connection broke."""
        try:
            answer = self.connection.getresponse()
            return answer.read().decode() if answer.status == 200 else f"status {answer.status}"
        except (OSError, http.client.HTTPException):
            return "lost"
        finally:
            self.connection.close()


# --- serving ------------------------------------------------------------------------------------

def test_requests_reach_the_backends(start_sluice, start_backend):
    one, two = start_backend("one"), start_backend("two")
    sluice = start_sluice(config_of([one, two]))
    sluice.wait_healthy("web", 2)
    bodies = {sluice.get()[2] for _ in range(40)}
    assert bodies == {b"one", b"two"}
    assert one.count + two.count == 40
    status, headers, _ = sluice.get(path="/status/404")
    assert (status, headers["X-Backend"] in ("one", "two")) == (404, True)


def test_what_was_refused_is_told_by_reason(start_sluice, start_backend):
    web = {"backends": [start_backend("one").address], "routes": [{"host": "here.example"}]}
    sluice = start_sluice({"listeners": {"web": {"address": "127.0.0.1:0"}}, "services": {"web": web}, "workers": 2})
    sluice.wait_healthy("web", 1)
    for _ in range(3):
        assert sluice.get(headers={"Host": "elsewhere.example"})[0] == 404
    assert sluice.get(headers={"Host": "here.example"})[0] == 200
    refusals = sluice.api("GET", "/services")["refusals"]
    assert {reason: times for reason, times in refusals.items() if times} == {"no-route": 3}
    assert sluice.api("GET", "/healthz")["refusals"] == refusals
    assert 'sluice_refusals_total{reason="no-route"} 3' in sluice.api("GET", "/metrics")


def test_bulk_of_a_tunnel_shows_in_the_metrics(start_sluice):
    size = 64 << 20
    with socket.create_server(("127.0.0.1", 0)) as server:
        sluice = start_sluice({
            "listeners": {"bulk": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "bulk"}},
            "services": {"bulk": {"backends": ["127.0.0.1:%d" % server.getsockname()[1]]}}, "workers": 2})
        assert "\nsluice_spliced_bytes_total 0\n" in sluice.api("GET", "/metrics")
        client = socket.create_connection(sluice.address("bulk"), timeout=20)
        backend, _ = server.accept()
    with client, backend:
        sending = threading.Thread(target=client.sendall, args=(bytes(size),), daemon=True)
        sending.start()
        left = size
        while left > 0:
            left -= len(backend.recv(1 << 20))
        sending.join(20)
        spliced = int(sluice.api("GET", "/metrics").split("\nsluice_spliced_bytes_total ")[1].split()[0])
        assert size // 2 < spliced < size


def test_a_backend_sees_whom_it_serves(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one")]))
    sluice.wait_healthy("web", 1)
    _, _, body = sluice.get(path="/headers", headers={"Host": "shop.example"})
    seen = dict(line.split(": ", 1) for line in body.decode().splitlines())
    assert seen["X-Forwarded-For"] == "127.0.0.1"
    assert seen["X-Forwarded-Proto"] == "http"
    assert seen["X-Forwarded-Host"] == "shop.example"


def test_a_connection_carries_many_requests_and_bodies(start_sluice, start_backend):
    backend = start_backend("one")
    sluice = start_sluice(config_of([backend]))
    sluice.wait_healthy("web", 1)
    connection = http.client.HTTPConnection(*sluice.address("web"), timeout=20)
    for size in (0, 1, 4095, 65536, 1 << 20):
        body = os.urandom(size)
        connection.request("POST", "/", body)
        answer = connection.getresponse()
        assert answer.read().decode() == hashlib.sha256(body).hexdigest()
    connection.close()
    assert backend.count == 5


def test_an_unhealthy_backend_gets_no_traffic_and_comes_back(start_sluice, start_backend):
    one, two = start_backend("one"), start_backend("two")
    sluice = start_sluice(config_of([one, two]))
    sluice.wait_healthy("web", 2)
    two.health = 500
    sluice.wait_healthy("web", 1)
    before = two.count
    assert {sluice.get()[2] for _ in range(20)} == {b"one"}
    assert two.count == before
    reasons = [backend["reason"] for backend in sluice.service("web")["groups"]["stable"]["backends"]]
    assert "status 500, wanted 200-399" in reasons
    two.health = 200
    sluice.wait_healthy("web", 2)
    sluice.wait_until(lambda: sluice.get()[2] == b"two")


def test_a_tcp_service_carries_bytes_both_ways(start_sluice, start_echo):
    echo = start_echo("db")
    sluice = start_sluice({
        "listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}},
        "services": {"db": {"backends": [echo.address], "healthcheck": {"tcp": {}, "interval": "100ms"}}}})
    sluice.wait_healthy("db", 1)
    sent = os.urandom(1 << 20)
    with socket.create_connection(sluice.address("db"), timeout=20) as connection:
        writer = threading.Thread(target=lambda: (connection.sendall(sent), connection.shutdown(socket.SHUT_WR)))
        writer.start()
        received = b""
        while data := connection.recv(65536):
            received += data
        writer.join()
    assert received == b"db\n" + sent
    backend = sluice.service("db")["groups"]["stable"]["backends"][0]
    assert backend["exchanges"] == 1


# --- the split ----------------------------------------------------------------------------------

def test_weight_shifts_traffic_exactly(start_sluice, start_backend):
    old, new = start_backend("old"), start_backend("new")
    sluice = start_sluice(config_of([old], [new]))
    sluice.wait_healthy("web", 2)
    assert {sluice.get()[2] for _ in range(20)} == {b"old"}
    done = sluice.cli("weight", "web", "25")
    assert (done.returncode, done.stderr) == (0, "")
    sluice.wait_adopted()
    bodies = [sluice.get()[2] for _ in range(400)]
    assert abs(bodies.count(b"new") - 100) <= 2  # within one per worker
    assert sluice.service("web")["weight"] == 25
    for row in sluice.service("web")["split"]:
        assert abs(row["error"]) <= 1
    assert sluice.cli("weight", "web", "100").returncode == 0
    sluice.wait_adopted()
    assert {sluice.get()[2] for _ in range(20)} == {b"new"}


def test_a_group_without_a_healthy_backend_gets_no_traffic(start_sluice, start_backend):
    old, new = start_backend("old"), start_backend("new")
    sluice = start_sluice(config_of([old], [new]))
    sluice.wait_healthy("web", 2)
    sluice.cli("weight", "web", "50")
    sluice.wait_adopted()
    new.health = 500
    sluice.wait_healthy("web", 1)
    assert {sluice.get()[2] for _ in range(20)} == {b"old"}


@pytest.mark.parametrize("arguments, code", [
    (["weight", "web", "101"], 2), (["weight", "nobody", "10"], 2), (["rollout", "web", "--image", "web:v2"], 3)])
def test_a_wrong_request_changes_nothing_and_says_so(start_sluice, start_backend, arguments, code):
    sluice = start_sluice(config_of([start_backend("old")], [start_backend("new")]))
    epoch = sluice.api("GET", "/healthz")["epoch"]
    done = sluice.cli(*arguments)
    assert done.returncode == code, done
    assert done.stderr != ""
    assert sluice.service("web")["weight"] == 0
    assert sluice.wait_healthy("web", 2)
    assert sluice.api("GET", "/healthz")["epoch"] >= epoch


# --- deaths -------------------------------------------------------------------------------------

def live_workers(sluice):
    return [worker for worker in sluice.api("GET", "/healthz")["workers"] if worker["live"]]


def active(sluice):
    groups = sluice.service("web")["groups"]
    return sum(backend["active"] for group in groups.values() for backend in group["backends"])


def test_a_killed_worker_loses_only_its_own_exchanges(start_sluice, start_backend):
    backend = start_backend("one")
    sluice = start_sluice(config_of([backend]))
    sluice.wait_healthy("web", 1)
    held = [Held(sluice) for _ in range(24)]
    backend.wait_holding(24)
    sluice.wait_until(lambda: active(sluice) == 24)
    clients = {worker["pid"]: worker["clients"] for worker in live_workers(sluice)}
    victim = sluice.worker_pids()[0]
    assert 0 < clients[victim] < 24  # the kernel spreads connections over both
    position = sluice.log_position()
    sluice.kill(victim)
    for _ in range(50):
        assert sluice.get()[0] == 200
    sluice.wait_log(["event=child-ready", "child=worker"], after=position)
    workers = sluice.wait_until(lambda: [w for w in live_workers(sluice) if w["pid"] != victim and w["seen_epoch"]][1:]
                                and live_workers(sluice))
    assert victim not in {worker["pid"] for worker in workers}
    assert set(sluice.worker_pids()) == {worker["pid"] for worker in workers}
    sluice.wait_until(lambda: active(sluice) == 24 - clients[victim])  # what the dead one had does not stick
    backend.release.set()
    outcomes = [request.outcome() for request in held]
    assert outcomes.count("lost") == clients[victim]
    assert outcomes.count("one") == 24 - clients[victim]
    sluice.wait_until(lambda: active(sluice) == 0)


def test_a_killed_updater_does_not_touch_traffic(start_sluice, start_backend):
    old, new = start_backend("old"), start_backend("new")
    sluice = start_sluice(config_of([old], [new]))
    sluice.wait_healthy("web", 2)
    assert sluice.cli("weight", "web", "40").returncode == 0
    sluice.wait_adopted()
    position = sluice.log_position()
    with Load(sluice) as load:
        sluice.kill(sluice.pid("updater"))
        sluice.wait_log(["event=child-ready", "child=updater"], after=position)
        service = sluice.wait_until(lambda: sluice.service("web"))
        load.more(100)
    assert load.failed == []
    assert (service["weight"], service["healthy"]) == (40, 2)
    assert "role=health event=backend-health" not in "\n".join(sluice.log.all[position:])
    sluice.wait_adopted()
    bodies = [sluice.get()[2] for _ in range(100)]
    assert abs(bodies.count(b"new") - 40) <= 2


def test_a_killed_health_process_does_not_touch_traffic(start_sluice, start_backend):
    one, two = start_backend("one"), start_backend("two")
    sluice = start_sluice(config_of([one, two]))
    for backend in (one, two):
        sluice.wait_log(["role=health", "event=backend-health", f"backend={backend.address}"])
    sluice.wait_healthy("web", 2)
    position = sluice.log_position()
    with Load(sluice) as load:
        sluice.kill(sluice.pid("health"))
        sluice.wait_log(["event=child-ready", "child=health"], after=position)
        load.more(100)
    assert load.failed == []
    assert "role=health event=backend-health" not in "\n".join(sluice.log.all[position:])
    two.health = 500  # it is watched on
    sluice.wait_healthy("web", 1)


class Load:
    """A client that asks again and again, each time on a connection of its own."""

    def __init__(self, sluice):
        self.sluice = sluice
        self.count, self.failed = 0, []
        self._ended = False
        self._counted = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ended:
            try:
                status = self.sluice.get()[0]
                if status != 200:
                    self.failed.append(status)
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))
            with self._counted:
                self.count += 1
                self._counted.notify_all()

    def more(self, count):
        """Waits until so many more have been asked."""
        with self._counted:
            goal = self.count + count
            assert self._counted.wait_for(lambda: self.count >= goal, 30)

    def __enter__(self):
        self._thread.start()
        self.more(10)
        return self

    def __exit__(self, *_):
        self._ended = True
        self._thread.join()


# --- config and signals -------------------------------------------------------------------------

def test_a_bad_config_is_refused_with_exit_code_2(tmp_path):
    config = tmp_path / "sluice.yaml"
    config.write_text("listeners:\n  web: { address: '127.0.0.1:0' }\n"
                      "services:\n  web: { backends: [ '127.0.0.1:9' ], balanse: random }\n")
    done = subprocess.run([COMMAND, "run", config, "--state", tmp_path / "state", "--admin", tmp_path / "a.sock"],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert f"{config}:4: services.web" in done.stderr and "balance" in done.stderr
    assert not (tmp_path / "state").exists() and not (tmp_path / "a.sock").exists()


def test_a_listener_that_is_taken_is_refused(tmp_path, start_backend):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = tmp_path / "sluice.yaml"
        config.write_text("listeners: { web: { address: '127.0.0.1:%d' } }\n"
                          "services: { web: { backends: [ '127.0.0.1:9' ] } }\n" % taken.getsockname()[1])
        done = subprocess.run([COMMAND, "run", config, "--state", tmp_path / "state", "--admin", tmp_path / "a.sock"],
                              capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "Address already in use" in done.stderr


def test_sighup_takes_a_good_config_without_losing_anything(start_sluice, start_backend):
    one, two = start_backend("one"), start_backend("two")
    sluice = start_sluice(config_of([one]))
    sluice.wait_healthy("web", 1)
    held = [Held(sluice) for _ in range(4)]
    one.wait_holding(4)
    old_workers = set(sluice.worker_pids())
    address = sluice.address("web")
    position = sluice.log_position()
    with Load(sluice) as load:
        sluice.write_config(config_of([one, two]))
        sluice.signal(signal.SIGHUP)
        sluice.wait_log("event=reload-completed", after=position)
        load.more(100)
        sluice.wait_healthy("web", 2)
        load.more(100)
    assert load.failed == []
    assert two.count > 0
    assert sluice.address("web") == address
    one.release.set()
    assert [request.outcome() for request in held] == ["one"] * 4
    for pid in old_workers:
        sluice.wait_log(["event=child-ended", "child=worker", f"pid={pid}"], after=position)
    assert not old_workers & set(sluice.worker_pids())


def test_a_reload_cuts_no_tunnel_and_a_stop_waits_its_budget_only(start_sluice, start_echo):
    echo = start_echo("one")
    config = {"listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}}, "workers": 1,
              "services": {"db": {"backends": [echo.address], "rollout": {"drain": {"tcp": "500ms"}}}}}
    sluice = start_sluice(config)
    sluice.wait_healthy("db", 1)
    with socket.create_connection(sluice.address("db"), timeout=20) as tunnel:
        lines = tunnel.makefile("rwb", buffering=0)
        assert lines.readline() == b"one\n"
        old = sluice.worker_pids()
        sluice.signal(signal.SIGHUP)
        sluice.wait_log("event=reload-completed")
        started = time.monotonic()
        while time.monotonic() < started + 1.5:  # three times its budget
            lines.write(b"still there\n")
            assert lines.readline() == b"still there\n"
        assert sluice.worker_pids() != old
        stopped = time.monotonic()
        sluice.signal(signal.SIGTERM)
        assert lines.readline() == b""  # cut when its budget was over
        assert 0.4 < time.monotonic() - stopped < 10
    sluice.process.wait(20)


def test_seven_reloads_in_a_row_cut_no_tunnel(start_sluice, start_echo):
    echo = start_echo("one")
    sluice = start_sluice({"listeners": {"db": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "db"}},
                           "workers": 1, "services": {"db": {"backends": [echo.address]}}})
    sluice.wait_healthy("db", 1)
    tunnels = []
    with contextlib.ExitStack() as stack:
        for generation in range(8):
            tunnel = stack.enter_context(socket.create_connection(sluice.address("db"), timeout=20))
            tunnels.append(tunnel.makefile("rwb", buffering=0))
            assert tunnels[-1].readline() == b"one\n"
            if generation < 7:
                position = sluice.log_position()
                sluice.signal(signal.SIGHUP)
                sluice.wait_log("event=reload-completed", after=position)
                sluice.wait_log("event=worker-retires connections=1", after=position)  # it takes no more
        for number, lines in enumerate(tunnels):
            lines.write(b"%d\n" % number)
            assert lines.readline() == b"%d\n" % number
        position = sluice.log_position()
        sluice.signal(signal.SIGHUP)  # one too many: said, and nothing is changed
        sluice.wait_log("event=no-row", after=position)
        for number, lines in enumerate(tunnels):
            lines.write(b"%d\n" % number)
            assert lines.readline() == b"%d\n" % number


def test_a_reload_ends_and_begins_the_deferral_of_accepting(start_sluice, start_backend):
    """The listening socket is the same one all the time."""
    config = config_of([start_backend("one")]) | {"workers": 1}
    sluice = start_sluice(config)
    sluice.wait_healthy("web", 1)
    for deferred in (False, True, False):
        position = sluice.log_position()
        config["listeners"]["web"]["defer_accept"] = deferred
        sluice.write_config(config)
        sluice.signal(signal.SIGHUP)
        sluice.wait_log("event=reload-completed", after=position)
        sluice.wait_log("event=worker-retires", after=position)  # it takes no more
        with socket.create_connection(sluice.address("web"), timeout=20) as silent:
            assert sluice.get()[0] == 200  # came after the silent one
            sluice.wait_until(lambda: sum(worker["clients"] for worker in sluice.api("GET", "/healthz")["workers"])
                              == (0 if deferred else 1))
            silent.sendall(b"GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            assert silent.recv(12) == b"HTTP/1.1 200"


def test_sighup_with_a_bad_config_changes_nothing(start_sluice, start_backend):
    sluice = start_sluice(config_of([start_backend("one")]))
    sluice.wait_healthy("web", 1)
    pids = sluice.endpoints()["pids"]
    position = sluice.log_position()
    sluice.write_config("services: { web: {} }\n")
    sluice.signal(signal.SIGHUP)
    sluice.wait_log("event=reload-refused", after=position)
    assert sluice.get()[0] == 200
    assert sluice.endpoints()["pids"] == pids


def test_sigterm_lets_exchanges_finish(start_sluice, start_backend):
    backend = start_backend("one")
    sluice = start_sluice(config_of([backend]))
    sluice.wait_healthy("web", 1)
    address = sluice.address("web")
    held = [Held(sluice) for _ in range(6)]
    backend.wait_holding(6)
    sluice.signal(signal.SIGTERM)
    sluice.wait_log("event=stopping")
    assert sluice.process.poll() is None
    backend.release.set()
    assert [request.outcome() for request in held] == ["one"] * 6
    assert sluice.process.wait(20) == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)
    assert not sluice.endpoints_file.exists() and not sluice.admin.exists()
