"""Where TLS meets the other features: limits, slow clients, memory, PROXY lines, pages, pools."""

import contextlib
import os
import select
import socket
import ssl
import struct
import threading
import time

import pytest
from authority import Authority
from conftest import TlsBackend, TlsClient, client_context, secure
from harness import Client, Reader, sanitized, web
from test_termination import refusals, s_client

PROXY_LINE = b"PROXY TCP4 %s 192.0.2.1 4711 443\r\n"


def small_client(port, context=None, name="shop.test", before=b""):
    """By TLS, with a small buffer of its own: what it reads is what it takes."""
    client = TlsClient.__new__(TlsClient)
    client.sock = socket.socket()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.sock.settimeout(10)
    client.sock.connect(("127.0.0.1", port))
    if before:
        client.sock.sendall(before)
    client.sock = (context or client_context()).wrap_socket(client.sock, server_hostname=name)
    client.reader = Reader(client.sock)
    return client


@pytest.fixture
def small(world):
    def start(bench, **options):
        return world._add(small_client(bench.port, **options))

    return start


@pytest.fixture
def secure_backend(world):
    def start(pair, **options):
        return world._add(TlsBackend(pair, **options))

    return start


def half_open(world, port, count, start=b""):
    """Connections whose handshake does not go on."""
    opened = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(count)]
    for sock in opened:
        world.things.append(sock)
        sock.sendall(start)
    return opened


# --- slow clients -------------------------------------------------------------------------------------

SLOW = {"min_rate": 20000, "min_rate_window": "300ms"}


def test_an_answer_that_is_taken_too_slowly_is_cut_and_shown_to_be(world, small, pairs):
    backend = world.backend()
    backend.on("/l", lambda connection, request: connection.answer(b"z" * 6_000_000))
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}, limits=SLOW))
    client = small(bench)
    client.request("/l")
    client.sock.suppress_ragged_eofs = False
    end = time.monotonic() + 8
    while refusals(bench, "slow-read") == 0:
        assert time.monotonic() < end
        client.sock.recv(100)
        time.sleep(0.05)  # 2 kB/s: it takes some at each look
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        while client.sock.recv(65536):
            pass
    bench.until(lambda s: s["rows"][0]["clients"] == 0 and s["backends"][0]["active"] == [0, 0, 0, 0, 0])


def test_an_answer_that_is_taken_at_the_rate_arrives_whole(world, small, pairs):
    size = 3 << 20
    backend = world.backend()
    backend.on("/l", lambda connection, request: connection.answer(b"z" * size))
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}, timeouts={"response": "400ms"},
                            limits={"min_rate": 100000, "min_rate_window": "200ms"}))
    client = small(bench)
    client.request("/l")
    client.reader.head()
    got = 0
    while got < size:
        got += len(client.reader.exactly(min(65536, size - got)))
        time.sleep(0.02)
    assert refusals(bench, "slow-read") == 0


def test_a_body_that_trickles_is_408_though_it_never_pauses(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}, limits=SLOW))
    client = connect(bench)
    client.send(b"POST / HTTP/1.1\r\nHost: shop.test\r\nContent-Length: 1000\r\n\r\n")
    client.sock.settimeout(0.05)
    answer = b""
    for _ in range(100):
        client.send(b"x")
        try:
            answer = client.sock.recv(4096)
            break
        except (TimeoutError, ssl.SSLWantReadError):
            pass
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_head_that_trickles_over_tls_is_408(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}, timeouts={"header": "300ms"}))
    client = connect(bench)
    client.send(b"GET / HTTP/1.1\r\nHost: ")
    assert client.answer().status == 408


# --- memory -------------------------------------------------------------------------------------------

def test_idle_tls_connections_give_way_to_memory_and_all_is_counted_down(world, small, connect, pairs):
    backend = world.backend()
    backend.on("/l", lambda connection, request: connection.answer(b"z" * (8 << 20)))
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}, limits={"memory": "4m"}))
    idle = [connect(bench) for _ in range(20)]
    assert [client.get("/").status for client in idle] == [200] * 20
    readers = []
    for _ in range(60):  # each holds some, once the kernel's own buffers are full
        readers.append(small(bench))
        readers[-1].request("/l")
        readers[-1].reader.head()
        if bench.scores()["rows"][0]["pressure"] > 0:
            break
    bench.until(lambda s: s["rows"][0]["refused"]["shed"] >= 20, 10)
    for client in idle:
        assert client.is_closed()
    for client in readers:
        client.close()
    bench.until(lambda s: s["rows"][0]["pressure"] == 0, 10)
    assert connect(bench).get("/").status == 200
    backend.drop_connections()


