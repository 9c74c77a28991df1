"""The bench reads its tools, takes its medians and judges its goals as it says. Nothing is timed here."""
import importlib.machinery
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build/release"))
sys.path.insert(0, str(BENCH))

import figures  # noqa: E402
import loads  # noqa: E402
import processes  # noqa: E402
import subjects  # noqa: E402
import watching  # noqa: E402
import workloads  # noqa: E402
from figures import Goal  # noqa: E402


def program(name):
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", str(BENCH / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def test_quantiles_are_values_that_were_seen():
    thousand = list(range(1, 1001))
    assert figures.quantile(thousand, 0.5) == 500
    assert figures.quantile(thousand, 0.99) == 990
    assert figures.quantile(thousand, 0.999) == 999
    assert figures.quantile(thousand, 1.0) == 1000
    assert figures.quantile([7], 0.99) == 7
    assert figures.quantile([], 0.99) == 0


def test_a_round_that_went_astray_does_not_move_the_median():
    runs = [{"cpu_us": 10.0, "failed": 0}, {"cpu_us": 90.0, "failed": 0}, {"cpu_us": 11.0, "failed": 0}]
    assert figures.middle(runs) == {"cpu_us": 11.0, "failed": 0}


MEASURED = {"floor-libev": {"cpu_us": 8.0}, "nginx": {"cpu_us": 11.0, "p99_us": 900}, "haproxy": {"cpu_us": 10.0, "p99_us": 950},
            "sluice": {"cpu_us": 9.0, "p99_us": 990, "bytes_each": 600}, "sluice-two": {"cpu_us": 9.36}}


@pytest.mark.parametrize("goal, than, met, over", [
    (Goal("cpu_us", 0.85), "haproxy", False, 9.0 / 8.5 - 1),
    (Goal("cpu_us", 0.9), "haproxy", True, 0.0),
    (Goal("cpu_us", 1.15, "floor-libev"), "floor-libev", True, 9.0 / 9.2 - 1),
    (Goal("p99_us", 1.0), "nginx", False, 0.1),
    (Goal("bytes_each", 512, ""), "", False, 600 / 512 - 1),
    (Goal("cpu_us", 1.05, "sluice", "sluice-two"), "sluice", True, 9.36 / 9.45 - 1),
])
def test_goals_are_judged_against_the_best_of_the_peers(goal, than, met, over):
    found = figures.judge(goal, MEASURED)
    assert (found["than"], found["met"]) == (than, met)
    assert found["over"] == pytest.approx(over)


def test_what_was_not_measured_is_not_judged():
    assert figures.judge(Goal("cpu_us", 1.0), {"sluice": {"cpu_us": 9.0}}) is None
    assert figures.judge(Goal("cpu_us", 1.0), {"nginx": {"cpu_us": 9.0}}) is None
    assert figures.judge(Goal("cpu_us", 1.0, "floor-libev"), {"sluice": {"cpu_us": 9.0}}) is None


def test_tables_have_a_cell_for_every_heading():
    lines = figures.table(MEASURED).splitlines()
    assert len({line.count("|") for line in lines}) == 1 and len(lines) == 2 + len(MEASURED)
    assert "| sluice | 9.0 | 0.99 | 600 | 0.90 |" in lines
    judged = [("w", figures.judge(goal, MEASURED)) for goal in (Goal("cpu_us", 0.85), Goal("bytes_each", 512, ""))]
    lines = figures.summary(judged).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2] == "| w | CPU µs/request | 9.0 | haproxy 10.0 | ≤ 0.85 × best | 0.90 | no, 6 % over |"
    assert lines[3] == "| w | bytes/connection | 600 |  | ≤ 512 |  | no, 17 % over |"


def test_wrks_errors_count_but_for_the_close_that_was_asked_for():
    text = ('\nRunning 1s test\n{"requests": 5000, "seconds": 2.0, "p50_us": 100, "p99_us": 900, "p999_us": 1500, '
            '"connect": 1, "read": 40, "write": 2, "status": 3, "timeout": 4}\n')
    found = loads.read_wrk(text, close=False)
    assert found == {"requests": 5000, "requests_per_s": 2500.0, "p50_us": 100, "p99_us": 900, "p999_us": 1500, "failed": 50}
    assert loads.read_wrk(text, close=True)["failed"] == 10


