"""nginx and Apache as backends: what they really send comes through as it is."""
import gzip
import http.client
import os
import re
import subprocess
import threading

import pytest

from servers import LARGE, SMALL, TEXT, Apache, Nginx, sha256


@pytest.fixture
def client(peers):
    """One connection for the whole test: what is misread shows in the next answer."""
    connection = http.client.HTTPConnection("127.0.0.1", peers.port, timeout=20)
    yield connection
    if connection.sock is not None:
        get(connection, "/small.txt", expected=SMALL)
    connection.close()


def get(connection, path, headers=None, method="GET", status=200, expected=None):
    connection.request(method, path, headers=headers or {})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == status, (answer.status, body[:200])
    if expected is not None:
        assert sha256(body) == sha256(expected)
    return answer.headers, body


def test_a_file_comes_whole(peers, client):
    headers, _ = get(client, "/small.txt", expected=SMALL)
    assert headers["Content-Length"] == str(len(SMALL)) and headers["Via"] is None
    get(client, "/large.bin", expected=LARGE)
    assert get(client, "/no-such-file", status=404)[1] != b""


def test_a_head_has_the_length_and_no_body(peers, client):
    headers, body = get(client, "/large.bin", method="HEAD", expected=b"")
    assert headers["Content-Length"] == str(len(LARGE))
    headers, body = get(client, "/text.txt", {"Accept-Encoding": "gzip"}, method="HEAD", expected=b"")
    assert headers["Content-Encoding"] == "gzip"


def test_what_was_not_modified_is_not_sent_again(peers, client):
    headers, _ = get(client, "/small.txt")
    for condition in ({"If-None-Match": headers["ETag"]}, {"If-Modified-Since": headers["Last-Modified"]}):
        again, _ = get(client, "/small.txt", condition, status=304, expected=b"")
        assert again["ETag"] == headers["ETag"]
    get(client, "/small.txt", {"If-None-Match": '"other"'}, expected=SMALL)


def test_ranges_are_those_asked_for(peers, client):
    headers, _ = get(client, "/large.bin", {"Range": "bytes=1000-1999"}, status=206, expected=LARGE[1000:2000])
    assert headers["Content-Range"] == f"bytes 1000-1999/{len(LARGE)}"
    get(client, "/large.bin", {"Range": "bytes=-5"}, status=206, expected=LARGE[-5:])
    headers, body = get(client, "/large.bin", {"Range": "bytes=0-9,100-109"}, status=206)
    assert headers["Content-Type"].startswith("multipart/byteranges")
    assert LARGE[:10] in body and LARGE[100:110] in body
    get(client, "/large.bin", {"Range": f"bytes={len(LARGE)}-"}, status=416)


def test_compression_is_left_to_the_two_ends(peers, client):
    headers, body = get(client, "/text.txt", {"Accept-Encoding": "gzip"})
    assert headers["Content-Encoding"] == "gzip"
    assert (headers["Transfer-Encoding"] == "chunked") == (peers.kind is Nginx)  # Apache compresses this much first
    assert gzip.decompress(body) == TEXT
    headers, _ = get(client, "/text.txt", expected=TEXT)
    assert headers["Content-Encoding"] is None


def test_an_old_client_gets_a_compressed_answer_until_the_close(peers):
    done = subprocess.run(["curl", "-sS", "--http1.0", "--compressed", "-D", "-", peers.url + "/text.txt"],
                          capture_output=True, timeout=20)
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    assert done.returncode == 0 and body == TEXT
    assert b"chunked" not in head and b"Connection: close" in head


only_apache = pytest.mark.parametrize("peers", [Apache], indirect=True, ids=["apache"])  # nginx runs no scripts


