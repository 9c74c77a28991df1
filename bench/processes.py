"""The processes of a bench: their ports, their start and end, and what they take."""
import contextlib
import ctypes
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
START_SECONDS = 60  # under valgrind a start takes its time
END_SECONDS = 60


def fail(text):
    sys.exit(f"bench: {text}")


def install(*sets):
    """Debian's packages, where they are missing."""
    if subprocess.run([ROOT / "scripts/packages", *sets]).returncode != 0:
        fail("packages are missing (see above)")
    os.environ["PATH"] += ":/usr/sbin"


def build(preset):
    if subprocess.run([ROOT / "scripts/build", preset]).returncode != 0:
        fail(f"preset {preset} does not build (see above)")
    return ROOT / "build" / preset


def own_network():
    """Leaves the machine's network for a new one, where this process may: without the machine's packet filter and
    connection tracking, which where a container engine runs take a tenth of each request. Says where the
    figures are from: what network, and its congestion control."""
    clone_newnet = 0x40000000  # <linux/sched.h>
    own = ctypes.CDLL(None).unshare(clone_newnet) == 0
    if own and subprocess.run(["ip", "link", "set", "lo", "up"]).returncode != 0:
        fail("the loopback device of a network of our own does not come up (see above)")
    congestion = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    return f'{"its own" if own else "that of the machine"}, {congestion}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def family(pid):
    """A process and all that it started."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{pid}/task"):
                todo += map(int, pathlib.Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    return found


def cpu_us(pid):
    """User and system time of a process and all that it started."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
    return total * 1_000_000 // TICKS


def pss_bytes(pid):
    """Their memory; what they share is divided among those that share it."""
    total = 0
    for member in family(pid):
        with contextlib.suppress(OSError, TypeError):
            text = pathlib.Path(f"/proc/{member}/smaps_rollup").read_text()
            total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024
    return total


class Server:
    """A process that listens: ready when its ports answer."""

    def __init__(self, name, folder, command, ports, end_signal=signal.SIGTERM, **options):
        self.name, self.ports, self.end_signal = name, ports, end_signal
        self.log = pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([str(part) for part in command], stderr=log,
                                            **{"stdin": subprocess.DEVNULL, "stdout": log, **options})
        self.pid = self.process.pid
        try:
            for port in ports.values():
                self._wait_port(port)
        except BaseException:
            self.stop()
            raise

    def _wait_port(self, port):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            if self.process.poll() is not None:
                fail(f"{self.name} ended at its start, exit {self.process.returncode}\n{self.log.read_text()[-2000:]}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            time.sleep(0.02)
        fail(f"{self.name} does not listen on port {port}\n{self.log.read_text()[-2000:]}")

    def ask_to_end(self):
        self.process.send_signal(self.end_signal)

    def stop(self):
        if self.process.poll() is None:
            self.ask_to_end()
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
