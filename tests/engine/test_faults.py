"""The engine client against an engine that misbehaves. Needs no real one."""

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

from false_engine import STREAM_HEAD, VERSION, FalseEngine, answer, chunk

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>\n<h1>Bad Gateway</h1></body></html>"


@pytest.fixture
def false_engine(tmp_path):
    engine = FalseEngine(str(tmp_path)).start()
    yield engine
    engine.stop()


def test_a_500_with_html_is_told_without_its_tags(false_engine, run_tool):
    false_engine.on("/containers/x/json", lambda *_: answer(500, HTML, "text/html"))
    result = run_tool(false_engine.host, "inspect", "x")
    assert "error=EREMOTEIO status=500 passing=1" in result.err
    assert "Bad Gateway" in result.err and "<" not in result.err


def test_an_error_without_a_body_is_still_told(false_engine, run_tool):
    false_engine.on("/containers/x/json", lambda *_: answer(503, b""))
    result = run_tool(false_engine.host, "inspect", "x")
    assert "error=EREMOTEIO status=503" in result.err and "no word of why" in result.err


def test_a_filtering_proxys_403_is_no_permission_and_does_not_pass(false_engine, run_tool):
    false_engine.on("/containers/x/start", lambda *_: answer(403, HTML, "text/html"))
    result = run_tool(false_engine.host, "start", "x")
    assert "error=EACCES status=403 passing=0" in result.err


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"3", b'"x"', b"{", b"{}x", b"\xff\xfe",
                                  b"[" * 5000])
def test_an_answer_that_is_not_the_json_expected_is_an_error(false_engine, run_tool, body):
    false_engine.on("/containers/x/json", lambda *_: answer(200, body))
    result = run_tool(false_engine.host, "inspect", "x")
    assert result.code == 1 and "error=EPROTO" in result.err


@pytest.mark.parametrize("old", [
    {}, {"Id": None}, {"Id": "x", "Config": None, "HostConfig": None},
    {"Id": "x", "Image": "i", "Config": [], "HostConfig": 7},
    {"Id": "x", "Image": "i", "Config": {"Env": None, "Labels": None, "Cmd": None,
                                         "ExposedPorts": None, "Volumes": None},
     "HostConfig": {"Binds": None, "PortBindings": None, "NetworkMode": None},
     "NetworkSettings": None, "Mounts": None},
    {"Id": "x", "Image": "i", "Config": {"Env": {"a": 1}, "Labels": ["x"], "Cmd": "x",
                                         "ExposedPorts": [1], "Volumes": [None], "Hostname": 3,
                                         "Healthcheck": []},
     "HostConfig": {"Binds": {"x": 1}, "Mounts": [None, 3, {"Target": 4}], "NetworkMode": "n",
                    "PortBindings": {"80/tcp": None, "81/tcp": {"a": 1}, "82/tcp": [None, 7]},
                    "Links": [None, "x", "/a:/b"], "SecurityOpt": "x", "Privileged": True},
     "NetworkSettings": {"Networks": {"n": None, "m": [], "o": {"Aliases": 3, "IPAMConfig": []}}},
     "Mounts": [None, 7, {}, {"Type": "volume", "Name": "a" * 64, "Destination": None},
                {"Type": "volume", "Name": "a" * 64, "Destination": "/d"}]},
])
def test_nulls_and_wrong_types_do_no_harm(false_engine, run_tool, old):
    false_engine.on("/containers/x/json", (200, old))
    false_engine.on("/images/i/json", (200, {"Config": {"Env": 3, "Labels": [], "Volumes": "x"}}))
    false_engine.on("/containers/create", (201, {"Id": "x"}))
    false_engine.on("/containers/x/start", (204, b""))
    for name in "mo":
        false_engine.on(f"/networks/{name}/connect", (200, b""))
    result = run_tool(false_engine.host, "recreate", "x", "i", "new")
    assert result.code in (0, 1, 3), result