def test_h2loads_log_is_read():
    times, failed = loads.read_h2load(["1700000000000001\t200\t250\n", "1700000000000002\t503\t90\n", "1700000000000003\t200\t150\n"])
    assert (times, failed) == ([250, 150], 1)
    assert loads.from_times(times, failed, 2) == {"requests": 2, "requests_per_s": 1.0, "p50_us": 150, "p99_us": 250,
                                                  "p999_us": 250, "failed": 1}


def test_a_process_and_its_children_are_counted():
    parent = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!; wait"], stdout=subprocess.PIPE, text=True)
    try:
        child = int(parent.stdout.readline())
        assert sorted(processes.family(parent.pid)) == sorted([parent.pid, child])
        assert processes.pss_bytes(parent.pid) > 0
        assert processes.cpu_us(parent.pid) >= 0
    finally:
        subprocess.run(["kill", str(child)], check=True)
        parent.wait(20)
        parent.stdout.close()


def test_every_row_names_subjects_and_figures_that_there_are():
    names = [workload.name for workload in workloads.WORKLOADS]
    assert len(set(names)) == len(names)
    figures_known = {key for key, *_ in figures.COLUMNS}
    for workload in workloads.WORKLOADS:
        for goal in workload.goals:
            assert goal.who in workload.subjects and goal.figure in figures_known
            assert goal.of in ("", "best", *workload.subjects)
        assert workload.measure in workloads.MEASURES


def test_templates_are_filled(tmp_path):
    template = (BENCH / "peers/sluice.json").read_text()
    values = {"HTTP": 1, "TLS": 2, "TCP": 3, "DIR": tmp_path, **{f"BACKEND_{i}": 100 + i for i in range(1, 9)}}
    text = subjects.fill("sluice.json", tmp_path, values).read_text()
    assert "@" in template and "@" not in text and "127.0.0.1:108" in text


def test_functions_are_told_from_callgrinds_listing(tmp_path, monkeypatch):
    listing = ("1,234 (100.0%)  PROGRAM TOTALS\n--\n  1,000  proxy/client.c:process.lto_priv.0 [/x/sluice-worker]\n"
               "    200  ./string/memcpy.S:memcpy [/lib/libc.so.6]\n     34  proxy/client.c:process.part.1 [/x/sluice-worker]\n")
    instructions = program("instructions")
    monkeypatch.setattr(instructions.subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, listing, ""))
    assert instructions.functions_of(tmp_path) == {"process": 1034, "memcpy": 200}


@pytest.mark.parametrize("command, says", [
    (["run", "--only", "no such row"], "there are:"),
    (["run", "--rounds", "0"], "at least 1"),
    (["instructions", "--only", "apache"], "nginx, haproxy and sluice"),
    (["rollout", "--sleep", "long"], "seconds with commas"),
])
def test_wrong_usage_is_told(command, says):
    done = subprocess.run([sys.executable, str(BENCH / command[0]), *command[1:]], capture_output=True, text=True)
    assert done.returncode == 2 and says in done.stderr


@pytest.mark.parametrize("loop", ["epoll", "libev"])
def test_the_floors_move_every_byte_both_ways(loop):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.settimeout(20)
        port = processes.free_port()
        floor = subprocess.Popen([BUILD / "bench" / f"floor-{loop}", str(port), str(listener.getsockname()[1])])
        try:
            client = connect_when_up(port)
            server, _ = listener.accept()
            with client, server:
                client.settimeout(20)
                server.settimeout(20)
                exchange(client, server)
        finally:
            floor.kill()
            floor.wait()


def connect_when_up(port):
    end = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), 20)
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.01)


def exchange(client, server):
    """More than the sockets hold, so that the relay has to wait for its reader; then ends, one after the other."""
    sent = bytes(range(256)) * 65536
    writer = threading.Thread(target=client.sendall, args=(sent,))
    writer.start()
    got = receive(server, len(sent))
    writer.join(20)
    assert got == sent
    client.shutdown(socket.SHUT_WR)
    assert server.recv(1) == b""
    server.sendall(sent[:100000])
    server.shutdown(socket.SHUT_WR)
    assert receive(client, 100000) == sent[:100000] and client.recv(1) == b""


def receive(sock, length):
    data = bytearray()
    while len(data) < length:
        piece = sock.recv(1 << 20)
        assert piece, f"ended after {len(data)} bytes"
        data += piece
    return bytes(data)


def test_the_large_table_is_as_large_as_it_says():
    many = subjects.Subjects._many_services
    services = many(type("Values", (), {"values": {"BACKEND_1": 1}})(), {"backends": ["a:1", "b:1", "c:1"]})
    assert len(services) == 256 and sum(len(service["backends"]) for service in services.values()) == 4096
    assert len(services["s0"]["backends"]) == 3