def test_what_tls_connections_hold_is_counted_down_to_nothing(world, connect, pairs, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))
    backend.on("/cut", lambda connection, request: connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfive!") and False)
    bench = world.bench({**web(backend, tls={"ca": str(authority.cert)}, limits={"body": 1000}),
                         "listeners": {"web": secure(pairs["shop"])}})
    for path, body in (("/", None), ("/", b"x" * 5000), ("/cut", None)):
        client = connect(bench)
        client.request(path, method="POST" if body else "GET", body=body)
        client.reader.line()
        client.close()
    half_open(world, bench.port, 20, b"\x16\x03")
    bench.until(lambda s: s["rows"][0]["clients"] == 20)
    for thing in world.things:
        if isinstance(thing, socket.socket):
            thing.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0)
    backend.drop_connections()
    bench.until(lambda s: s["backends"][0]["open"] == 0 and s["rows"][0]["memory"] == 0)


# --- crowds of handshakes -----------------------------------------------------------------------------

def test_a_thousand_handshakes_that_stand_still_leave_others_served(world, connect, pairs):
    count = 300 if sanitized() else 1000
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}, timeouts={"header": "2s"}), descriptors=4096)
    opened = half_open(world, bench.port, count, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
    bench.until(lambda s: s["rows"][0]["clients"] == count, 20)
    assert connect(bench).get("/").body == b"a"
    if not sanitized():
        assert bench.scores()["rows"][0]["memory"] < count * (40 << 10)
    bench.until(lambda s: s["rows"][0]["refused"]["tls"] == count, 20)
    for sock in opened:
        sock.close()


def test_half_open_handshakes_make_room_at_the_limit_of_connections(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}, limits={"connections": 5}))
    opened = half_open(world, bench.port, 5, b"\x16")
    bench.until(lambda s: s["rows"][0]["clients"] == 5)
    clients = [connect(bench) for _ in range(3)]  # waits until those are no longer new
    assert [client.get("/").body for client in clients] == [b"a"] * 3
    assert refusals(bench, "shed") == 3
    for sock in opened:
        sock.close()


def test_half_open_prefaces_make_room_at_the_limit_of_connections(world, pairs):
    """Who does not say a name must not shut out those that ask by HTTP."""
    config = web(world.backend(), limits={"connections": 5})
    config["services"]["db"] = {"backends": ["127.0.0.1:1"]}
    config["listeners"]["tls"] = {"address": "127.0.0.1:0", "protocol": "tcp", "sni": [{"host": "db.test", "service": "db"}]}
    bench = world.bench(config)
    opened = half_open(world, bench.ports["tls"], 5, b"\x16")
    bench.until(lambda s: s["rows"][0]["accepted"] == 5)
    client = world.client(bench, "web", timeout=5)
    assert client.get("/").body == b"a"
    for sock in opened:
        sock.close()


# --- clients' limits ----------------------------------------------------------------------------------

def test_connections_of_one_client_are_limited_from_before_the_handshake_on(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}, limits={"connections_per_client": 3}))
    opened = half_open(world, bench.port, 2)
    client = connect(bench)
    assert client.get("/").status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError, OSError)):
        TlsClient(bench.port)
    assert refusals(bench, "client-connections") == 1
    for sock in opened:
        sock.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 1)
    assert connect(bench).get("/").status == 200


def behind_proxy(bench, address, **options):
    return small_client(bench.port, before=PROXY_LINE % address, **options)


