"""Which certificate a client gets, what becomes of bad ones, tickets, staples and clients' own."""

import base64
import http.client
import json
import socket
import ssl
import subprocess

import pytest
from authority import openssl
from conftest import TlsClient, client_context, secure
from harness import BUILD, Client, web
from test_termination import refusals, s_client


def names_of(client):
    return {value for kind, value in client.certificate()["subjectAltName"]}


def served(port, name, authority, *arguments):
    """The subject and key of what s_client is shown."""
    _, text = s_client(port, "-CAfile", authority.cert, *arguments, name=name)
    return text


# --- by name ------------------------------------------------------------------------------------------

def test_the_name_chooses_the_certificate(world, connect, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"], pairs["star"], pairs["other"])}))
    for name, expected in (("shop.test", "shop.test"), ("www.shop.test", "shop.test"), ("a.star.test", "*.star.test"),
                           ("other.test", "other.test"), ("OTHER.test", "other.test")):
        assert expected in names_of(connect(bench, name)), name


def test_without_a_name_or_with_a_strange_one_the_first_is_served(world, pairs, authority):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["star"], pairs["shop"])}))
    context = client_context(authority)
    context.check_hostname = False
    for name in (None, "nobody.test", "a.b.star.test", "star.test"):
        client = TlsClient(bench.port, name, context=context)
        assert names_of(client) == {"*.star.test"}, name
        client.close()


@pytest.mark.parametrize("order", [("shop", "rsa"), ("rsa", "shop")])
@pytest.mark.parametrize("first", [True, False])
def test_rsa_and_ecdsa_for_one_name_by_what_the_client_can(world, pairs, authority, order, first):
    both = [pairs[name] for name in order]
    listener = secure(*both, pairs["other"]) if first else secure(pairs["other"], *both)
    bench = world.bench(web(world.backend(), listeners={"web": listener}))
    for cipher, kind in (("ECDHE-RSA-AES128-GCM-SHA256", "RSA"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDSA")):
        _, text = s_client(bench.port, "-tls1_2", "-cipher", cipher)
        assert f"Peer signature type: {kind}" in text or f"Cipher is {cipher}" in text
        assert f"Cipher is {cipher}" in text
    for algorithms, kind in (("RSA-PSS+SHA256", "RSA-PSS"), ("ECDSA+SHA256", "ECDSA")):
        _, text = s_client(bench.port, "-tls1_3", "-sigalgs", algorithms)
        assert f"Peer signature type: {kind}" in text


def test_ed25519_is_served_to_those_who_know_it(world, authority, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(authority.issue("shop.test", key="ed25519"), pairs["rsa"])}))
    assert "PKEY: ED25519" in s_client(bench.port, "-sigalgs", "ed25519")[1]
    assert "PKEY: rsaEncryption" in s_client(bench.port, "-sigalgs", "RSA-PSS+SHA256")[1]


def test_the_chain_is_sent(world, tmp_path, authority, pairs):
    chained = tmp_path / "chained.pem"
    chained.write_bytes(pairs["shop"].cert.read_bytes() + authority.cert.read_bytes())
    bench = world.bench(web(world.backend(), listeners={"web": secure({"cert": str(chained), "key": str(pairs["shop"].key)})}))
    assert s_client(bench.port, "-showcerts")[1].count("BEGIN CERTIFICATE") >= 2


def test_key_and_certificate_in_one_file(world, connect, tmp_path, pairs):
    both = tmp_path / "both.pem"
    both.write_bytes(pairs["shop"].key.read_bytes() + pairs["shop"].cert.read_bytes())
    bench = world.bench(web(world.backend(), listeners={"web": secure({"cert": str(both)})}))
    assert connect(bench).get("/").status == 200


# --- bad ones -----------------------------------------------------------------------------------------

def bad_pairs(tmp_path, authority, pairs):
    encrypted = tmp_path / "encrypted.key"
    openssl("ec", "-in", pairs["other"].key, "-aes128", "-passout", "pass:secret", "-out", encrypted)
    empty, garbage = tmp_path / "empty.pem", tmp_path / "garbage.pem"
    empty.touch()
    garbage.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    cert, key = str(pairs["other"].cert), str(pairs["other"].key)
    return {"no such file": {"cert": str(tmp_path / "none.pem"), "key": key}, "another's key": {"cert": cert, "key": str(pairs["star"].key)},
            "no key": {"cert": cert, "key": cert}, "a passphrase": {"cert": cert, "key": str(encrypted)},
            "empty": {"cert": str(empty), "key": key}, "garbage": {"cert": str(garbage), "key": key},
            "a folder": {"cert": str(tmp_path), "key": key}, "weak": authority.issue("weak.test", key="weak").config()}


