"""Clients by TLS: what they see is what they would see without it."""

import hashlib
import os
import socket
import ssl
import struct
import subprocess
import threading

import pytest
from conftest import TlsClient, client_context, secure
from harness import sanitized, web

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def refusals(bench, reason):
    return sum(row["refused"][reason] for row in bench.scores()["rows"])


def s_client(port, *arguments, text=b"", name="shop.test"):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, *map(str, arguments)],
                          input=text, capture_output=True, timeout=20)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


@pytest.fixture
def shop(world, pairs):
    backend = world.backend()
    return world.bench(web(backend, listeners={"web": secure(pairs["shop"])})), backend


@pytest.mark.parametrize("version", VERSIONS)
def test_requests_one_after_the_other_on_one_connection(shop, connect, authority, version):
    bench, backend = shop
    client = connect(bench, context=client_context(authority, VERSIONS[version]))
    assert client.sock.version() == f"TLSv{version}"
    for _ in range(50):
        assert client.get("/").body == b"a"
    assert backend.connection_count == 1
    assert backend.requests[0].field("x-forwarded-proto") == "https"
    assert "proto=https" in backend.requests[0].field("forwarded")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 300_000, 5_000_000])
def test_bodies_of_every_size_arrive_whole_both_ways(shop, connect, authority, version, size):
    bench, backend = shop

    def echo(connection, request):
        connection.answer(connection.body(request))

    backend.on("/echo", echo)
    client = connect(bench, context=client_context(authority, VERSIONS[version]))
    body = os.urandom(size)
    client.request("/echo", "POST", body=body)
    assert hashlib.sha256(client.answer().body).digest() == hashlib.sha256(body).digest()
    assert client.get("/").body == b"a"


def test_a_body_in_records_of_one_byte_arrives(shop, connect):
    bench, _ = shop
    client = connect(bench)
    client.send(b"POST /x HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 700\r\n\r\n")
    for _ in range(700):
        client.send(b"x")
    assert client.answer().body == hashlib.sha256(b"x" * 700).hexdigest().encode()


def test_pipelined_requests_in_one_record_are_all_answered(shop, connect):
    """More of them than one read takes: what stays in the TLS layer is fetched without new bytes."""
    bench, _ = shop
    client = connect(bench)
    request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nX: " + b"y" * 3000 + b"\r\n\r\n"
    client.send(request * 100)
    for _ in range(100):
        assert client.answer().body == b"a"


def test_a_slow_reader_of_a_large_answer_gets_it_whole(shop, connect):
    bench, backend = shop
    body = os.urandom(16_000_000)
    backend.on("/large", lambda connection, request: connection.answer(body))
    client = connect(bench)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 100_000)
    client.request("/large")
    bench.until(lambda s: s["backends"][0]["exchanges"] == 1)
    assert client.answer().body == body


def test_head_and_body_come_in_one_record(shop, connect):
    bench, backend = shop
    client = connect(bench)
    client.request("/")
    first = client.sock.recv(65536)
    assert first.endswith(b"\r\n\r\na")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_connection_ends_with_close_notify(shop, connect, authority, version):
    bench, _ = shop
    context = client_context(authority, VERSIONS[version])
    client = connect(bench, context=context)
    client.sock.suppress_ragged_eofs = False
    client.request("/", fields=[("Connection", "close")])
    assert client.answer().body == b"a"
    assert client.sock.recv(1) == b""  # an EOF without close_notify would raise SSLEOFError


def test_a_client_that_says_goodbye_gets_its_answer_still(shop, connect, authority):
    """close_notify ends one direction (RFC 8446 §6.1)."""
    bench, backend = shop
    go = threading.Event()

    def late(connection, request):
        go.wait(10)
        connection.answer(b"late")

    backend.on("/late", late)
    raw = socket.create_connection(("127.0.0.1", bench.port), timeout=10)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="shop.test")

    def step(action):
        while True:
            try:
                result = action()
                raw.sendall(outgoing.read())
                return result
            except ssl.SSLWantReadError:
                raw.sendall(outgoing.read())
                data = raw.recv(65536)
                incoming.write(data) if data else incoming.write_eof()

    step(tls.do_handshake)
    step(lambda: tls.write(b"GET /late HTTP/1.1\r\nHost: shop.test\r\n\r\n"))
    try:
        tls.unwrap()
    except ssl.SSLError:
        pass  # the other side's goodbye is still to come
    raw.sendall(outgoing.read())
    bench.until(lambda s: s["backends"][0]["active"][0] == 1)
    go.set()
    data = b""
    while not data.endswith(b"late"):
        piece = raw.recv(65536)
        assert piece
        incoming.write(piece)
        try:
            data += tls.read(65536)
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        except ssl.SSLError:
            break  # OpenSSL reads no data once it has sent its goodbye and been told to shut down
    raw.close()
    bench.until(lambda s: s["backends"][0]["active"][0] == 0)
    assert bench.scores()["backends"][0]["status"][2] == 1