def test_connections_behind_a_proxy_line_are_counted_by_client_and_not_by_proxy(world, pairs):
    listener = {**secure(pairs["shop"]), "proxy_protocol": True}
    bench = world.bench({**web(world.backend(), listeners={"web": listener}, limits={"connections_per_client": 2}),
                         "trusted_proxies": ["127.0.0.1"]})
    kept = [world._add(behind_proxy(bench, b"198.51.100.%d" % (1 + i // 2))) for i in range(6)]
    assert [client.get("/").status for client in kept] == [200] * 6
    with pytest.raises((ssl.SSLError, ConnectionResetError, OSError)):
        behind_proxy(bench, b"198.51.100.1")
    assert refusals(bench, "client-connections") == 1
    kept[0].close()
    bench.until(lambda s: s["rows"][0]["clients"] == 5)
    assert world._add(behind_proxy(bench, b"198.51.100.1")).get("/").status == 200


def test_requests_are_counted_by_the_client_of_the_proxy_line_or_of_the_header(world, connect, pairs):
    listeners = {"web": secure(pairs["shop"]), "lined": {**secure(pairs["shop"]), "proxy_protocol": True}}
    bench = world.bench({**web(world.backend(), listeners=listeners, limits={"requests_per_client": {"rate": 1, "burst": 2}}),
                         "trusted_proxies": ["127.0.0.1"]})
    client = connect(bench, listener="web")
    for address in ("198.51.100.1", "198.51.100.2"):
        statuses = [client.get("/", fields=[("X-Forwarded-For", address)]).status for _ in range(3)]
        assert statuses == [200, 200, 429]
    lined = world._add(small_client(bench.ports["lined"], before=PROXY_LINE % b"198.51.100.3"))
    # That client is no trusted proxy: its word about others does not count.
    assert [lined.get("/", fields=[("X-Forwarded-For", f"203.0.113.{i}")]).status for i in range(3)] == [200, 200, 429]


# --- what clients may say -----------------------------------------------------------------------------

CLAIMS = [("Client-Cert", ":AAAA:"), ("client_cert", ":BBBB:"), ("Client_Cert-Chain", ":CCCC:"), ("CLIENT-CERT_CHAIN", ":DDDD:"),
          ("Client-Cert", ":EEEE:")]


def test_a_certificate_cannot_be_claimed_nor_struck_out_by_connection(world, connect, pairs, authority, tmp_path):
    members = Authority(tmp_path / "members", "Members")
    alice = members.issue("alice", client=True)
    backend = world.backend()
    listeners = {"web": secure(pairs["shop"], client_certificates={"ca": str(members.cert), "required": False})}
    bench = world.bench(web(backend, listeners=listeners))
    context = client_context(authority)
    context.load_cert_chain(alice.cert, alice.key)
    strike = [("Connection", "Client-Cert, client_cert, keep-alive"), ("Connection", "client-cert-chain")]
    assert connect(bench, context=context).get("/", fields=[*CLAIMS, *strike]).status == 200
    assert connect(bench).get("/", fields=[*CLAIMS, *strike]).status == 200
    told = [[(n, v) for n, v in request.fields if "cert" in n.lower()] for request in backend.requests]
    assert [len(fields) for fields in told] == [1, 0]
    name, value = told[0][0]
    assert name.lower() == "client-cert" and len(value) > 200
    assert connect(bench, context=context).get("/", fields=[("Trailer", "Client-Cert")]).status == 200


def ask_raw(world, bench, head, listener):
    client = world.client(bench, listener)
    client.send(head)
    return client.answer()


@pytest.mark.parametrize("host", ["a@evil.test", "shop.test/x", "shop.test?x", "shop.test#x", "shop.test\\x", "shop.test\tevil.test",
                                  "shop.test, evil.test", "shop.test:80:90", "[::1", "[::1]x", "shop.test%0d%0aX:y", "sh op.test",
                                  "shop.test:99999x", "<script>", "", ":80", "shop.test\rX: y", "shop.test\0", "\xe4.test"])
def test_a_host_that_is_none_is_never_where_a_redirect_leads(world, host):
    bench = world.bench(web(world.backend(), listeners={"web": {"address": "127.0.0.1:0", "redirect": "https"}}))
    answer = ask_raw(world, bench, f"GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"), "web")
    if answer.status == 308:  # only what is a host by RFC 3986, as it came
        assert host == "shop.test%0d%0aX:y" and answer.field("location") in ("https://shop.test%0d%0aX/x",)
    else:
        assert answer.status == 400


@pytest.mark.parametrize("head,location", [
    (b"GET http://evil.test/x HTTP/1.1\r\nHost: shop.test", None),  # two hosts: whoever takes the other one would be led astray
    (b"GET http://shop.test HTTP/1.1\r\nHost: shop.test", "https://shop.test/"),
    (b"GET http://shop.test?q HTTP/1.1\r\nHost: shop.test", "https://shop.test/?q"),
    (b"GET http://u:p@shop.test/ HTTP/1.1\r\nHost: shop.test", None),
    (b"OPTIONS * HTTP/1.1\r\nHost: shop.test:80", "https://shop.test/"),
    (b"GET //evil.test HTTP/1.1\r\nHost: shop.test", "https://shop.test//evil.test"),
    (b"GET /%0d%0aX:y HTTP/1.1\r\nHost: shop.test", "https://shop.test/%0d%0aX:y"),
    (b"GET / HTTP/1.0", None), (b"GET / HTTP/1.0\r\nHost: shop.test:8080", "https://shop.test/"),
    (b"GET / HTTP/1.1\r\nHost: shop.test\r\nHost: evil.test", None), (b"CONNECT shop.test:443 HTTP/1.1\r\nHost: shop.test:443", None)])
def test_where_a_redirect_leads(world, head, location):
    bench = world.bench(web(world.backend(), listeners={"web": {"address": "127.0.0.1:0", "redirect": "https"}}))
    answer = ask_raw(world, bench, head + b"\r\n\r\n", "web")
    assert answer.field("location") == location
    assert (answer.status == 308) == (location is not None)


# --- protocol -----------------------------------------------------------------------------------------

def test_sslv3_hellos_are_refused(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}))
    body = b"\x03\x00" + os.urandom(32) + b"\x00" + b"\x00\x04\xc0\x2f\x00\x2f" + b"\x01\x00"
    hello = b"\x01" + struct.pack(">I", len(body))[1:] + body
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
        raw.sendall(b"\x16\x03\x00" + struct.pack(">H", len(hello)) + hello)
        alert = raw.recv(100)
        assert alert[0] == 21 and alert[5] == 2 and not raw.recv(100)  # fatal
    assert refusals(bench, "tls") == 1 and connect(bench).get("/").body == b"a"


def test_renegotiation_over_and_over_moves_nothing(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}))
    code, text = s_client(bench.port, "-tls1_2", "-legacy_renegotiation", text=b"R\n" * 5)
    assert "no renegotiation" in text or code != 0
    assert text.count("New, TLSv1.2") <= 1 and connect(bench).get("/").body == b"a"