def test_headers_that_dribble_are_waited_for_until_the_calls_own_deadline(false_engine, run_tool):
    ended = threading.Event()

    def dribble(_, connection):
        try:
            for byte in b"HTTP/1.1 200 OK\r\nX: " + b"y" * 1000:
                connection.sendall(bytes([byte]))
                if ended.wait(0.3):
                    break
        except OSError:
            pass

    false_engine.on("/containers/x/json", dribble)
    start = time.monotonic()
    result = run_tool(false_engine.host, "inspect", "x")
    took = time.monotonic() - start
    ended.set()
    assert "error=ETIMEDOUT status=0 passing=1" in result.err
    assert 9 < took < 14, took


def test_an_answer_that_breaks_off_is_an_engine_that_is_away(false_engine, run_tool):
    def cut(_, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")

    false_engine.on("/containers/x/json", cut)
    result = run_tool(false_engine.host, "inspect", "x")
    assert "error=ENOTCONN status=0 passing=1" in result.err


def test_a_missing_socket_is_named(run_tool, tmp_path):
    result = run_tool(f"unix://{tmp_path}/none.sock", "ping")
    assert result.code == 1
    assert "error=ENOTCONN" in result.err and f"{tmp_path}/none.sock" in result.err


def test_a_socket_that_nobody_listens_on_is_refused(run_tool, tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "dead.sock"))
    listener.close()
    result = run_tool(f"unix://{tmp_path}/dead.sock", "ping")
    assert "error=ECONNREFUSED" in result.err and "passing=1" in result.err

@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_socket_that_we_may_not_use_is_told_as_such(false_engine, tool_path):
    os.chmod(false_engine.socket_path, 0o600)
    # The folder of the test is root's alone: what is told is the same, whichever of the two is in the way.
    process = subprocess.run([tool_path, false_engine.host, "ping"], capture_output=True, text=True, timeout=60, check=False,
                             user=65534, group=65534, extra_groups=[])
    assert process.returncode == 1
    assert "error=EACCES" in process.stderr and "no permission" in process.stderr and "passing=0" in process.stderr


@pytest.mark.parametrize("host", ["", "unix://", "unix://x", "/run/x.sock", "http://x", "tcp://",
                                  "tcp://:1", "tcp://x:0", "tcp://x:99999", "tcp://x/y"])
def test_a_host_that_is_none_is_refused_at_once(run_tool, host):
    result = run_tool(host, "ping")
    assert result.code == 2 and "no engine's address" in result.err


# --- versions

@pytest.mark.parametrize("theirs,oldest,chosen", [
    ("1.41", "1.12", "v1.41"), ("1.24", "1.12", "v1.24"), ("1.99", "1.44", "v1.47"),
    ("1.47", None, "v1.47")])
def test_the_newest_version_that_both_know_is_spoken(false_engine, run_tool, theirs, oldest,
                                                     chosen):
    false_engine.on("/version", (200, {**VERSION, "ApiVersion": theirs, "MinAPIVersion": oldest}))
    false_engine.on("/containers/json", (200, []))
    assert run_tool(false_engine.host, "list").code == 0
    assert false_engine.seen("/containers/json")[0].version == chosen[1:]


@pytest.mark.parametrize("theirs,oldest,words", [
    ("1.99", "1.48", "too new: it wants API 1.48"), ("1.23", "1.12", "too old"),
    (None, None, "no Docker Engine"), ("x", "y", "no Docker Engine")])
def test_a_version_that_cannot_be_spoken_is_said_before_anything_is_done(false_engine, run_tool,
                                                                         theirs, oldest, words):
    false_engine.on("/version", (200, {**VERSION, "ApiVersion": theirs, "MinAPIVersion": oldest}))
    result = run_tool(false_engine.host, "start", "x")
    assert "error=EPROTO" in result.err and words in result.err
    assert [r.path for r in false_engine.requests] == ["/version"]


