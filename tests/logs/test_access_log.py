"""The access log: what stands in it, that nothing from outside gets a line of its own making into it,
and that neither a renamed file, a full disk nor a reader that is gone costs more than lines."""
import json
import os
import re
import signal
import subprocess
import threading

import pytest

from harness import Client, unused_address, web

FORMATS = ["logfmt", "json", "common", "combined"]
# Apache's own grammar: https://httpd.apache.org/docs/2.4/logs.html
QUOTED = r'"((?:[^"\\]|\\.)*)"'
COMMON = re.compile(rf"^(\S+) - - \[(\d\d/[A-Z][a-z]{{2}}/\d{{4}}:\d\d:\d\d:\d\d \+0000)\] {QUOTED} (\d{{3}}|-) (\d+|-)$")
COMBINED = re.compile(COMMON.pattern[:-1] + rf" {QUOTED} {QUOTED}$")
LOGFMT = re.compile(rf'^([a-z_]+=([^\s"=\\]+|{QUOTED}))( [a-z_]+=([^\s"=\\]+|{QUOTED}))*$')


def logged(backends, path, form="json", **keys):
    return {**web(*backends), "access_log": {"format": form, "file": str(path), **keys}}


def is_whole(line, form):
    if form == "json":
        return isinstance(json.loads(line), dict)
    return {"logfmt": LOGFMT, "common": COMMON, "combined": COMBINED}[form].match(line) is not None


def lines_of(path):
    """As raw bytes: nothing but visible ASCII, and each line has its end."""
    raw = path.read_bytes()
    assert raw == b"" or raw.endswith(b"\n")
    lines = raw.decode("ascii").splitlines()
    assert all(0x20 <= ord(c) < 0x7f for line in lines for c in line)
    assert len(lines) == raw.count(b"\n")
    return lines


def test_an_exchange_is_told_in_full(world):
    a = world.backend()
    bench = world.bench(logged([a], world.file))
    world.client(bench).get("/shop?password=hunter2", method="POST", body=b"12345", fields=[("X-Request-Id", "mine")])
    bench.stop()
    (line,) = lines_of(world.file)
    told = json.loads(line)
    assert (told["event"], told["kind"], told["service"], told["group"], told["backend"]) == \
        ("exchange", "request", "web", "stable", a.address)
    assert (told["method"], told["host"], told["path"], told["status"], told["tries"], told["why"]) == \
        ("POST", "test", "/shop", 200, 1, "done")
    assert told["client"].startswith("127.0.0.1:") and re.match(r"\d{4}-\d\d-\d\dT[\d:.]{12}Z$", told["time"])
    assert told["request_id"] == a.requests[0].field("x-request-id")
    assert told["bytes_in"] > 64 and told["bytes_out"] > 5  # head and body both ways
    parts = [told[key] for key in ("queue_us", "connect_us", "first_byte_us")]
    assert all(part >= 0 for part in parts) and sum(parts) <= told["total_us"]


def test_what_was_tried_in_vain_is_told(world):
    bench = world.bench({**logged([world.backend()], world.file), "services": {"web": {"backends": [unused_address()]}}})
    assert world.client(bench).get("/x").status == 502
    bench.stop()
    told = json.loads(lines_of(world.file)[0])
    assert (told["status"], told["why"], told["tries"]) == (502, "connect-failed", 1)
    assert "first_byte_us" not in told and told["bytes_in"] == 0


@pytest.mark.parametrize("form", FORMATS)
def test_no_secret_is_logged(world, form):
    bench = world.bench(logged([world.backend()], world.file, form))
    client = world.client(bench)
    client.get("/a?key=SECRET", fields=[("Cookie", "id=SECRET"), ("Authorization", "Basic SECRET"),
                                        ("Referer", "https://SECRET:SECRET@there/b?t=SECRET#SECRET"),
                                        ("Proxy-Authorization", "SECRET"), ("User-Agent", "mine")])
    bench.stop()
    (line,) = lines_of(world.file)
    assert "SECRET" not in line and "/a" in line
    if form == "combined":
        assert line.endswith('"https://there/b" "mine"')


def test_the_query_is_logged_where_that_was_asked_for(world):
    bench = world.bench(logged([world.backend()], world.file, query=True))
    world.client(bench).get("/a?b=c")
    bench.stop()
    assert json.loads(lines_of(world.file)[0])["path"] == "/a?b=c"