def test_bad_pairs_are_left_out_and_the_rest_serves(world, connect, tmp_path, authority, pairs):
    bad = bad_pairs(tmp_path, authority, pairs)
    bench = world.bench(web(world.backend(), listeners={"web": secure(*bad.values(), pairs["shop"])}))
    assert connect(bench).get("/").status == 200
    lines = [line for line in bench.log().splitlines() if "event=certificate-left-out" in line]
    assert len(lines) == len(bad)
    for text in ("No such file", "not the key of this certificate", "no private key", "no certificate (PEM)", "key too small"):
        assert any(text in line for line in lines), text


def check(config, tmp_path, *options):
    path = tmp_path / "sluice.json"
    path.write_text(json.dumps(config))
    return subprocess.run([BUILD / "bin" / "sluice", "check", path, *options], capture_output=True, text=True, timeout=30)


def test_check_tells_bad_files_before_they_are_served(tmp_path, authority, pairs):
    bad = bad_pairs(tmp_path, authority, pairs)
    services = {"web": {"backends": ["127.0.0.1:1"]}}
    good = {"listeners": {"web": secure(pairs["shop"])}, "services": services}
    done = check(good, tmp_path)
    assert done.returncode == 0 and "is good" in done.stdout and done.stderr == ""
    for name, pair in bad.items():
        done = check({"listeners": {"web": secure(pairs["shop"], pair)}, "services": services}, tmp_path)
        assert done.returncode == 2 and "certificate-left-out listener=web" in done.stderr and done.stdout == "", name
    done = check({**good, "services": {"web": {"backends": ["127.0.0.1:1"], "tls": {"ca": str(tmp_path / "none")}}}}, tmp_path, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 2 and answer["ok"] is False and "No such file" in answer["errors"][0]
    old = authority.issue("shop.test", ends="20250101000000Z")
    done = check({**good, "listeners": {"web": secure(old)}}, tmp_path)
    assert done.returncode == 0 and "certificate-out-of-date" in done.stderr


def test_an_expired_certificate_serves_with_a_warning(world, authority):
    old = authority.issue("shop.test", ends="20250101000000Z")
    bench = world.bench(web(world.backend(), listeners={"web": secure(old)}))
    assert TlsClient(bench.port).get("/").status == 200
    assert "event=certificate-out-of-date" in bench.log() and "2025-01-01T00:00:00Z" in bench.log()
    with pytest.raises(ssl.SSLCertVerificationError):
        TlsClient(bench.port, authority=authority)


def test_a_listener_without_a_good_pair_refuses_and_others_serve(world, connect, tmp_path, pairs):
    listeners = {"bad": secure({"cert": str(tmp_path / "none.pem")}), "good": secure(pairs["shop"]), "plain": {"address": "127.0.0.1:0"}}
    bench = world.bench(web(world.backend(), listeners=listeners))
    assert connect(bench, listener="good").get("/").status == 200
    assert world.client(bench, "plain").get("/").status == 200
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsClient(bench.ports["bad"])
    assert "event=listener-refuses listener=bad" in bench.log()
    assert refusals(bench, "tls") == 1


# --- tickets ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed_by_any_worker(world, pairs, tmp_path, version):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}), rows=2)
    session = tmp_path / "session"
    request = b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n"
    _, text = s_client(bench.port, version, "-sess_out", session, "-ign_eof", text=request)
    assert "New, TLS" in text
    for _ in range(12):
        _, text = s_client(bench.port, version, "-sess_in", session, "-ign_eof", text=request)
        assert "Reused, TLS" in text and "200 OK" in text
    assert all(row["accepted"] > 0 for row in bench.scores()["rows"])  # 13 draws of two


def test_a_session_of_one_listener_is_none_of_another(world, pairs, authority):
    """What was asked of a client there was not asked here."""
    listeners = {"open": secure(pairs["shop"]),
                 "closed": secure(pairs["shop"], client_certificates={"ca": str(authority.cert), "required": True})}
    bench = world.bench(web(world.backend(), listeners=listeners))
    context = client_context(authority, ssl.TLSVersion.TLSv1_2)
    first = TlsClient(bench.ports["open"], context=context)
    first.get("/")
    again = TlsClient(bench.ports["open"], context=context, session=first.sock.session)
    assert again.sock.session_reused
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsClient(bench.ports["closed"], context=context, session=first.sock.session)


# --- staples ------------------------------------------------------------------------------------------

def test_the_staple_is_sent_with_its_own_certificate_only(world, pairs, authority):
    listener = secure(pairs["shop"].config(ocsp=authority.staple(pairs["shop"])), pairs["other"])
    bench = world.bench(web(world.backend(), listeners={"web": listener}))
    assert "OCSP Response Status: successful" in s_client(bench.port, "-status")[1]
    assert "OCSP response: no response sent" in s_client(bench.port, "-status", name="other.test")[1]
    assert "OCSP Response Data" not in s_client(bench.port)[1]  # not asked for


def test_a_staple_that_is_none_is_left_out_and_the_certificate_serves(world, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"].config(ocsp=pairs["shop"].cert))}))
    assert "no response sent" in s_client(bench.port, "-status")[1]
    assert "event=staple-left-out" in bench.log()


# --- clients' certificates ----------------------------------------------------------------------------

@pytest.fixture(scope="module")
def members(tmp_path_factory):
    from authority import Authority
    return Authority(tmp_path_factory.mktemp("members"), "Members")


def with_certificate(authority, pair, version=None):
    context = client_context(authority, version)
    context.load_cert_chain(pair.cert, pair.key)
    return context


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_clients_certificate_is_told_to_the_backend(world, connect, pairs, authority, members, version):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"], client_certificates={"ca": str(members.cert)})}))
    alice = members.issue("alice", client=True)
    context = with_certificate(authority, alice, version)
    client = connect(bench, context=context)
    assert client.get("/", fields=[("Client-Cert", ":AAAA:"), ("Client_Cert", ":BBBB:")]).status == 200
    request = backend.requests[0]
    told = [value for name, value in request.fields if "client" in name]
    assert len(told) == 1
    assert base64.b64decode(told[0].strip(":")) == ssl.PEM_cert_to_DER_cert(alice.cert.read_text())
    again = connect(bench, context=context, session=client.sock.session)
    assert again.get("/").status == 200
    assert backend.requests[1].field("client-cert") == told[0]  # a resumed session has it too


def test_without_a_certificate_where_one_is_required_nobody_gets_in(world, pairs, authority, members):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"], client_certificates={"ca": str(members.cert)})}))
    strange = authority.issue("mallory", client=True)
    for context in (client_context(authority), with_certificate(authority, strange)):
        with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
            TlsClient(bench.port, context=context).get("/")
    assert backend.count() == 0


def test_where_it_is_not_required_one_may_come_without_but_not_with_a_bad_one(world, connect, pairs, authority, members):
    backend = world.backend()
    listener = secure(pairs["shop"], client_certificates={"ca": str(members.cert), "required": False})
    bench = world.bench(web(backend, listeners={"web": listener}))
    assert connect(bench).get("/", fields=[("Client-Cert", ":AAAA:")]).status == 200
    assert backend.requests[0].field("client-cert") is None
    with pytest.raises((ssl.SSLError, ConnectionResetError, EOFError)):
        TlsClient(bench.port, context=with_certificate(authority, authority.issue("mallory", client=True))).get("/")


def test_claims_of_a_certificate_are_dropped_on_plain_listeners_too(world):
    backend = world.backend()
    bench = world.bench(web(backend))
    world.client(bench).get("/", fields=[("Client-Cert", ":AAAA:"), ("client-cert-chain", ":AAAA:"), ("CLIENT_CERT", ":AAAA:")])
    assert not [name for name, _ in backend.requests[0].fields if "client" in name]


def test_authorities_that_cannot_be_read_let_nobody_in(world, pairs, tmp_path):
    listener = secure(pairs["shop"], client_certificates={"ca": str(tmp_path / "none"), "required": False})
    bench = world.bench(web(world.backend(), listeners={"web": listener}))
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        TlsClient(bench.port)
    assert "event=listener-refuses" in bench.log()


# --- hosts, redirects, HSTS ---------------------------------------------------------------------------

def ask(client, host, path="/"):
    client.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return client.answer()


def test_a_host_of_another_certificate_is_misdirected(world, connect, pairs):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"web": secure(pairs["shop"], pairs["star"], pairs["other"])}))
    client = connect(bench, "shop.test")
    for host, status in (("shop.test", 200), ("www.shop.test:443", 200), ("SHOP.test", 200), ("other.test", 421), ("a.star.test", 421),
                         ("nobody.test", 200), ("127.0.0.1", 200), ("shop.test", 200)):
        assert ask(client, host).status == status, host
    star = connect(bench, "a.star.test")
    assert ask(star, "b.star.test").status == 200
    assert ask(star, "shop.test").status == 421
    assert refusals(bench, "misdirected") == 3