@pytest.mark.parametrize("name", ["sluice", "sluice-two", "sluice-many", "sluice-sticky"])
def test_what_is_measured_is_a_good_config(name, tmp_path):
    subjects.make_certificate(tmp_path)
    bench = subjects.Subjects.__new__(subjects.Subjects)  # without its processes
    bench.folder = tmp_path
    bench.values = {"DIR": tmp_path, **{f"BACKEND_{i}": 100 + i for i in range(1, 9)}}
    config, _ = bench.sluice_config(name)
    done = subprocess.run([BUILD / "bin/sluice", "check", config], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- rollouts


def test_a_gap_is_from_the_last_exchange_to_the_containers_stop():
    lines = [r'{"log":"end kind=request monotonic_us=5000000 path=/\n","stream":"stdout"}' + "\n",
             r'{"log":"end kind=websocket monotonic_us=4000000 path=/ws\n","stream":"stdout"}' + "\n",
             r'{"log":"exit monotonic_us=9000000 active=0\n","stream":"stdout"}' + "\n"]
    assert watching.last_end_us(lines) == 5000000
    assert watching.last_end_us(lines[2:]) is None
    # stopped 7 s after the machine's start, which was at 100 s of the wall's clock
    assert watching.gap_ms(5_000_000, 107_000_000_000, 100_000_000_000) == 2000.0


def a_run(total, failed=0, broken=0):
    return {"total_s": total, "failed": failed, "broken": broken, "gap_p50_ms": 10, "gap_max_ms": 20, "requests": 1000}


@pytest.mark.parametrize("others, says", [
    ({"nginx": [a_run(36)]}, "Nothing failed with Sluice: yes. Shortest of all: yes."),
    ({"nginx": [a_run(9, broken=2)]}, "Shortest of all: no; less took nginx (2 failures)."),
])
def test_rollouts_are_judged_by_failures_and_time(others, says):
    rollout = program("rollout")
    results = {"sluice": [a_run(14), a_run(12), a_run(13)], **others}
    assert says in rollout.verdict(results)
    assert rollout.table(results).splitlines()[2] == "| sluice | 13.0 | 0 | 0 | 10 | 20 | 1000 |"


def test_one_failure_in_any_round_is_told():
    rollout = program("rollout")
    assert "Nothing failed with Sluice: no." in rollout.verdict({"sluice": [a_run(12), a_run(12, failed=1), a_run(12)]})


SAMPLES = """
    7f00 ngx_http_parse_header_line+0x1 (/usr/sbin/nginx)
    7f01 main+0x2 (/usr/sbin/nginx)

ffff0001 tcp_ack+0x1 ([kernel.kallsyms])
ffff0002 tcp_rcv_established+0x2 ([kernel.kallsyms])
ffff0003 tcp_sendmsg+0x3 ([kernel.kallsyms])
    7f02 __GI___writev+0x4 (/usr/lib/x86_64-linux-gnu/libc.so.6)

ffff0004 ep_poll+0x1 ([kernel.kallsyms])

    7f03 SHA256_Update+0x5 (/usr/lib/x86_64-linux-gnu/libcrypto.so.3)

    7f04 [unknown] (/usr/lib/x86_64-linux-gnu/libcrypto.so.3)
"""


def test_a_profile_counts_the_kernel_for_the_call_and_the_rest_for_its_object():
    profile = program("profile")
    assert profile.shares(SAMPLES) == {"libcrypto": 0.4, "nginx": 0.2, "kernel: send": 0.2, "kernel: wait for events": 0.2}


def test_a_profile_has_a_line_for_all_that_took_time():
    profile = program("profile")
    lines = profile.table({"nginx": ({"cpu_us": 20.0}, {"nginx": 0.25, "libc": 0.001}, 0.5), "sluice": ({"cpu_us": 10.0}, {"libev": 0.5}, 0.25)}).splitlines()
    assert lines[2:] == ["| all | 20.0 | 10.0 |", "| libev | 0.0 | 5.0 |", "| nginx | 5.0 | 0.0 |", "| voluntary switches/request | 0.50 | 0.25 |"]


def test_the_network_that_was_measured_in_is_told():
    """In a process of its own, for it does not come back."""
    done = subprocess.run([sys.executable, "-c", "import processes; print(processes.own_network()); print(processes.free_port())"],
                          cwd=BENCH, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    expected = "its own, " if os.geteuid() == 0 else "that of the machine, "
    assert done.stdout.startswith(expected)