def follow_lists(tool_path, host, count):
    return subprocess.Popen([tool_path, host, "lists", str(count)], stdin=subprocess.PIPE,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def again(process):
    process.stdin.write("x")
    process.stdin.flush()
    return process.stdout.readline()


def test_the_version_is_asked_for_again_after_the_engine_was_away(tool_path, tmp_path):
    engine = FalseEngine(str(tmp_path)).start()
    engine.on("/containers/json", (200, []))
    with follow_lists(tool_path, engine.host, 3) as process:
        assert process.stdout.readline() == "ok 1.41\n"
        engine.stop()
        assert again(process) == "ENOTCONN \n"
        engine = FalseEngine(str(tmp_path)).start()
        engine.on("/version", (200, {**VERSION, "ApiVersion": "1.43"}))
        engine.on("/containers/json", (200, []))
        assert again(process) == "ok 1.43\n"
        process.stdin.close()
        assert process.wait(10) == 1, "the failed list in between is remembered"
    engine.stop()


def test_an_engine_replaced_unnoticed_that_refuses_the_version_is_asked_again(false_engine,
                                                                              tool_path):
    def lists(request, _):
        if float(request.version[2:]) > 40:
            return 400, {"message": "client version 1.41 is too new. Maximum supported API version "
                                    "is 1.40"}
        return 200, []

    false_engine.on("/containers/json", (200, []))
    with follow_lists(tool_path, false_engine.host, 2) as process:
        assert process.stdout.readline() == "ok 1.41\n"
        false_engine.on("/version", (200, {**VERSION, "ApiVersion": "1.40"}))
        false_engine.on("/containers/json", lists)
        assert again(process) == "ok 1.40\n"
        process.stdin.close()
        assert process.wait(10) == 0


def test_an_engine_that_always_refuses_the_version_is_not_asked_for_ever(false_engine, run_tool):
    false_engine.on("/containers/json", (400, {"message": "client version 1.41 is too new"}))
    result = run_tool(false_engine.host, "list")
    assert "error=EINVAL status=400" in result.err
    assert len(false_engine.seen("/containers/json")) == 2


# --- stop and remove

def test_a_stop_waits_longer_than_the_grace_period(false_engine, run_tool):
    def slow(request, _):
        assert request.query == {"t": "1"}
        time.sleep(13)  # the engine's slowness: longer than other calls may take
        return 204, b""

    false_engine.on("/containers/x/stop", slow)
    assert run_tool(false_engine.host, "stop", "x", 1).code == 0


def test_a_stop_with_the_containers_own_grace_period_asks_for_it(false_engine, run_tool):
    false_engine.on("/containers/x/json", (200, {"Config": {"StopTimeout": 77}}))
    false_engine.on("/containers/x/stop", (204, b""))
    assert run_tool(false_engine.host, "stop", "x", -1).code == 0
    assert false_engine.seen("/containers/x/stop")[0].query == {}


def test_a_removal_in_progress_is_waited_out_until_the_container_is_gone(false_engine, run_tool):
    looks = []

    def look(*_):
        looks.append(1)
        return (404, {"message": "No such container: x"}) if len(looks) == 4 else (200, {"Id": "x"})

    false_engine.on("/containers/x", (409, {"message": "removal of container x is already in "
                                                       "progress"}))
    false_engine.on("/containers/x/json", look)
    result = run_tool(false_engine.host, "remove", "x")
    assert result.code == 0, result
    assert len(looks) == 4
    assert len(false_engine.seen("/containers/x")) == 1, "it is not removed again"


def test_another_conflict_on_removal_is_an_error(false_engine, run_tool):
    false_engine.on("/containers/x", (409, {"message": "You cannot remove a running container"}))
    result = run_tool(false_engine.host, "remove", "x")
    assert "error=EEXIST status=409 passing=0 message=You cannot remove" in result.err


# --- pull

def stream_of(*pieces, end=True):
    def send(_, connection):
        connection.sendall(STREAM_HEAD)
        for piece in pieces:
            connection.sendall(chunk(piece))
        if end:
            connection.sendall(b"0\r\n\r\n")
    return send


PROGRESS = [b'{"status":"Pulling from x","id":"v1"}\r\n', b'{"status":"Done"}\r\n']


def test_a_pull_that_goes_well(false_engine, run_tool):
    false_engine.on("/images/create", stream_of(*PROGRESS))
    result = run_tool(false_engine.host, "pull", "registry.test:5000/a/b:v1")
    assert result.code == 0 and len(result.lines) == 3
    request = false_engine.seen("/images/create")[0]
    assert request.query == {"fromImage": "registry.test:5000/a/b", "tag": "v1"}
    assert request.headers["x-registry-auth"] == "e30="


@pytest.mark.parametrize("words,error", [
    ("write /var/lib/x: no space left on device", "ENOSPC"),
    ("manifest for x:v9 not found: manifest unknown: manifest unknown", "ENOENT"),
    ("pull access denied for x, repository does not exist", "EACCES"),
    ("unauthorized: authentication required", "EACCES"),
    ("error parsing HTTP 403 response body: Forbidden", "EACCES"),
    ("toomanyrequests: You have reached your pull rate limit", "EDQUOT"),
    ("Get https://r.test/v2/: dial tcp: lookup r.test: no such host", "EHOSTUNREACH"),
    ("Get https://r.test/v2/: x509: certificate signed by unknown authority", "EHOSTUNREACH"),
    ("Get http://r.test/v2/: dial tcp 10.0.0.1:80: connect: connection refused", "EREMOTEIO"),
    ("received unexpected HTTP status: 503 Service Unavailable", "EREMOTEIO"),
    ("unexpected EOF", "EREMOTEIO")])
def test_an_error_inside_the_200_stream_is_found(false_engine, run_tool, words, error):
    last = json.dumps({"errorDetail": {"message": words}, "error": words}).encode()
    false_engine.on("/images/create", stream_of(*PROGRESS, last))
    result = run_tool(false_engine.host, "pull", "x:v1")
    assert result.code == 1 and f"error={error} " in result.err and words in result.err


@pytest.mark.parametrize("status,words,error", [
    (500, "Head https://r.test/v2/a/manifests/v1: no basic auth credentials", "EACCES"),
    (500, "Get https://r.test/v2/: dial tcp 10.0.0.1:443: connect: connection refused", "EREMOTEIO"),
    (404, "manifest for x:v1 not found: manifest unknown", "ENOENT"),
    (404, "pull access denied for x, repository does not exist or may require 'docker login'", "EACCES"),
    (403, "by policy of the socket proxy", "EACCES")])
def test_what_the_engine_says_before_the_stream_is_told_apart_too(false_engine, run_tool, status, words, error):
    false_engine.on("/images/create", (status, {"message": words}))
    result = run_tool(false_engine.host, "pull", "x:v1")
    assert result.code == 1 and f"error={error} " in result.err and words in result.err


def test_a_pull_that_breaks_off_has_not_gone_well(false_engine, run_tool):
    false_engine.on("/images/create", stream_of(PROGRESS[0], end=False))
    result = run_tool(false_engine.host, "pull", "x:v1")
    assert result.code == 1 and "error=ENOTCONN" in result.err


@pytest.mark.parametrize("pieces", [[b'{"status":"half'], [b""], [b"<html>"],
                                    [b'{"status":"' + b"x" * 1100000 + b'"}'], [b"{]}"]])
def test_a_pull_whose_report_is_not_whole_has_not_gone_well(false_engine, run_tool, pieces):
    false_engine.on("/images/create", stream_of(*[p for p in pieces if p]))
    result = run_tool(false_engine.host, "pull", "x:v1")
    assert result.code == 1 and ("error=EPROTO" in result.err or "error=ENOTCONN" in result.err)


def test_pieces_may_end_in_the_middle_of_a_character(false_engine, run_tool):
    text = json.dumps({"status": "häß€ \\ \" }{", "id": "\U0001f600"}, ensure_ascii=False).encode()
    text += b"\n" + text
    false_engine.on("/images/create", stream_of(*[text[i:i + 1] for i in range(len(text))]))
    result = run_tool(false_engine.host, "pull", "x:v1")
    assert result.code == 0, result
    assert [json.loads(line) for line in result.lines[:2]] == [json.loads(text[:len(text) // 2])] * 2


def test_credentials_of_the_registry_are_sent_to_it_alone(false_engine, run_tool, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auths": {
        "registry.test:5000": {"auth": "dXNlcjpwYXNzOndvcmQ="}}}))
    false_engine.on("/images/create", stream_of(*PROGRESS))
    env = {"DOCKER_CONFIG": str(tmp_path)}
    assert run_tool(false_engine.host, "pull", "registry.test:5000/a:v1", env=env).code == 0
    assert run_tool(false_engine.host, "pull", "other.test/a:v1", env=env).code == 0
    sent = [r.headers["x-registry-auth"] for r in false_engine.seen("/images/create")]
    assert json.loads(base64.urlsafe_b64decode(sent[0])) == {
        "username": "user", "password": "pass:word", "serveraddress": "registry.test:5000"}
    assert sent[1] == "e30="


# --- events

def event(number, action="start", second=1700000000):
    return json.dumps({"Type": "container", "Action": action, "Actor": {"ID": f"c{number}"},
                       "time": second, "timeNano": second * 10**9 + 123456789}).encode() + b"\n"


def run_events(tool_path, host, count):
    return subprocess.Popen([tool_path, host, "events", str(count)], stdout=subprocess.PIPE,
                            text=True)


def test_a_broken_stream_is_taken_up_where_it_ended_and_each_event_comes_once(false_engine,
                                                                              tool_path):
    future = int(time.time()) + 100
    hold = threading.Event()
    streams = [[event(1, second=future), event(2, second=future + 1)],
               [event(2, second=future + 1), event(3, second=future + 1),
                event(3, "die", second=future + 1), event(2, second=future + 1),
                event(4, second=future)]]

    def events(_, connection):
        number = len(false_engine.seen("/events"))
        connection.sendall(STREAM_HEAD)
        for piece in streams[number - 1]:
            connection.sendall(chunk(piece))
        if number == 2:
            hold.wait(20)

    false_engine.on("/events", events)
    with run_events(tool_path, false_engine.host, 5) as process:
        out = process.stdout.read().splitlines()
        assert process.wait(10) == 0
    hold.set()
    assert out[0] == "gap - -" and out[3].startswith("lost ") and out[4] == "gap - -"
    assert [line.split(" ", 1)[1] for line in out if line.startswith("event")] == [
        "start c1", "start c2", "start c3", "die c3", "start c4"]
    first, second = (r.query for r in false_engine.seen("/events"))
    assert json.loads(first["filters"]) == {"type": ["container"]}
    assert abs(float(first["since"]) - time.time()) < 60
    assert second["since"] == f"{future}.123456789", "one second before the last event"


def test_events_go_on_after_the_engine_was_away(tool_path, tmp_path):
    future = int(time.time()) + 100
    engine = FalseEngine(str(tmp_path)).start()
    hold = threading.Event()

    def events(_, connection):
        connection.sendall(STREAM_HEAD + chunk(event(1, second=future)))
        hold.wait(20)

    engine.on("/events", events)
    with run_events(tool_path, engine.host, 2) as process:
        assert process.stdout.readline() == "gap - -\n"
        assert process.stdout.readline() == "event start c1\n"
        engine.stop()
        hold.set()
        assert process.stdout.readline().startswith("lost ")
        engine = FalseEngine(str(tmp_path))
        engine.on("/events", lambda _, c: c.sendall(STREAM_HEAD + chunk(event(2, "die", future))))
        engine.start()
        assert process.stdout.readline() == "gap - -\n"
        assert process.stdout.readline() == "event die c2\n"
        assert process.wait(10) == 0
    assert [r.path for r in engine.requests[:2]] == ["/version", "/events"]
    engine.stop()


def test_runs_of_a_healthcheck_and_other_types_are_left_out(false_engine, tool_path):
    network = json.dumps({"Type": "network", "Action": "connect", "Actor": {"ID": "n"},
                          "time": 1, "timeNano": 1}).encode()
    nulls = b'{"Type":null,"Action":null,"Actor":null,"timeNano":"x"}'
    false_engine.on("/events", lambda _, c: c.sendall(STREAM_HEAD + chunk(
        event(1, "exec_create: /check") + network + nulls + event(1, "health_status: healthy"))))
    with run_events(tool_path, false_engine.host, 1) as process:
        assert process.stdout.readline() == "gap - -\n"
        assert process.stdout.readline() == "event health_status: healthy c1\n"
        assert process.wait(10) == 0


def test_an_engine_that_refuses_events_is_tried_ever_more_seldom(false_engine, tool_path):
    false_engine.on("/events", (403, {"message": "forbidden"}))
    process = run_events(tool_path, false_engine.host, 1)
    try:
        start = time.monotonic()
        false_engine.wait_for("/events", 5)
        assert 1.4 < time.monotonic() - start < 6, "0.1 + 0.2 + 0.4 + 0.8 s"
        assert process.stdout.readline() == "gap - -\n"
        assert process.stdout.readline() == "lost forbidden -\n"
    finally:
        process.kill()
        process.communicate()


# --- closing

def test_closing_at_once_tells_every_call_once(false_engine, run_tool):
    result = run_tool(false_engine.host, "close")
    assert result.code == 0, result
    assert sorted(result.lines) == ["cancelled 6", "error=EINVAL"], "five calls, one made meanwhile"


def test_closing_in_the_middle_of_everything_tells_every_call_once(false_engine, run_tool):
    """A list that hangs, a stop that hangs, a removal that waits, a pull and events that flow."""
    hang = threading.Event()

    def stream(data):
        def send(_, connection):
            connection.sendall(STREAM_HEAD + chunk(data))
            hang.wait(20)
        return send

    false_engine.on("/containers/json", lambda *_: hang.wait(20) and None)
    false_engine.on("/containers/x/json", (200, {"Id": "x", "Config": {}}))
    false_engine.on("/containers/x/stop", lambda *_: hang.wait(20) and None)
    false_engine.on("/containers/x", (409, {"message": "removal is already in progress"}))
    false_engine.on("/images/create", stream(PROGRESS[0]))
    false_engine.on("/events", stream(event(1)))
    result = run_tool(false_engine.host, "close", "wait")
    hang.set()
    assert result.code == 0, result
    assert "cancelled 5" in result.lines, "list, stop, removal, pull, one made meanwhile"
    assert "error=EINVAL" in result.lines and "event start c1" in result.lines
    assert false_engine.seen("/containers/x/stop") and false_engine.seen("/events")


# --- TCP and TLS

def test_an_engine_over_tcp(tmp_path, run_tool):
    engine = FalseEngine(str(tmp_path)).start_tcp()
    assert run_tool(engine.host, "ping").code == 0
    engine.stop()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A folder as DOCKER_CERT_PATH, with a server's certificate for 127.0.0.1 beside it."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", "ca-key.pem", "-out", "ca.pem", "-subj", "/CN=ca", "-days", "2")
    for name in ("server", ""):
        key = f"{name}-key.pem" if name else "key.pem"
        cert = f"{name}-cert.pem" if name else "cert.pem"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", "request.pem", "-subj", "/CN=x")
        (folder / "extra").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", "request.pem", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                "-CAcreateserial", "-out", cert, "-days", "2", "-extfile", "extra")
    return folder


def tls_engine(tmp_path, certificates):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server-cert.pem", certificates / "server-key.pem")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return FalseEngine(str(tmp_path)).start_tcp(context)


def test_an_engine_over_tls_with_a_certificate_on_both_sides(tmp_path, run_tool, certificates):
    engine = tls_engine(tmp_path, certificates)
    result = run_tool(engine.host, "ping", env={"TOOL_CERT_PATH": str(certificates)})
    assert result.code == 0, result
    engine.stop()


def test_an_engine_with_a_strangers_certificate_is_not_spoken_to(tmp_path, run_tool, certificates):
    engine = tls_engine(tmp_path, certificates)
    stranger = tmp_path / "stranger"
    stranger.mkdir()
    for name in ("cert.pem", "key.pem"):
        (stranger / name).write_bytes((certificates / name).read_bytes())
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", "/dev/null", "-out",
                    stranger / "ca.pem", "-subj", "/CN=other"], check=True, capture_output=True)
    result = run_tool(engine.host, "ping", env={"TOOL_CERT_PATH": str(stranger)})
    assert result.code == 1 and "error=ENOTCONN" in result.err and "certificate" in result.err
    assert engine.requests == []
    engine.stop()