def test_a_client_without_a_name_is_not_misdirected(world, pairs, authority):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"], pairs["other"])}))
    context = client_context(authority)
    context.check_hostname = False
    assert ask(TlsClient(bench.port, None, context=context), "other.test").status == 200


def test_http_is_redirected_to_https(world):
    backend = world.backend()
    bench = world.bench(web(backend, listeners={"a": {"address": "127.0.0.1:0", "redirect": "https"},
                                                "b": {"address": "127.0.0.1:0", "redirect": "https:8443"}}))
    client = world.client(bench, "a")
    for host, path, location in (("shop.test", "/a/b?c=d&e", "https://shop.test/a/b?c=d&e"), ("shop.test:8080", "/", "https://shop.test/"),
                                 ("[::1]:80", "/x", "https://[::1]/x"), ("a", "//evil.test/%2e", "https://a//evil.test/%2e")):
        answer = ask(client, host, path)
        assert (answer.status, answer.field("location")) == (308, location)
    assert ask(world.client(bench, "b"), "shop.test", "/x").field("location") == "https://shop.test:8443/x"
    post = world.client(bench, "a")
    post.request("/p", method="POST", body=b"x" * 1000)
    assert post.answer().status == 308 and post.is_closed()
    head = world.client(bench, "a")
    head.request("/", method="HEAD")
    assert head.answer("HEAD").status == 308
    head.request("/")
    assert head.answer().status == 308
    old = world.client(bench, "a")
    old.send(b"GET / HTTP/1.0\r\n\r\n")
    assert old.answer().status == 400
    assert backend.count() == 0