def test_an_answer_framed_by_the_close_is_not_ended_by_a_cut(world, connect, pairs):
    """A backend breaks off: the client must not take what it has for the whole, so no close_notify."""
    backend = world.backend()
    sent = threading.Event()

    def cut(connection, request):
        connection.send(b"HTTP/1.0 200 OK\r\n\r\npart")
        sent.wait(10)
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.reader.file.close()
        connection.sock.close()  # a reset
        return False

    backend.on("/cut", cut)
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}))
    client = connect(bench)
    client.sock.suppress_ragged_eofs = False
    client.request("/cut", version="1.0")
    assert client.reader.head() and client.reader.exactly(4) == b"part"
    sent.set()
    with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
        while client.sock.recv(65536):
            pass


def test_an_upgraded_connection_is_a_tunnel_both_ways(shop, connect):
    bench, backend = shop

    def upgrade(connection, request):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := connection.sock.recv(65536):
            connection.send(data)
        return False

    backend.on("/up", upgrade)
    client = connect(bench)
    client.request("/up", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
    assert client.answer().status == 101
    for size in (1, 100, 20_000, 200_000):
        data = os.urandom(size)
        client.send(data)
        assert client.reader.exactly(size) == data


def test_events_flow_at_once(shop, connect):
    bench, backend = shop
    go = threading.Semaphore(0)

    def events(connection, request):
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            go.acquire()
            connection.send(b"9\r\ndata: %d\n\n\r\n" % i)
        return False

    backend.on("/events", events)
    client = connect(bench)
    client.request("/events")
    assert client.reader.head()
    for i in range(5):
        go.release()
        assert client.reader.line() == b"9\r\n"
        assert client.reader.exactly(11) == b"data: %d\n\n\r\n" % i


# --- handshakes that are none -------------------------------------------------------------------------

def test_garbage_instead_of_a_hello_is_refused_and_others_are_served(shop, connect):
    bench, _ = shop
    for garbage in (b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"A" * 100, b"SSH-2.0-x\r\n", os.urandom(500), b"\x80\x2e\x01\0\x02"):
        with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    bench.until(lambda s: s["rows"][0]["clients"] == 0)
    assert refusals(bench, "tls") == 5
    assert connect(bench).get("/").body == b"a"
    assert "tls-handshake-failed" in bench.log() and "SSH-2.0" not in bench.log()


def test_plain_http_on_the_tls_port_is_told_so(shop):
    bench, backend = shop
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
        raw.sendall(b"GET /secret HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        answer = b""
        while piece := raw.recv(4096):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ") and backend.count() == 0
    assert "secret" not in bench.log()


def test_a_handshake_that_does_not_come_ends_at_the_header_timeout(world, connect, pairs):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}, timeouts={"header": "300ms"}))
    silent = [socket.create_connection(("127.0.0.1", bench.port), timeout=10) for _ in range(20)]
    for raw in silent[:10]:
        raw.sendall(b"\x16\x03\x01\x02\x00\x01")  # the first bytes of a hello
    assert connect(bench).get("/").body == b"a"  # meanwhile
    for raw in silent:
        try:
            assert raw.recv(1) == b""
        except ConnectionResetError:
            pass
        raw.close()
    assert refusals(bench, "tls") == 20


def test_a_handshake_is_begun_with_the_first_byte_where_accepting_is_deferred(world, connect, pairs):
    backend = world.backend()
    listener = secure(pairs["shop"]) | {"defer_accept": True}
    bench = world.bench(web(backend, listeners={"web": listener}))
    silent = socket.create_connection(("127.0.0.1", bench.port), timeout=10)
    client = connect(bench)
    for _ in range(3):
        assert client.get("/").body == b"a"
    assert bench.scores()["rows"][0]["accepted"] == 1
    silent.sendall(b"\x16")
    bench.until(lambda s: s["rows"][0]["accepted"] == 2)
    silent.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 1)