def memory_client(port, version=None):
    """TLS whose records a test can hold back, cut or spoil."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(version=version).wrap_bio(incoming, outgoing, server_hostname="shop.test")
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            raw.sendall(outgoing.read())
            incoming.write(raw.recv(65536))
    raw.sendall(outgoing.read())
    return raw, tls, outgoing


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_spoilt_record_ends_its_connection_and_nothing_of_it_reaches_a_backend(world, connect, pairs, version):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}))
    for at in (6, 20, -1):
        raw, tls, outgoing = memory_client(bench.port, version)
        tls.write(b"GET /spoilt HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        record = bytearray(outgoing.read())
        record[at] ^= 1
        raw.sendall(record)
        raw.settimeout(10)
        try:
            while raw.recv(4096):
                pass
        except ConnectionResetError:
            pass
        raw.close()
    bench.until(lambda s: s["rows"][0]["clients"] == 0)
    assert backend.count() == 0 and connect(bench).get("/").body == b"a"


def test_a_goodbye_or_an_end_in_the_middle_of_a_body_is_no_whole_request(world, connect, pairs):
    backend = world.backend()
    bodies = []
    backend.on("/up", lambda connection, request: bodies.append(connection.body(request)) or connection.answer(b"got"))
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"])}))
    for goodbye in (True, False):
        for head in (b"Content-Length: 100", b"Transfer-Encoding: chunked"):
            raw, tls, outgoing = memory_client(bench.port)
            tls.write(b"POST /up HTTP/1.1\r\nHost: shop.test\r\n" + head + b"\r\n\r\n5\r\nhello\r\n")
            raw.sendall(outgoing.read())
            bench.until(lambda s: sum(s["backends"][0]["active"]) == 1)
            if goodbye:
                try:
                    tls.unwrap()
                except ssl.SSLError:
                    pass
                raw.sendall(outgoing.read())
            raw.shutdown(socket.SHUT_WR)
            bench.until(lambda s: sum(s["backends"][0]["active"]) == 0)
            raw.close()
    assert bodies == [] or all(body is None for body in bodies)


def test_alerts_end_the_connection_that_they_came_by(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}))
    for alert in (b"\x15\x03\x03\x00\x02\x02\x28", b"\x15\x03\x01\x00\x02\x01\x00", b"\x15\x03\x01\x00\x02\x01\x5a" * 50):
        with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
            raw.sendall(alert)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    bench.until(lambda s: s["rows"][0]["clients"] == 0)
    assert connect(bench).get("/").body == b"a"


# --- listeners of every kind beside one another -------------------------------------------------------

def test_termination_passthrough_and_proxy_lines_beside_one_another(world, connect, pairs, authority, secure_backend):
    plain, inner = world.backend("plain"), secure_backend(authority.issue("db.test"), name="inner")
    config = web(plain, listeners={"web": secure(pairs["shop"]), "lined": {**secure(pairs["shop"]), "proxy_protocol": True},
                                   "named": {"address": "127.0.0.1:0", "protocol": "tcp", "proxy_protocol": True,
                                             "sni": [{"host": "db.test", "service": "db"}]}})
    config["services"]["web"]["routes"] = [{"path": "/"}]
    config["services"]["db"] = {"backends": [inner.address]}
    config["trusted_proxies"] = ["127.0.0.1"]
    bench = world.bench(config)
    for _ in range(3):
        assert connect(bench, listener="web").get("/").body == b"plain"
        lined = small_client(bench.ports["lined"], before=PROXY_LINE % b"198.51.100.9")
        assert lined.get("/").body == b"plain"
        lined.close()
        named = small_client(bench.ports["named"], client_context(authority), "db.test", PROXY_LINE % b"198.51.100.9")
        assert named.get("/").body == b"inner"
        named.close()
    assert inner.names == ["db.test"] * 3


# --- answers of our own, cookies, pools ---------------------------------------------------------------

def test_error_pages_and_the_secure_cookie_come_by_tls_with_hsts(world, connect, pairs, tmp_path):
    page = tmp_path / "503.html"
    page.write_text("<h1>Back soon</h1>")
    backend = world.backend()
    config = {**web(backend, listeners={"web": secure(pairs["shop"], hsts="1d")}, error_pages={"503": str(page)},
                    sticky={"cookie": "user"}), "user": "nobody"}
    bench = world.bench(config)
    client = connect(bench)
    assert client.get("/").field("set-cookie").endswith("; Secure")
    bench.ask("drain 0")
    bench.until(lambda s: client.get("/").status == 503)
    answer = client.get("/")
    assert answer.status == 503 and b"Back soon" in answer.body
    assert answer.field("strict-transport-security") == "max-age=86400" and answer.field("set-cookie") is None


def both_ways_at_once(sock, data):
    """Sends and takes in as each may go on, in one thread: Python's TLS does not bear two."""
    left, got = memoryview(data), bytearray()
    sock.setblocking(False)
    while len(got) < len(data):
        readable, writable, _ = select.select([sock], [sock] if left else [], [], 20)
        assert readable or writable or sock.pending(), f"{len(got)} of {len(data)} came back"
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            if left:
                left = left[sock.send(left[:50_000]):]
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            piece = sock.recv(65536)
            assert piece, f"ended after {len(got)} of {len(data)}"
            got += piece
    return bytes(got)