def test_hsts_is_in_every_answer_by_tls_and_once(world, connect, pairs):
    backend = world.backend()
    backend.on("/own", lambda connection, request: connection.answer(b"a", fields=[("Strict-Transport-Security", "max-age=1")]))
    config = web(backend, routes=[{"host": "shop.test"}],
                 listeners={"web": secure(pairs["shop"], hsts="365d", hsts_subdomains=True), "plain": {"address": "127.0.0.1:0"}})
    bench = world.bench(config)
    client = connect(bench)
    for path, host, status in (("/", "shop.test", 200), ("/own", "shop.test", 200), ("/", "nobody.test", 404)):
        answer = ask(client, host, path)
        assert answer.status == status
        assert [v for n, v in answer.fields if n == "strict-transport-security"] == ["max-age=31536000; includeSubDomains"]
    assert ask(world.client(bench, "plain"), "shop.test").field("strict-transport-security") is None
    assert ask(world.client(bench, "plain"), "shop.test", "/own").field("strict-transport-security") == "max-age=1"


# --- real clients -------------------------------------------------------------------------------------

def test_curl_and_pythons_http_client(world, pairs, authority):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}))
    done = subprocess.run(["curl", "-sS", "--cacert", authority.cert, "--resolve", f"shop.test:{bench.port}:127.0.0.1",
                           f"https://shop.test:{bench.port}/"], capture_output=True, timeout=20)
    assert done.stdout == b"a", done.stderr
    connection = http.client.HTTPSConnection("127.0.0.1", bench.port, context=client_context(), timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"a"
    connection.close()


def test_log_lines_have_nothing_of_what_was_sent(world, pairs):
    bench = world.bench(web(world.backend(), listeners={"web": secure(pairs["shop"])}))
    with socket.create_connection(("127.0.0.1", bench.port), timeout=10) as raw:
        raw.sendall(b"POST /login?password=hunter2 HTTP/1.1\r\nHost: x\r\nCookie: s=topsecret\r\n\r\n")
        while raw.recv(4096):
            pass
    assert Client and "hunter2" not in bench.log() and "topsecret" not in bench.log()