@only_apache
@pytest.mark.parametrize("options", [[], ["-H", "Expect: 100-continue"], ["-H", "Transfer-Encoding: chunked"],
                                     ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue"], ["--http1.0"]],
                         ids=lambda options: " ".join(options[1::2]) or "".join(options) or "plain")
def test_an_upload_arrives_whole(peers, tmp_path, options):
    body = os.urandom(1 << 20)
    (tmp_path / "body").write_bytes(body)
    done = subprocess.run(["curl", "-sS", "--fail", *options, "--data-binary", f"@{tmp_path}/body",
                           peers.url + "/cgi/upload"], capture_output=True, text=True, timeout=30)
    assert (done.stdout.strip(), done.stderr) == (sha256(body), "")


@only_apache
def test_a_script_is_heard_before_it_has_ended(peers, client, tmp_path):
    flag = peers.servers[0].folder / "flag"
    client.request("GET", f"/cgi/slow?{flag}")
    answer = client.getresponse()
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.readline() == b"first\n"  # the script still waits
    flag.touch()
    assert answer.read() == b"second\n"


# --- connections that the server ends -------------------------------------------------------------

def wrk(url, *options):
    done = subprocess.run(["wrk", "-t1", "-c16", "-d2s", *options, url], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Socket errors" not in done.stdout and "Non-2xx" not in done.stdout, done.stdout
    return int(re.search(r"(\d+) requests in", done.stdout)[1])


@pytest.mark.parametrize("kind", [Nginx, Apache], ids=lambda kind: kind.name)
@pytest.mark.parametrize("requests", [1, 3])
def test_a_server_that_ends_its_connections_after_some_requests_fails_none(start_peers, kind, requests):
    peers = start_peers(kind, keep_alive_requests=requests)
    assert wrk(peers.url + "/small.txt") > 100
    assert peers.sums()["timeouts"] == 0


@pytest.mark.parametrize("kind", [Nginx, Apache], ids=lambda kind: kind.name)
def test_a_server_that_ends_idle_connections_fails_no_get(start_peers, kind):
    """The server closes after 30 ms of silence, and the requests come about then: some meet the close."""
    peers = start_peers(kind, keep_alive_ms=30)
    failed, counted = [], []

    def ask(pause):
        for _ in range(60):
            connection = http.client.HTTPConnection("127.0.0.1", peers.port, timeout=20)
            connection.request("GET", "/small.txt", headers={"Connection": "close"})
            answer = connection.getresponse()
            (counted if (answer.status, answer.read()) == (200, SMALL) else failed).append(answer.status)
            connection.close()
            threading.Event().wait(pause)

    threads = [threading.Thread(target=ask, args=(0.027 + i / 1000,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == [] and len(counted) == 480


def test_a_post_is_never_sent_twice(start_peers):
    """Where a kept connection is closed under a POST, its client is told (502), and nothing is repeated: the server may
    have done what was asked. Announced closes (every third answer here) cost nothing."""
    peers = start_peers(Nginx, keep_alive_requests=3)
    connection = http.client.HTTPConnection("127.0.0.1", peers.port, timeout=20)
    for i in range(100):
        connection.request("POST", "/posted", bytes(i))
        answer = connection.getresponse()
        assert (answer.status, answer.read().decode()) == (200, f"POST {i}\n")
    connection.close()
    sums = peers.sums()
    assert (sums["exchanges"], sums["retries"]) == (100, 0)


# --- clients --------------------------------------------------------------------------------------

@pytest.mark.parametrize("options", [[], ["-k"]], ids=["close", "keep-alive"])
def test_ab_has_no_failed_request(peers, options):
    done = subprocess.run(["ab", "-q", "-n", "1000", "-c", "16", *options, peers.url + "/small.txt"],
                          capture_output=True, text=True, timeout=60)
    assert re.search(r"Complete requests: +1000\n", done.stdout), done.stdout + done.stderr
    assert re.search(r"Failed requests: +0\n", done.stdout) and "Non-2xx" not in done.stdout, done.stdout


def test_wrk_has_no_errors_with_two_servers(start_peers):
    peers = start_peers(Nginx, count=2)
    assert wrk(peers.url + "/small.txt") > 100
    peers.sluice.wait_until(lambda: peers.sums()["active"] == 0)


@pytest.mark.parametrize("version", ["--http1.0", "--http1.1"])
def test_curl_gets_what_is_there(peers, tmp_path, version):
    done = subprocess.run(["curl", "-sS", "--fail", version, "-o", tmp_path / "got", peers.url + "/large.bin"],
                          capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "got").read_bytes() == LARGE


def test_curl_goes_on_where_it_was_cut_off(peers, tmp_path):
    (tmp_path / "got").write_bytes(LARGE[:1_000_000])
    subprocess.run(["curl", "-sS", "--fail", "-C", "-", "-o", tmp_path / "got", peers.url + "/large.bin"],
                   check=True, timeout=30)
    assert (tmp_path / "got").read_bytes() == LARGE
