"""TLS passthrough by the name in the ClientHello: real clients and servers at both ends, and raw
bytes for what they would never send."""

import contextlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from harness import unused_address
from test_proxy_protocol import Echo, V1, refused, trusting

CORPUS = Path(__file__).resolve().parents[1] / "fuzz" / "corpus" / "client_hello"
ALERT_UNRECOGNIZED_NAME = b"\x15\x03\x03\x00\x02\x02\x70"
ALERT_DECODE_ERROR = b"\x15\x03\x03\x00\x02\x02\x32"


def config(names, default=None, **services):
    listener = {"address": "127.0.0.1:0", "protocol": "tcp",
                "sni": [{"host": h, "service": s} for h, s in names.items()]}
    if default:
        listener["service"] = default
    return {"listeners": {"tls": listener}, "access_log": "on",
            "services": {name: {"backends": [address]} for name, address in services.items()}}


class OpenSslServer:
    """openssl s_server: answers each request with a page that names the session."""

    def __init__(self, folder, name, *options):
        key, self.cert = Path(folder) / f"{name}.key", Path(folder) / f"{name}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1", "-keyout", key,
                        "-out", self.cert, "-subj", f"/CN={name}",
                        "-addext", f"subjectAltName=DNS:{name}"],
                       check=True, capture_output=True, timeout=30)
        self.address = unused_address()
        self.process = subprocess.Popen(
            ["openssl", "s_server", "-accept", self.address, "-cert", self.cert, "-key", key, "-www",
             "-quiet", *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        host, port = self.address.split(":")
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((host, int(port))).close()
                return
            assert time.monotonic() < end and self.process.poll() is None
            time.sleep(0.01)

    def close(self):
        self.process.terminate()
        self.process.wait(10)


@pytest.fixture(scope="module")
def servers():
    with tempfile.TemporaryDirectory(prefix="sluice-sni-") as folder:
        found = {name: OpenSslServer(folder, name) for name in ("db.example", "a.example.org")}
        yield found
        for server in found.values():
            server.close()


@pytest.fixture
def bench(world, servers):
    return world.bench(config({"db.example": "db", "*.example.org": "org"},
                              db=servers["db.example"].address,
                              org=servers["a.example.org"].address))


def handshake(bench, name, server, minimum=None, maximum=None):
    """A verified handshake; returns the first line of the page."""
    context = ssl.create_default_context(cafile=server.cert)
    if minimum:
        context.minimum_version, context.maximum_version = minimum, maximum
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
        with context.wrap_socket(raw, server_hostname=name) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return tls.recv(15)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_each_name_reaches_its_own_server(bench, servers, version):
    for name, server in servers.items():
        assert handshake(bench, name, server, version, version) == b"HTTP/1.0 200 ok"
    assert handshake(bench, "DB.example", servers["db.example"]) == b"HTTP/1.0 200 ok"


def test_openssl_client_and_curl_get_through(bench, servers):
    server = servers["db.example"]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{bench.port}", "-servername", "db.example",
         "-CAfile", server.cert, "-verify_return_error"], input=b"GET / HTTP/1.0\r\n\r\n",
        capture_output=True, timeout=20)
    assert b"Verify return code: 0 (ok)" in done.stdout, done.stderr
    if shutil.which("curl"):
        subprocess.run(["curl", "-fsS", "--cacert", server.cert, "-o", "/dev/null", "--resolve",
                        f"db.example:{bench.port}:127.0.0.1", f"https://db.example:{bench.port}/"],
                       check=True, timeout=20)


def test_name_of_nobody_gets_an_alert_and_is_counted(bench):
    context = ssl.create_default_context()
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME|unrecognized name"):
            context.wrap_socket(raw, server_hostname="nobody.example")
    bench.until(refused("no-route"))


def test_hello_without_a_name_gets_the_default_or_an_alert(world, bench):
    hello = (CORPUS / "openssl-no-name").read_bytes()
    client = world.client(bench)
    client.send(hello)
    assert client.reader.rest() == ALERT_UNRECOGNIZED_NAME
    echo = world._add(Echo())
    client = world.client(world.bench(config({"db.example": "db"}, "rest", rest=echo.address,
                                             db=unused_address())))
    client.send(hello)
    assert client.reader.exactly(len(hello)) == hello


def test_what_is_no_tls_gets_the_default_or_is_closed(world, bench):
    client = world.client(bench)
    client.send(b"GET / HTTP/1.1\r\n\r\n")
    assert client.is_closed()
    bench.until(refused("no-route"))
    assert "why=not-tls" in bench.log()
    echo = world._add(Echo())
    client = world.client(world.bench(config({"db.example": "db"}, "rest", rest=echo.address,
                                             db=unused_address())))
    client.send(b"\0\0\0\x08\x04\xd2\x16\x2f")
    assert client.reader.exactly(8) == b"\0\0\0\x08\x04\xd2\x16\x2f"


