"""What people really use: curl, wrk and ab against the worker. Their own accounts are read."""

import hashlib
import os
import re
import shutil
import subprocess
import threading

import pytest

from harness import web

MIB = 1024 * 1024


def run(*command):
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout


@pytest.fixture
def bench(world):
    a = world.backend()

    def upload(c, r):
        if r.field("expect"):
            c.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = c.body(r)
        c.answer(hashlib.sha256(body).hexdigest().encode())

    a.on("/upload", upload)
    a.on("/chunked", lambda c, r: c.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    a.on("/head", lambda c, r: c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
    bench = world.bench(web(a))
    bench.backend = a
    bench.url = f"http://127.0.0.1:{bench.port}"
    return bench


def until_at_rest(bench):
    return bench.until(lambda s: s["rows"][0]["clients"] == 0
                       and all(b["active"] == [0, 0, 0, 0, 0] and b["open"] == b["idle"]
                               for b in s["backends"]))


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_curl_gets(bench, version):
    assert run("curl", "-sS", "--fail", version, bench.url + "/") == b"a"
    assert run("curl", "-sS", "--fail", version, bench.url + "/chunked") == b"hello"
    assert b"HTTP/1.1 200 OK" in run("curl", "-sS", "--fail", version, "--head", bench.url + "/head")
    until_at_rest(bench)


def test_curl_reuses_its_connection(bench):
    urls = [bench.url + path for path in ("/", "/chunked", "/no/such", "/")]
    counts = run("curl", "-sS", "-w", "%{num_connects} ", *(["-o", os.devnull] * 4), *urls)
    assert counts.split() == [b"1", b"0", b"0", b"0"]
    until_at_rest(bench)


@pytest.mark.parametrize("options", [
    ["-H", "Expect: 100-continue"], ["-H", "Expect:"], ["-H", "Transfer-Encoding: chunked"],
    ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"], ["-X", "PUT"], ["--http1.0"],
], ids=lambda options: "".join(options))
def test_curl_uploads_a_mebibyte(bench, tmp_path, options):
    body = os.urandom(MIB)
    (tmp_path / "body").write_bytes(body)
    got = run("curl", "-sS", "--fail", *options, "--data-binary", f"@{tmp_path}/body",
              bench.url + "/upload")
    assert got == hashlib.sha256(body).hexdigest().encode()
    until_at_rest(bench)


def test_wrk_has_no_errors(bench):
    out = run("wrk", "-t1", "-c16", "-d1s", bench.url + "/").decode()
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    assert int(re.search(r"(\d+) requests in", out)[1]) > 100
    until_at_rest(bench)


@pytest.mark.parametrize("options", [[], ["-k"]], ids=["close", "keep-alive"])
def test_ab_has_no_errors(bench, options):
    out = run("ab", "-q", "-n", "500", "-c", "8", *options, bench.url + "/").decode()
    assert re.search(r"Complete requests: +500\n", out), out
    assert re.search(r"Failed requests: +0\n", out) and "Non-2xx" not in out, out
    kept = re.search(r"Keep-Alive requests: +(\d+)\n", out)
    assert (int(kept[1]) if kept else 0) == (500 if options else 0), out
    until_at_rest(bench)


def test_wrk_and_a_slow_client_side_by_side(world, bench):
    """Load does not keep a single client waiting."""
    done = threading.Event()

    def load():
        run("wrk", "-t1", "-c32", "-d1s", bench.url + "/")
        done.set()

    thread = threading.Thread(target=load)
    thread.start()
    client, count = world.client(bench), 0
    while not done.is_set():
        assert client.get("/").body == b"a"
        count += 1
    thread.join()
    assert count > 10