INJECTIONS = {
    "quotes": b'GET /" HTTP/1.1\r\nHost: a\r\nUser-Agent: x" 200 1 "\r\nReferer: "\\\r\n\r\n',
    "a-line-feed-in-the-target": b"GET /\nevent=exchange HTTP/1.1\r\nHost: a\r\n\r\n",
    "a-bare-carriage-return": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\rb\r\n\r\n",
    "a-folded-field": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\r\n b\r\n\r\n",
    "escapes-of-a-terminal": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[2J\x1b]0;x\x07\r\n\r\n",
    "nul": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: a\0b\r\n\r\n",
    "no-ascii": b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\xfe\xc3\xa4\xe2\x80\xa8\r\nReferer: \xc2\x85\t\r\n\r\n",
    "bytes-in-the-target": b"GET /\xff\xe2\x80\xa8 HTTP/1.1\r\nHost: a\r\n\r\n",
    "a-json-of-its-own": b'GET /","status":200,"x":" HTTP/1.1\r\nHost: a\r\nUser-Agent: ","status":1\r\n\r\n',
    "a-very-long-target": b"GET /" + b"\"" * 9000 + b" HTTP/1.1\r\nHost: a\r\nUser-Agent: " + b"\"" * 9000 + b"\r\n\r\n",
    "a-strange-method": b'G"ET / HTTP/1.1\r\nHost: a\r\n\r\n',
    "no-http": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a-strange-host": b'GET / HTTP/1.1\r\nHost: a"b\r\n\r\n',
}


@pytest.mark.parametrize("form", FORMATS)
def test_nobody_writes_lines_of_their_own(world, form):
    """Accepted or refused, each request is one line, whole by its format's own grammar."""
    bench = world.bench(logged([world.backend()], world.file, form, query=True))
    for raw in INJECTIONS.values():
        client = world.client(bench)
        client.send(raw + b"\r\n\r\n")
        client.answer()
        client.close()
    bench.stop()
    lines = lines_of(world.file)
    assert len(lines) >= len(INJECTIONS)  # what follows a request on its connection may be another
    for line in lines:
        assert is_whole(line, form), line
        assert len(line) < 4096


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_refused_has_a_line_too(world, form):
    config = logged([world.backend()], world.file, form)
    config["services"]["web"]["routes"] = [{"host": "shop.example"}]
    bench = world.bench(config)
    assert world.client(bench).get("/nowhere?x=SECRET", fields=[("Referer", "http://r/?SECRET")]).status == 404
    client = world.client(bench)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert client.answer().status == 400
    client.close()
    bench.stop()
    lines = lines_of(world.file)
    assert len(lines) == 2 and all(is_whole(line, form) for line in lines)
    assert "SECRET" not in lines[0] and "/nowhere" in lines[0] and "404" in lines[0] and "400" in lines[1]
    if form in ("logfmt", "json"):
        assert "no-route" in lines[0] and "bad-host" in lines[1] and "request-refused" in lines[1]


def test_a_sample_leaves_out_what_went_well_only(world):
    config = logged([world.backend()], world.file, sample=1)
    config["services"]["web"]["routes"] = [{"path": "/good"}]
    config["services"]["dead"] = {"backends": [unused_address()], "routes": [{"path": "/dead"}]}
    bench = world.bench(config)
    client = world.client(bench)
    for _ in range(400):
        assert client.get("/good").status == 200
    for _ in range(20):
        assert client.get("/dead").status == 502
    bench.stop()
    statuses = [json.loads(line)["status"] for line in lines_of(world.file)]
    assert statuses.count(502) == 20
    assert statuses.count(200) < 40  # 4 are expected; 40 would be a one in 10^25


class Load:
    """Clients that ask until they are told to stop; each answer counts as a line."""

    def __init__(self, bench, threads):
        self.stopping, self.counts = threading.Event(), [0] * threads
        self.threads = [threading.Thread(target=self._run, args=(bench, i)) for i in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self, bench, index):
        client = Client(bench.port)
        while not self.stopping.is_set():
            assert client.get(f"/{index}/{self.counts[index]}").status == 200
            self.counts[index] += 1
        client.close()

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        return sum(self.counts)


def test_renaming_the_file_under_load_loses_no_line(world):
    """As logrotate does it: rename, signal, and the next. Two workers write to one file."""
    bench = world.bench(logged([world.backend()], world.file), rows=2)
    load = Load(bench, 4)
    turns = 8
    for turn in range(turns):
        count = sum(load.counts)
        bench.until(lambda _: sum(load.counts) > count + 50)
        os.rename(world.file, world.folder / f"access.log.{turn}")
        bench.ask("reopen")
    total = load.stop()
    bench.stop()
    lines = [line for path in world.folder.glob("access.log*") for line in lines_of(path)]
    paths = [json.loads(line)["path"] for line in lines]
    assert len(paths) == len(set(paths)) == total
    assert len(list(world.folder.glob("access.log*"))) == turns + 1
    assert world.file.stat().st_size > 0


