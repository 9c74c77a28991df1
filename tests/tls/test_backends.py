"""TLS to backends: whom the proxy believes."""

import contextlib
import os
import socket
import ssl
import struct
import threading

import pytest
from authority import Authority
from conftest import TlsBackend, secure
from harness import Client, web


def service(backend, authority=None, **tls):
    if authority is not None:
        tls.setdefault("ca", str(authority.cert))
    return web(backend, tls=tls)


@pytest.fixture
def secure_backend(world):
    def start(pair, **options):
        return world._add(TlsBackend(pair, **options))

    return start


def test_a_backend_whose_certificate_is_good_is_asked(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))
    bench = world.bench(service(backend, authority))
    client = world.client(bench)
    for _ in range(20):
        assert client.get("/").body == b"a"
    assert backend.connection_count == 1
    assert backend.names == [None]  # an address is no name
    scores = bench.until(lambda scores: scores["backends"][0]["idle"] == 1)["backends"][0]
    assert scores["connect_failures"] == 0 and scores["open"] == 1


def test_the_name_is_sent_and_looked_for(world, secure_backend, authority):
    backend = secure_backend(authority.issue("app.internal"))
    bench = world.bench(service(backend, authority, name="app.internal"))
    assert world.client(bench).get("/").body == b"a"
    assert backend.names == ["app.internal"]


def refused(world, backend, bench, *reasons):
    assert world.client(bench).get("/").status == 502
    scores = bench.scores()["backends"][0]
    assert scores["connect_failures"] == 1 and scores["open"] == 0 and scores["connecting"] == 0
    assert backend.count() == 0, "a backend that was not verified got a request"
    lines = [line for line in bench.log().splitlines() if "event=backend-tls-failed" in line]
    assert len(lines) == 1 and any(reason in lines[0].lower() for reason in reasons), lines


def test_a_wrong_name_is_refused(world, secure_backend, authority):
    backend = secure_backend(authority.issue("app.internal"))
    refused(world, backend, world.bench(service(backend, authority, name="other.internal")), "hostname mismatch")


