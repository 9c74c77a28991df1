"""The whole of Sluice with TLS: reloads, renewals, privileges, health checks."""

import json
import os
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import TlsBackend, TlsClient, client_context, secure

sys.path.append(str(Path(__file__).resolve().parents[1] / "system"))

from backends import Backend  # noqa: E402
from sluice import Sluice  # noqa: E402


@pytest.fixture
def start(tmp_path):
    things = []

    def begin(config, *options):
        things.append(Sluice(tmp_path, config, *options))
        return things[-1]

    begin.things = things
    yield begin
    for thing in reversed(things):
        thing.close() if hasattr(thing, "close") else None
        if isinstance(thing, Sluice):
            print("\n".join(thing.log.all))
            thing.stop()


@pytest.fixture
def files(tmp_path, pairs):
    """A pair that a test may replace, as a renewal does: readable by root alone."""
    folder = tmp_path / "certificates"
    folder.mkdir()

    class Files:
        cert, key = folder / "live.pem", folder / "live.key"

        def install(self, pair):
            for source, target in ((pair.key, self.key), (pair.cert, self.cert)):
                new = target.with_suffix(".new")
                shutil.copy(source, new)
                os.chmod(new, 0o600)
                os.rename(new, target)

        def config(self):
            return {"cert": str(self.cert), "key": str(self.key)}

    files = Files()
    files.install(pairs["shop"])
    return files


def shop(start, backend, files, **more):
    return start({"listeners": {"web": secure(files)}, "services": {"web": {"backends": [backend.address], **more}}, "workers": 2})


def reload(sluice):
    before = len(sluice.log.all)
    sluice.signal(signal.SIGHUP)
    wait_reloaded(sluice, before)


def wait_reloaded(sluice, before):
    """Those that were told to finish share the sockets until they have heard of it."""
    sluice.log.wait(lambda line: "event=reload-completed" in line, after=before)
    sluice.wait_until(lambda: sum("event=worker-retires" in line for line in sluice.log.all[before:]) >= 2)


class TlsClientOf:
    def __init__(self, sluice, **options):
        self.sluice, self.options = sluice, options

    def __enter__(self):
        self.client = TlsClient(self.sluice.address("web")[1], **self.options)
        return self.client

    def __exit__(self, *_):
        self.client.close()


@pytest.fixture
def backend():
    backend = Backend("one")
    yield backend
    backend.close()


def serial(client):
    der = client.sock.getpeercert(True)
    return ssl.DER_cert_to_PEM_cert(der)


def shown(sluice):
    with TlsClientOf(sluice) as client:
        return serial(client)


def test_keys_that_root_alone_may_read_are_served_by_nobody(start, backend, files):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    with TlsClientOf(sluice) as client:
        assert client.get("/").body == b"one"
    if os.geteuid() == 0:
        for pid in sluice.worker_pids():
            assert os.stat(f"/proc/{pid}").st_uid != 0
    maps = Path(f"/proc/{sluice.pid('updater')}/maps").read_text()
    assert "sluice-tickets" not in maps
    assert not [link for link in Path(f"/proc/{sluice.pid('updater')}/fd").iterdir() if "tickets" in os.readlink(link)]


def test_a_renewed_certificate_is_picked_up_by_itself(start, backend, files, pairs, authority):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    old = shown(sluice)
    files.install(authority.issue("shop.test"))
    sluice.wait_log("event=files-changed")
    wait_reloaded(sluice, 0)
    assert shown(sluice) != old


def test_a_renewal_by_sighup(start, backend, files, authority):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    old = shown(sluice)
    files.install(authority.issue("shop.test"))
    reload(sluice)
    assert shown(sluice) != old