@pytest.mark.parametrize("name", ["python", "python-tls12", "openssl", "curl", "in-records"])
def test_hello_in_single_bytes_goes_on_untouched(world, name):
    echo, other = world._add(Echo()), world._add(Echo())
    bench = world.bench(config({"db.example": "db"}, "rest", db=echo.address, rest=other.address))
    client = world.client(bench)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    hello = (CORPUS / name).read_bytes()
    for byte in hello:
        client.send(bytes([byte]))
    client.send(b"and more")
    assert client.reader.exactly(len(hello) + 8) == hello + b"and more"
    assert not other.received


@pytest.mark.parametrize("raw, why", [
    (b"\x16\x03\x01\x00\x00", "broken"), (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00", "broken"),
    (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01x", "broken"), (b"\x16\x03\x01\xff\xff", "broken"),
    (b"\x16\x03\x01\x40\x00\x01\x01\x00\x00", "too-long"),
    (b"".join(b"\x16\x03\x01\x00\x01" + bytes([byte]) for byte in b"\x01\0\x20" + bytes(2800)),
     "too-long")],
    ids=["empty-record", "server-hello", "cut-body", "long-record", "64k-message", "tiny-records"])
def test_hello_that_breaks_the_rules_gets_an_alert(world, bench, raw, why):
    client = world.client(bench)
    client.send(raw)
    assert client.reader.rest() == ALERT_DECODE_ERROR
    bench.until(refused("bad-hello"))
    assert f"why=hello-{why}" in bench.log()


def test_slow_hello_is_ended_by_its_deadline(world):
    settings = config({"db.example": "db"}, db=unused_address())
    settings["timeouts"] = {"header": "300ms"}
    bench = world.bench(settings)
    client = world.client(bench)
    client.send((CORPUS / "openssl").read_bytes()[:100])
    assert client.is_closed()
    assert world.client(bench).is_closed()  # one that says nothing
    bench.until(refused("slow-client", 2))
    assert "why=hello-late" in bench.log()


def test_hello_cut_by_its_client_is_refused_at_once(world, bench):
    client = world.client(bench)
    client.send((CORPUS / "openssl").read_bytes()[:100])
    client.sock.shutdown(socket.SHUT_WR)
    assert client.is_closed()
    bench.until(refused("bad-hello"))
    assert "why=hello-cut" in bench.log()


def test_proxy_header_comes_before_the_hello_and_goes_on(world):
    echo = world._add(Echo())
    settings = trusting(config({"db.example": "db"}, db=echo.address))
    settings["services"]["db"]["send_proxy_protocol"] = "v1"
    client = world.client(world.bench(settings))
    hello = (CORPUS / "python").read_bytes()
    for piece in (V1[:10], V1[10:] + hello[:30], hello[30:]):
        client.send(piece)
    assert client.reader.exactly(len(V1 + hello)) == V1 + hello


def test_names_of_one_service_are_balanced_and_counted_as_tcp(world):
    echo = world._add(Echo())
    bench = world.bench(config({"db.example": "db", "*.db.example": "db"}, db=echo.address))
    client = world.client(bench)
    client.send((CORPUS / "openssl").read_bytes())
    bench.until(lambda s: s["backends"][0]["active"] == [0, 0, 0, 0, 1])


def test_stopping_worker_waits_for_no_hello_longer_than_its_deadline(world):
    echo = world._add(Echo())
    settings = config({"db.example": "db"}, db=echo.address)
    settings["timeouts"] = {"header": "500ms"}
    bench = world.bench(settings)
    client = world.client(bench)
    client.send(b"\x16")
    bench.until(lambda s: s["rows"][0]["accepted"] == 1)
    assert bench.stop() == [0]
    assert client.is_closed()


def test_client_that_says_nothing_counts_against_its_connections(world):
    settings = config({"db.example": "db"}, db=unused_address())
    settings["limits"] = {"connections_per_client": 2}
    bench = world.bench(settings)
    first, _second = world.client(bench), world.client(bench)
    bench.until(lambda s: s["rows"][0]["accepted"] == 2)
    assert world.client(bench).is_closed()
    bench.until(refused("client-connections"))
    first.close()
    hello = (CORPUS / "openssl-no-name").read_bytes()
    answer = b""
    while answer != ALERT_UNRECOGNIZED_NAME:  # until the worker has seen the first one go
        with contextlib.suppress(ConnectionError):
            again = world.client(bench)
            again.send(hello)
            answer = again.reader.rest()
