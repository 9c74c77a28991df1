import importlib.util
import ssl
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
sys.path.insert(1, str(HERE.parent / "proxy"))

from authority import Authority  # noqa: E402
from harness import Backend, Client, Reader  # noqa: E402

# The proxy's own world of workers, backends and clients.
_spec = importlib.util.spec_from_file_location("proxy_conftest", HERE.parent / "proxy" / "conftest.py")
_proxy = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_proxy)
world = _proxy.world
pytest_runtest_makereport = _proxy.pytest_runtest_makereport


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def pairs(authority):
    """Certificates that many tests use; made once."""
    return {"shop": authority.issue("shop.test", "www.shop.test"), "rsa": authority.issue("shop.test", key="rsa"),
            "star": authority.issue("*.star.test"), "other": authority.issue("other.test")}


class TlsClient(Client):
    """An HTTP client on TLS. Verifies by the authority, where one is given."""

    def __init__(self, port, name="shop.test", authority=None, session=None, context=None, timeout=10):
        super().__init__(port, timeout)
        self.context = context or client_context(authority)
        self.reader.file.close()
        self.sock = self.context.wrap_socket(self.sock, server_hostname=name, session=session)
        self.reader = Reader(self.sock)

    def certificate(self):
        return self.sock.getpeercert()

    def close(self):
        try:
            super().close()
        except OSError:
            pass


def client_context(authority=None, version=None, alpn=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(authority.cert)
    if version:
        context.minimum_version = context.maximum_version = version
    if alpn:
        context.set_alpn_protocols(alpn)
    return context


@pytest.fixture
def connect(world, authority):
    """connect(bench, name) gives a TlsClient, closed at the end."""

    def start(bench, name="shop.test", listener=None, **options):
        options.setdefault("authority", authority)
        client = TlsClient(bench.ports[listener] if listener else bench.port, name, **options)
        world.things.append(client)
        return client

    return start


def secure(*pairs, address="127.0.0.1:0", **tls):
    """A listener."""
    return {"address": address, "tls": {"certificates": [p if isinstance(p, dict) else p.config() for p in pairs], **tls}}


class TlsBackend(Backend):
    """A backend that speaks TLS. `clients`: the authority whose certificates it asks for."""

    def __init__(self, pair, name="a", clients=None, version=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(pair.cert, pair.key)
        if clients is not None:
            self.context.verify_mode = ssl.CERT_REQUIRED
            self.context.load_verify_locations(clients.cert)
        if version is not None:
            self.context.minimum_version = self.context.maximum_version = version
        self.names, self.resumed = [], []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        super().__init__(name)

    def _serve(self, sock):
        try:
            sock = self.context.wrap_socket(sock, server_side=True)
        except (OSError, ssl.SSLError):
            sock.close()
            return
        self.resumed.append(sock.session_reused)
        super()._serve(sock)