def test_a_hello_in_pieces_is_put_together(shop, authority):
    bench, _ = shop
    raw = socket.create_connection(("127.0.0.1", bench.port), timeout=10)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="shop.test")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            for byte in outgoing.read():
                raw.sendall(bytes([byte]))
            incoming.write(raw.recv(65536))
    for byte in outgoing.read():
        raw.sendall(bytes([byte]))
    tls.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
    for byte in outgoing.read():
        raw.sendall(bytes([byte]))
    answer = b""
    while not answer.endswith(b"\r\n\r\na"):
        incoming.write(raw.recv(65536))
        try:
            answer += tls.read(65536)
        except ssl.SSLWantReadError:
            pass
    raw.close()


def test_old_versions_are_refused(shop):
    bench, _ = shop
    for version in ("-tls1", "-tls1_1"):
        code, text = s_client(bench.port, version, "-cipher", "ALL:@SECLEVEL=0")
        assert code != 0 and "Cipher is (NONE)" in text


def test_min_version_1_3_refuses_1_2(world, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"], min_version="1.3")}))
    assert s_client(bench.port, "-tls1_2")[0] != 0
    assert s_client(bench.port, "-tls1_3")[0] == 0


def test_renegotiation_is_refused(shop):
    bench, _ = shop
    code, text = s_client(bench.port, "-tls1_2", "-legacy_renegotiation", text=b"R\n")
    assert "no renegotiation" in text or code != 0


def test_compression_and_early_data_are_off(shop, tmp_path):
    bench, _ = shop
    saved = tmp_path / "session"
    _, text = s_client(bench.port, "-tls1_3", "-sess_out", saved, text=b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert "Compression: NONE" in text
    assert "Max Early Data: 0" in text or "Max Early Data" not in text


def test_alpn_is_http_1_1(shop, authority):
    bench, _ = shop
    for offered, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"), (None, None)):
        client = TlsClient(bench.port, context=client_context(authority, alpn=offered))
        assert client.sock.selected_alpn_protocol() == chosen
        client.close()
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        TlsClient(bench.port, context=client_context(authority, alpn=["h2"]))


# --- under load ---------------------------------------------------------------------------------------

def test_many_clients_that_come_and_go_leave_nothing_behind(shop, connect, authority):
    bench, backend = shop
    context = client_context(authority)

    def visit(kind):
        client = TlsClient(bench.port, context=context)
        if kind == 0:
            assert client.get("/").body == b"a"
        elif kind == 1:
            client.send(b"GET / HTTP/1.1\r\nHost:")
        elif kind == 2:
            client.request("/", body=b"x" * 1000, method="POST")
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", kind % 2, 0))
        client.close()

    def visits():
        for i in range(5 if sanitized() else 20):
            visit(i % 4)

    threads = [threading.Thread(target=visits) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    bench.until(lambda s: s["rows"][0]["clients"] == 0 and s["backends"][0]["active"] == [0, 0, 0, 0, 0])
    assert connect(bench).get("/").body == b"a"


def test_a_worker_that_stops_finishes_what_it_has(shop, connect):
    bench, backend = shop
    go = threading.Event()

    def late(connection, request):
        go.wait(10)
        connection.answer(b"late")

    backend.on("/late", late)
    client = connect(bench)
    client.request("/late")
    bench.until(lambda s: s["backends"][0]["active"][0] == 1)
    bench.ask("terminate")
    go.set()
    assert client.answer().body == b"late"
    client.sock.suppress_ragged_eofs = False
    assert client.sock.recv(1) == b""
    assert bench.ask("wait") == [0]


def test_a_proxy_line_ahead_of_the_hello(world, pairs, authority):
    """Whose word counts may say who the client is, in the clear, before TLS begins."""
    backend = world.backend()
    listener = {**secure(pairs["shop"]), "proxy_protocol": True}
    bench = world.bench({**web(backend, listeners={"web": listener}), "trusted_proxies": ["127.0.0.1"]})
    for pause in (False, True):
        raw = socket.create_connection(("127.0.0.1", bench.port), timeout=10)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = b"PROXY TCP4 192.0.2.7 192.0.2.1 4711 443\r\n"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context(authority).wrap_bio(incoming, outgoing, server_hostname="shop.test")
        if pause:
            raw.sendall(line)
            line = b""
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.sendall(line + outgoing.read())  # in one piece with the hello
                line = b""
                incoming.write(raw.recv(65536))
        tls.write(b"GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        raw.sendall(outgoing.read())
        bench.until(lambda s: s["backends"][0]["status"][2] == 1 + pause)
        raw.close()
        assert backend.requests[-1].field("x-forwarded-for").endswith("192.0.2.7")
        assert backend.requests[-1].field("x-forwarded-proto") == "https"