def test_a_wrong_address_is_refused(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.2"))
    refused(world, backend, world.bench(service(backend, authority)), "ip address mismatch")


def test_an_expired_certificate_is_refused(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1", ends="20250101000000Z"))
    refused(world, backend, world.bench(service(backend, authority)), "expired")


def test_a_certificate_not_valid_yet_is_refused(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1", starts="20390101000000Z"))
    refused(world, backend, world.bench(service(backend, authority)), "not yet valid")


def test_another_authoritys_certificate_is_refused(world, secure_backend, authority, tmp_path):
    backend = secure_backend(Authority(tmp_path / "strange", "Strange").issue("127.0.0.1"))
    refused(world, backend, world.bench(service(backend, authority)), "local issuer")


def test_without_ca_the_systems_authorities_are_believed_and_no_other(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))
    refused(world, backend, world.bench(service(backend)), "local issuer", "self-signed", "first certificate")


def test_a_clients_certificate_is_no_servers(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1", client=True))
    refused(world, backend, world.bench(service(backend, authority)), "purpose")


def test_verify_false_believes_anybody(world, secure_backend, authority, tmp_path):
    backend = secure_backend(Authority(tmp_path / "strange", "Strange").issue("nobody", ends="20250101000000Z"))
    bench = world.bench(service(backend, verify=False))
    assert world.client(bench).get("/").body == b"a"


def test_a_backend_that_does_not_speak_tls_is_refused(world, authority):
    backend = world.backend()
    bench = world.bench(service(backend, authority))
    assert world.client(bench).get("/").status == 502
    assert backend.count() == 0 and "event=backend-tls-failed" in bench.log()


def test_a_handshake_that_hangs_ends_at_the_connect_timeout(world, authority):
    listener = socket.create_server(("127.0.0.1", 0))
    config = web(tls={"ca": str(authority.cert)}, timeouts={"connect": "200ms"})
    config["services"]["web"]["backends"] = [f"127.0.0.1:{listener.getsockname()[1]}"]
    bench = world.bench(config)
    assert world.client(bench).get("/").status == 502
    assert bench.scores()["backends"][0]["connecting"] == 0
    listener.close()


def test_an_authority_that_cannot_be_read_fails_every_connect(world, secure_backend, authority, tmp_path):
    backend = secure_backend(authority.issue("127.0.0.1"))
    bench = world.bench(service(backend, ca=str(tmp_path / "none.pem")))
    assert world.client(bench).get("/").status == 502
    assert "event=service-tls-unusable" in bench.log() and backend.count() == 0


def test_connects_that_fail_at_once_hold_no_memory(world, secure_backend, authority, tmp_path):
    backend = secure_backend(authority.issue("127.0.0.1"))
    bench = world.bench(service(backend, ca=str(tmp_path / "none.pem")))
    with contextlib.closing(Client(bench.port)) as client:
        for _ in range(20):
            assert client.get("/").status == 502
        bench.until(lambda s: s["rows"][0]["memory"] > 0)  # it has been summed up
    bench.until(lambda s: s["rows"][0]["clients"] == 0 and s["rows"][0]["memory"] == 0)


def test_a_good_backend_is_tried_after_a_bad_one(world, secure_backend, authority):
    bad, good = secure_backend(authority.issue("other.internal")), secure_backend(authority.issue("127.0.0.1"))
    bench = world.bench(web(bad, good, tls={"ca": str(authority.cert)}, balance="round_robin", ejection={"failures": 100}))
    for _ in range(4):
        assert world.client(bench).get("/").status == 200
    assert good.count() == 4 and bad.count() == 0


def test_our_certificate_is_shown_where_it_is_asked_for(world, secure_backend, authority, tmp_path):
    members = Authority(tmp_path / "members", "Members")
    own = members.issue("sluice", client=True)
    backend = secure_backend(authority.issue("127.0.0.1"), clients=members)
    bench = world.bench(service(backend, authority, cert=str(own.cert), key=str(own.key)))
    assert world.client(bench).get("/").body == b"a"
    without = world.bench(service(backend, authority))
    assert world.client(without).get("/").status == 502


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_taken_up(world, secure_backend, authority, version):
    backend = secure_backend(authority.issue("127.0.0.1"), version=version)
    backend.on("/close", lambda connection, request: connection.answer(b"a", fields=[("Connection", "close")]))
    bench = world.bench(service(backend, authority))
    for _ in range(4):
        assert world.client(bench).get("/close").body == b"a"
    assert backend.resumed == [False, True, True, True]


@pytest.mark.parametrize("size", [1, 16384, 3_000_000])
def test_bodies_both_ways_by_tls_on_both_sides(world, secure_backend, authority, pairs, connect, size):
    backend = secure_backend(authority.issue("127.0.0.1"))
    backend.on("/echo", lambda connection, request: connection.answer(connection.body(request)))
    bench = world.bench({**service(backend, authority), "listeners": {"web": secure(pairs["shop"])}})
    body = os.urandom(size)
    client = connect(bench)
    client.request("/echo", method="POST", body=body)
    assert client.answer().body == body


def test_an_answer_framed_by_the_close_must_end_with_close_notify(world, secure_backend, authority):
    """Without it anybody on the way may have cut it: the client is shown a break, not an end."""
    backend = secure_backend(authority.issue("127.0.0.1"))

    def whole(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\n\r\nwhole")
        connection.sock.unwrap()
        return False

    def cut(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\n\r\npart")
        return False  # a bare FIN

    backend.on("/whole", whole)
    backend.on("/cut", cut)
    bench = world.bench(service(backend, authority))
    client = world.client(bench)
    assert client.get("/whole").body == b"whole"
    client.request("/cut")
    with pytest.raises((EOFError, ValueError, ConnectionResetError)):
        client.answer()


def test_a_backend_that_closes_without_close_notify_after_a_framed_answer_is_fine(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))

    def once(connection, request):
        connection.answer(b"once")
        return False

    backend.on("/once", once)
    bench = world.bench(service(backend, authority))
    client = world.client(bench)
    for _ in range(10):
        assert client.get("/once").body == b"once"


def test_a_tunnel_by_tls(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))

    def upgrade(connection, request):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := connection.sock.recv(65536):
            connection.send(data)
        return False

    backend.on("/up", upgrade)
    bench = world.bench(service(backend, authority))
    client = world.client(bench)
    client.request("/up", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
    assert client.answer().status == 101
    for size in (1, 20_000, 200_000, 8_000_000):
        data = os.urandom(size)
        for at in range(0, size, 50_000):  # in turn: Python's TLS does not read and write in two threads at once
            client.send(data[at:at + 50_000])
            assert client.reader.exactly(len(data[at:at + 50_000])) == data[at:at + 50_000]
    assert bench.scores()["rows"][0]["spliced"] == 0  # bulk or not: what it encrypts it must see


def test_a_tcp_service_by_tls(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))
    config = service(backend, authority)
    config["listeners"] = {"web": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "web"}}
    bench = world.bench(config)
    client = Client(bench.port)
    assert client.get("/").body == b"a"
    client.close()


def test_backends_that_break_off_at_any_point_of_the_handshake(world, authority):
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve():
        for i in range(9):
            sock, _ = listener.accept()
            if i % 3 == 1:
                sock.recv(50)
            elif i % 3 == 2:
                sock.recv(4096)
                sock.sendall(b"\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03" + os.urandom(20))
            if i % 2:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()

    thread = threading.Thread(target=serve)
    thread.start()
    config = web(tls={"ca": str(authority.cert)}, ejection={"failures": 100})
    config["services"]["web"]["backends"] = [f"127.0.0.1:{port}"]
    bench = world.bench(config)
    for _ in range(9):
        assert world.client(bench).get("/").status == 502
    thread.join(10)
    listener.close()
    scores = bench.scores()["backends"][0]
    assert scores["connecting"] == 0 and scores["open"] == 0 and scores["active"] == [0, 0, 0, 0, 0]


class AnnouncedBackend(TlsBackend):
    """Reads a PROXY line (version 1) ahead of TLS."""

    def _serve(self, sock):
        line = b""
        while not line.endswith(b"\r\n"):
            line += sock.recv(1)
        self.announced.append(line)
        super()._serve(sock)


def test_the_proxy_line_goes_ahead_of_tls(world, authority):
    backend = world._add(AnnouncedBackend(authority.issue("127.0.0.1")))
    backend.announced = []
    bench = world.bench(web(backend, tls={"ca": str(authority.cert)}, send_proxy_protocol="v1"))
    client = world.client(bench)
    assert client.get("/").body == b"a"
    port = client.sock.getsockname()[1]
    assert backend.announced == [f"PROXY TCP4 127.0.0.1 127.0.0.1 {port} {bench.port}\r\n".encode()]