@pytest.mark.parametrize("size", [5_000_000])
def test_an_upgrade_by_tls_on_both_sides_carries_both_ways_at_once(world, connect, pairs, authority, secure_backend, size):
    backend = secure_backend(authority.issue("127.0.0.1"))

    def upgrade(connection, request):
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while data := connection.sock.recv(65536):
            connection.send(data)
        return False

    backend.on("/up", upgrade)
    bench = world.bench({**web(backend, tls={"ca": str(authority.cert)}), "listeners": {"web": secure(pairs["shop"])}})
    client = connect(bench)
    client.request("/up", fields=[("Connection", "upgrade"), ("Upgrade", "echo")])
    assert client.answer().status == 101
    data = os.urandom(size)
    assert both_ways_at_once(client.sock, data) == data


def test_pooled_tls_connections_end_with_the_backend_that_drains(world, secure_backend, authority):
    backend = secure_backend(authority.issue("127.0.0.1"))
    bench = world.bench(web(backend, tls={"ca": str(authority.cert)}))
    assert world.client(bench).get("/").body == b"a"
    bench.until(lambda s: s["backends"][0]["idle"] == 1)
    bench.ask("drain 0")
    bench.until(lambda s: s["backends"][0]["open"] == 0 and s["backends"][0]["idle"] == 0)


def test_a_tunnel_to_a_backend_by_tls_from_a_plain_tcp_client_keeps_every_byte(world, secure_backend, authority):
    """One side cannot be spliced: the bytes go by hand."""
    backend = secure_backend(authority.issue("127.0.0.1"))
    backend.on("/echo", lambda connection, request: connection.answer(connection.body(request)))
    config = web(backend, tls={"ca": str(authority.cert)})
    config["listeners"] = {"web": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "web"}}
    bench = world.bench(config)
    body = os.urandom(3_000_000)
    client = world._add(Client(bench.port))
    thread = threading.Thread(target=client.request, args=("/echo", "POST"), kwargs={"body": body})
    thread.start()
    assert client.answer().body == body
    thread.join(10)