def test_a_renewal_gone_wrong_changes_nothing_and_the_next_one_is_taken(start, backend, files, authority):
    """What was good stays in service with the workers that have read it."""
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    old, workers = shown(sluice), sluice.worker_pids()
    for spoil in (lambda: files.cert.write_text("half a file"), files.key.unlink):
        before = len(sluice.log.all)
        spoil()
        sluice.wait_log("event=certificate-left-out", after=before)
        sluice.wait_log("event=worker-refuses-reload", after=before)
        sluice.wait_log("event=reload-failed", after=before)
        assert shown(sluice) == old and sluice.worker_pids() == workers
    before = len(sluice.log.all)
    files.install(authority.issue("shop.test"))
    wait_reloaded(sluice, before)
    assert shown(sluice) != old


def test_a_renewal_seen_halfway_changes_nothing_until_the_key_is_there_too(start, backend, files, authority):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    old, new = shown(sluice), authority.issue("shop.test")
    shutil.copy(new.cert, files.cert)
    sluice.wait_log("not the key of this certificate")
    sluice.wait_log("event=reload-failed")
    assert shown(sluice) == old
    before = len(sluice.log.all)
    shutil.copy(new.key, files.key)
    wait_reloaded(sluice, before)
    assert shown(sluice) == new.cert.read_text()


def test_what_was_bad_from_the_start_does_not_keep_others_from_being_renewed(start, backend, files, authority, tmp_path):
    bad = {"cert": str(tmp_path / "none.pem"), "key": str(tmp_path / "none.key")}
    sluice = start({"listeners": {"web": secure(bad, files)}, "services": {"web": {"backends": [backend.address]}}, "workers": 2})
    sluice.wait_healthy("web", 1)
    new = authority.issue("shop.test")
    files.install(new)
    reload(sluice)
    assert shown(sluice) == new.cert.read_text()
    files.cert.write_text("half a file")  # one more
    sluice.wait_log("event=reload-failed")
    assert shown(sluice) == new.cert.read_text()


def test_a_reload_for_whose_new_listener_there_is_no_certificate_is_refused(start, backend, files, tmp_path):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    config = json.loads(sluice.config_file.read_text())
    config["listeners"]["more"] = secure({"cert": str(tmp_path / "none.pem")})
    config["services"]["web"]["tls"] = {"ca": str(tmp_path / "none.pem")}
    sluice.write_config(config)
    sluice.signal(signal.SIGHUP)
    sluice.wait_log(["event=worker-refuses-reload", "unusable_files=2"])
    sluice.wait_log("event=reload-failed")
    with pytest.raises(AssertionError):  # that it names other files is no change of files
        sluice.wait_log("event=files-changed", timeout=8)
    with TlsClientOf(sluice) as client:
        assert client.get("/").body == b"one"


def test_a_worker_that_dies_while_files_are_bad_is_replaced_and_others_serve(start, backend, files, pairs):
    """It makes do with what there is: one bad pair must not keep a worker from starting."""
    sluice = start({"listeners": {"web": secure(files), "other": secure(pairs["other"])}, "services": {"web": {"backends": [backend.address]}},
                    "workers": 1})
    sluice.wait_healthy("web", 1)
    good = files.cert.read_bytes()
    files.cert.write_text("half a file")
    sluice.wait_log("event=reload-failed")
    [pid] = sluice.worker_pids()
    before = len(sluice.log.all)
    sluice.kill(pid)
    sluice.wait_log("event=listener-refuses", after=before)
    sluice.wait_log(["event=child-ready", "child=worker"], after=before)
    other = TlsClient(sluice.address("other")[1], "other.test")
    assert other.get("/").body == b"one"
    other.close()
    before = len(sluice.log.all)
    files.cert.write_bytes(good)
    sluice.log.wait(lambda line: "event=reload-completed" in line, after=before)
    sluice.wait_until(lambda: any("event=worker-retires" in line for line in sluice.log.all[before:]))
    with TlsClientOf(sluice) as client:
        assert client.get("/").body == b"one"