def test_lines_reach_the_file_within_a_second_or_so(world):
    bench = world.bench(logged([world.backend()], world.file))
    world.client(bench).get("/")
    bench.until(lambda _: world.file.stat().st_size > 0)


def limit(pid, what):
    """Of a running worker, as its own user: others would need CAP_SYS_RESOURCE."""
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*become, "prlimit", "--pid", str(pid), what], check=True)


def test_a_full_disk_costs_lines_and_is_told_once(world):
    bench = world.bench(logged([world.backend()], "/dev/full"))
    client = world.client(bench)
    for _ in range(100):
        assert client.get("/").status == 200
    bench.until(lambda scores: scores["rows"][0]["access_log_lost"] == 100)
    for _ in range(10):
        assert client.get("/").status == 200
    bench.until(lambda scores: scores["rows"][0]["access_log_lost"] == 110)
    log = bench.log()
    assert log.count("event=access-log-fails") == 1 and "No space left on device" in log


def test_a_line_that_was_cut_does_not_swallow_the_next(world):
    """A limit of the file's size stands for the disk that is full in the middle of a line, and has room
    again later."""
    bench = world.bench(logged([world.backend()], world.file))
    pid = bench.pids()[0]
    client = world.client(bench)
    limit(pid, "--fsize=1000:")
    for i in range(20):
        assert client.get(f"/first/{i}").status == 200
    bench.until(lambda scores: scores["rows"][0]["access_log_lost"] > 0)
    limit(pid, "--fsize=unlimited:")
    for i in range(5):
        assert client.get(f"/second/{i}").status == 200
    bench.stop()
    lines = world.file.read_text().splitlines()
    broken = [i for i, line in enumerate(lines) if not line.endswith("}")]
    assert len(broken) == 1
    assert [json.loads(line)["path"] for line in lines[broken[0] + 1:]] == [f"/second/{i}" for i in range(5)]
    told = re.search(r"event=access-log-works-again .*lost=(\d+)", bench.log())
    assert int(told[1]) == 20 - broken[0]  # of the first 20, those that are not whole in the file
    assert bench.log().count("event=access-log-fails") == 1


def stderr_to(fifo):
    return ("sh", "-c", f'exec "$@" 2>{fifo}', "sh")


def test_a_stderr_that_nobody_reads_holds_nobody_up(world):
    fifo = world.folder / "stderr"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    bench = world.bench(web(world.backend()), prefix=stderr_to(fifo))
    client = world.client(bench)
    scores = bench.scores()
    for _ in range(1000):  # at some 300 bytes: four times what a pipe holds
        assert client.get("/").status == 200
    scores = bench.until(lambda scores: scores["rows"][0]["access_log_lost"] > 0)
    seen = b""
    while True:
        try:
            seen += os.read(reader, 1 << 16)
        except BlockingIOError:
            break
    lines = seen.decode().splitlines()
    assert all(line.startswith("time=") and " why=" in line for line in lines if "event=exchange" in line)
    kept = sum("event=exchange" in line for line in lines)
    assert kept + scores["rows"][0]["access_log_lost"] <= 1000 and kept > 100
    assert client.get("/").status == 200  # and goes on where somebody reads again
    bench.stop()
    assert b"event=access-log-works-again" in os.read(reader, 1 << 16)
    os.close(reader)


def test_a_reader_that_is_gone_kills_nobody(world):
    fifo = world.folder / "stderr"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
    bench = world.bench(web(world.backend()), prefix=stderr_to(fifo))
    client = world.client(bench)
    os.close(reader)
    for _ in range(10):
        assert client.get("/").status == 200
    bench.until(lambda scores: scores["rows"][0]["access_log_lost"] == 10)


def test_a_worker_without_descriptors_still_takes_the_new_file(world):
    bench = world.bench(logged([world.backend()], world.file))
    pid = bench.pids()[0]
    world.client(bench).get("/old")
    bench.until(lambda _: world.file.stat().st_size > 0)
    limit(pid, f"--nofile={max(map(int, os.listdir(f'/proc/{pid}/fd'))) + 1}:")
    held = []
    try:
        for number in range(200):  # every free number below is taken by a connection that waits
            held.append(Client(bench.port))
        bench.until(lambda scores: scores["rows"][0]["clients"] > 0)
        os.rename(world.file, world.folder / "access.log.1")
        bench.ask("reopen")
        held[0].get("/new")
    finally:
        for client in held:
            client.close()
    bench.until(lambda _: world.file.exists() and "/new" in world.file.read_text())


def test_sigusr1_to_a_worker_does_nothing(world):
    bench = world.bench(logged([world.backend()], world.file))
    os.kill(bench.pids()[0], signal.SIGUSR1)
    assert world.client(bench).get("/").status == 200