def test_sessions_outlive_a_worker(start, backend, files):
    """The keys of the tickets are the supervisor's."""
    sluice = start({"listeners": {"web": secure(files)}, "services": {"web": {"backends": [backend.address]}}, "workers": 1})
    sluice.wait_healthy("web", 1)
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    with TlsClientOf(sluice, context=context) as client:
        client.get("/")
        session = client.sock.session
    [pid] = sluice.worker_pids()
    before = len(sluice.log.all)
    sluice.kill(pid)
    sluice.wait_log(["event=child-ready", "child=worker"], after=before)
    with TlsClientOf(sluice, context=context, session=session) as client:
        assert client.sock.session_reused and client.get("/").body == b"one"


def test_tunnels_by_tls_on_both_sides_live_on_when_certificates_change(start, authority, files):
    backend = TlsBackend(authority.issue("127.0.0.1"))
    start.things.append(backend)

    def upgrade(connection, request):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := connection.sock.recv(65536):
            connection.send(data)
        return False

    backend.on("/up", upgrade)
    sluice = start({"listeners": {"web": secure(files)}, "workers": 2, "user": "nobody",
                    "services": {"web": {"backends": [backend.address], "healthcheck": CHECK, "tls": {"ca": str(authority.cert)}}}})
    sluice.wait_healthy("web", 1)
    with TlsClientOf(sluice) as client:
        client.request("/up", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
        assert client.answer().status == 101
        for _ in range(2):
            files.install(authority.issue("shop.test"))
            reload(sluice)
            for _ in range(5):  # in turn: Python's TLS does not read and write in two threads at once
                data = os.urandom(10_000)
                client.send(data)
                assert client.reader.exactly(len(data)) == data


def test_sessions_outlive_a_reload(start, backend, files):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    context = client_context(version=ssl.TLSVersion.TLSv1_2)
    with TlsClientOf(sluice, context=context) as client:
        client.get("/")
        session = client.sock.session
    reload(sluice)
    with TlsClientOf(sluice, context=context, session=session) as client:
        assert client.sock.session_reused and client.get("/").body == b"one"


def test_no_request_fails_while_certificates_are_renewed(start, backend, files, authority):
    sluice = shop(start, backend, files)
    sluice.wait_healthy("web", 1)
    stop, failures, done = threading.Event(), [], [0]
    context = client_context()
    port = sluice.address("web")[1]

    def ask():
        client = None
        while not stop.is_set():
            try:
                client = client or TlsClient(port, context=context)
                answer = client.get("/")
                assert answer.body == b"one", answer.body
                done[0] += 1
                if answer.field("connection") == "close":
                    client.close()
                    client = None
            except Exception as error:  # noqa: BLE001
                failures.append(repr(error))
                return
        client and client.close()

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            count = done[0]
            files.install(authority.issue("shop.test"))
            reload(sluice)
            deadline = time.monotonic() + 20
            while done[0] < count + 50 and not failures:
                assert time.monotonic() < deadline
                time.sleep(0.01)
    finally:
        stop.set()
        for thread in threads:
            thread.join(20)
    assert not failures and done[0] > 100


def test_all_at_once_under_the_sandbox(start, files, authority, tmp_path):
    """TLS on both sides and to health, a page, a cookie, the access log's file: all read before the privileges go,
    through a refused reload, a good one, SIGUSR1 and a crash."""
    backend = TlsBackend(authority.issue("127.0.0.1"))
    start.things.append(backend)
    page, log = tmp_path / "404.html", tmp_path / "access.log"
    page.write_text("<h1>Nothing here</h1>")
    web = {"backends": [backend.address], "healthcheck": CHECK, "tls": {"ca": str(authority.cert)}, "sticky": {"cookie": "user"},
           "error_pages": {"503": str(page)}, "routes": [{"host": "shop.test"}]}
    sluice = start({"listeners": {"web": secure(files, hsts="1d", client_certificates={"ca": str(authority.cert), "required": False}),
                                  "plain": {"address": "127.0.0.1:0", "redirect": "https"}},
                    "services": {"web": web}, "workers": 2, "user": "nobody", "error_pages": {"404": str(page)},
                    "access_log": {"format": "json", "file": str(log)}})
    sluice.wait_healthy("web", 1)
    asked = [0]

    def served():
        files = [file for file in (log, tmp_path / "access.log.1") if file.exists()]
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line["status"] for line in lines if line.get("status") in (200, 404)]

    def ask():
        asked[0] += 2
        with TlsClientOf(sluice) as client:
            client.send(f"GET /{asked[0]} HTTP/1.1\r\nHost: shop.test\r\n\r\n".encode())
            answer = client.answer()
            assert answer.body == b"a" and answer.field("set-cookie").endswith("; Secure")
            client.send(b"GET / HTTP/1.1\r\nHost: nobody.test\r\nConnection: close\r\n\r\n")
            answer = client.answer()
            assert b"Nothing here" in answer.body and answer.field("strict-transport-security") == "max-age=86400"
        with socket.create_connection(sluice.address("web"), timeout=10) as raw:  # an error within the sandbox
            raw.sendall(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\xff")
            assert raw.recv(1) == b"\x15"

    for _ in range(3):
        ask()
    files.cert.write_text("half a file")
    sluice.wait_log("event=reload-failed")
    ask()
    before = len(sluice.log.all)
    files.install(authority.issue("shop.test"))
    wait_reloaded(sluice, before)
    ask()
    log.rename(tmp_path / "access.log.1")
    sluice.signal(signal.SIGUSR1)
    sluice.wait_log("event=access-log-reopened")  # retired workers may be there still, and get it too
    ask()
    sluice.wait_until(lambda: len(served()) == asked[0])  # what is not written yet dies with its worker
    before = len(sluice.log.all)
    sluice.kill(sluice.worker_pids()[0])
    sluice.wait_log(["event=child-ready", "child=worker"], after=before)
    for _ in range(3):
        ask()
    assert sluice.get("plain", "/", {"Host": "shop.test"})[0] == 308
    sluice.close()
    assert "sandbox" not in "\n".join(line for line in sluice.log.all if "level=error" in line)
    assert served().count(200) == served().count(404) == asked[0] // 2


# --- health by TLS ------------------------------------------------------------------------------------

CHECK = {"http": {"path": "/healthz"}, "interval": "1s", "timeout": "1s", "retries": 1}


def with_tls(start, address, **tls):
    return start({"listeners": {"web": {"address": "127.0.0.1:0"}}, "workers": 1,
                  "services": {"web": {"backends": [address], "healthcheck": CHECK, "tls": tls}}})


def test_checks_verify_as_requests_do(start, authority):
    backend = TlsBackend(authority.issue("127.0.0.1"))
    start.things.append(backend)
    sluice = with_tls(start, backend.address, ca=str(authority.cert))
    sluice.wait_healthy("web", 1)
    assert sluice.get()[2] == b"a"


def test_a_check_by_name_and_with_a_certificate_of_ours(start, authority, tmp_path):
    own = authority.issue("sluice", client=True)
    os.chmod(own.key, 0o600)
    backend = TlsBackend(authority.issue("app.internal"), clients=authority)
    start.things.append(backend)
    sluice = with_tls(start, backend.address, ca=str(authority.cert), name="app.internal", cert=str(own.cert), key=str(own.key))
    sluice.wait_healthy("web", 1)
    assert sluice.get()[2] == b"a"
    assert set(backend.names) == {"app.internal"}


@pytest.mark.parametrize("fault", ["name", "authority", "expired", "plain", "file"])
def test_a_backend_that_requests_would_not_believe_is_not_healthy(start, authority, fault, tmp_path):
    pair = authority.issue("other.internal" if fault == "name" else "127.0.0.1", ends="20250101000000Z" if fault == "expired" else None)
    backend = Backend("plain") if fault == "plain" else TlsBackend(pair)
    start.things.append(backend)
    ca = {} if fault == "authority" else {"ca": str(tmp_path / "none" if fault == "file" else authority.cert)}
    sluice = with_tls(start, backend.address, **ca)
    line = sluice.wait_log("health=unhealthy ")
    reason = {"name": "subject name", "authority": "certificate", "expired": "expired", "plain": "SSL", "file": "No such file"}[fault]
    assert reason.lower() in line.lower(), line
