"""What whoever takes a worker over can do: nothing but what the proxy does. Real workers are stopped
by ptrace and made to do a system call (inject.c); a forbidden one must end them, by SIGSYS and with
a line that names it."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, Backend, Bench, Client, sanitized, web

INJECT = BUILD / "tests" / "sluice-inject"
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

pytestmark = pytest.mark.skipif(
    not INJECT.exists() or os.geteuid() != 0 or sanitized(),
    reason="needs x86-64, root (for ptrace) and a build without sanitizers, which need more system calls")

AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_VSOCK = 1, 2, 10, 16, 17, 40
STREAM, DATAGRAM, RAW = 1, 2, 3
NONBLOCK, CLOEXEC = 0o4000, 0o2000000
READ, WRITE, EXECUTE = 1, 2, 4
PAGE = 4096

FORBIDDEN = {
    # files, whatever the root directory is
    "reads-a-file": ("openat", -100, "=/etc/passwd", 0),
    "reads-a-file-the-old-way": ("open", "=/proc/self/environ", 0),
    "opens-by-handle": ("open_by_handle_at", -100, 0, 0),
    "opens-by-openat2": ("openat2", -100, "=/", 0, 24),
    "makes-a-folder": ("mkdir", "=/x", 0o700),
    "removes-a-file": ("unlinkat", -100, "=/x", 0),
    "leaves-the-empty-root": ("chroot", "=."),
    "walks-out-by-a-descriptor": ("fchdir", 0),
    "lists-a-folder": ("getdents64", 0, 0, 0),
    # the access log: lines may be added, and that is all
    "writes-over-the-log": ("fcntl", 2, 4, 0),
    "writes-into-the-log": ("pwrite64", 2, "=x", 1, 0),
    "cuts-the-log": ("ftruncate", 2, 0),
    "seeks-in-the-log": ("lseek", 2, 0, 0),
    "makes-memory-that-can-be-executed-from-a-file": ("memfd_create", "=x", 0),
    # other programs, other processes
    "executes": ("execve", "=/bin/sh", 0, 0),
    "executes-by-descriptor": ("execveat", 3, "=", 0, 0, 0x1000),
    "forks": ("fork",),
    "forks-quickly": ("vfork",),
    "clones": ("clone", signal.SIGCHLD, 0, 0, 0, 0),
    "clones-anew": ("clone3", 0, 0),
    "traces": ("ptrace", 16, 1, 0, 0),
    "reads-another-process": ("process_vm_readv", 1, 0, 0, 0, 0, 0),
    "writes-another-process": ("process_vm_writev", 1, 0, 0, 0, 0, 0),
    "takes-a-descriptor-of-another": ("pidfd_open", 1, 0),
    "kills-its-parent": ("kill", "PARENT", signal.SIGKILL),
    "kills-a-thread-of-its-parent": ("tgkill", "PARENT", "PARENT", signal.SIGKILL),
    "queues-a-signal": ("rt_sigqueueinfo", "PARENT", signal.SIGKILL, 0),
    # the engine's and the admin socket, and every network but TCP
    "opens-a-unix-socket": ("socket", AF_UNIX, STREAM | NONBLOCK | CLOEXEC, 0),
    "opens-a-unix-socket-pair": ("socketpair", AF_UNIX, STREAM, 0, 0),
    "opens-a-netlink-socket": ("socket", AF_NETLINK, RAW, 0),
    "opens-a-packet-socket": ("socket", AF_PACKET, RAW, 0),
    "opens-a-vsock": ("socket", AF_VSOCK, STREAM, 0),
    "opens-udp": ("socket", AF_INET, DATAGRAM | NONBLOCK | CLOEXEC, 0),
    "opens-a-raw-socket": ("socket", AF_INET6, RAW | NONBLOCK | CLOEXEC, 58),
    "opens-multipath-tcp": ("socket", AF_INET, STREAM | NONBLOCK | CLOEXEC, 262),
    "binds": ("bind", 3, 0, 0),
    "listens": ("listen", 3, 1),
    "sets-an-option-of-ip": ("setsockopt", 3, 0, 64, 0, 0),
    "asks-a-device": ("ioctl", 2, 0x5401, 0),
    # rights
    "becomes-root": ("setuid", 0),
    "becomes-root-wholly": ("setresuid", 0, 0, 0),
    "takes-groups": ("setgroups", 0, 0),
    "takes-capabilities": ("capset", 0, 0),
    "changes-itself": ("prctl", 4, 1, 0, 0, 0),
    "lifts-limits": ("prlimit64", 0, 4, 0, 0),
    "replaces-the-handler": ("rt_sigaction", signal.SIGSYS, 0, 0, 8),
    "adds-a-filter": ("seccomp", 1, 0, 0),
    "changes-its-personality": ("personality", 0x0040000),
    # code of its own
    "maps-code": ("mmap", 0, PAGE, READ | EXECUTE, 0x22, -1, 0),
    "makes-memory-code": ("mprotect", 0, PAGE, READ | WRITE | EXECUTE),
    "protects-by-key": ("pkey_mprotect", 0, PAGE, EXECUTE, -1),
    # the kernel's less trodden paths
    "mounts": ("mount", 0, "=/", 0, 0, 0),
    "unmounts": ("umount2", "=/", 2),
    "leaves-its-namespaces": ("unshare", 0x10000000),
    "enters-a-namespace": ("setns", 3, 0),
    "loads-bpf": ("bpf", 0, 0, 0),
    "opens-an-io-ring": ("io_uring_setup", 1, 0),
    "counts-events": ("perf_event_open", 0, 0, -1, -1, 0),
    "handles-page-faults": ("userfaultfd", 0),
    "reads-keys": ("keyctl", 0, 0),
    "loads-a-module": ("finit_module", 3, "=", 0),
    "reboots": ("reboot", 0, 0, 0, 0),
}


@pytest.fixture(scope="module")
def backend():
    backend = Backend()
    yield backend
    backend.close()


class Worker:
    def __init__(self, backend, **keys):
        self.bench = Bench(web(backend), **keys)
        self.pid = self.bench.pids()[0]

    def inject(self, call, *arguments):
        told = [str(self.bench.process.pid if a == "PARENT" else a if isinstance(a, str) else int(a)) for a in arguments]
        done = subprocess.run([INJECT, str(self.pid), call, *told], capture_output=True, text=True, timeout=20)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def status(self):
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


@pytest.fixture
def start(backend):
    workers = []

    def start_worker(**keys):
        workers.append(Worker(backend, **keys))
        return workers[-1]

    yield start_worker
    for worker in workers:
        worker.bench.close()


def kill_by(worker, call):
    assert worker.inject(*call) == f"killed {int(signal.SIGSYS)}"
    assert worker.bench.ask("wait") == [-signal.SIGSYS]
    assert f"event=sandbox-violation syscall={call[0]}\n" in worker.bench.log()


@pytest.mark.parametrize("call", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_worker_dies_that(start, call):
    kill_by(start(), call)


def test_what_the_proxy_does_itself_is_allowed(start, backend):
    """The test's own control: a worker that is made to do such a call goes on."""
    worker = start()
    assert worker.inject("getpid") == f"returned {worker.pid}"
    for family in (AF_INET, AF_INET6):
        number = worker.inject("socket", family, STREAM | NONBLOCK | CLOEXEC, 0).removeprefix("returned ")
        assert int(number) >= 0 and worker.inject("close", number) == "returned 0"
    assert int(worker.inject("mmap", 0, PAGE, READ | WRITE, 0x22, -1, 0).removeprefix("returned ")) > 0
    assert "sandbox-" not in worker.bench.log()
    client = Client(worker.bench.port)
    assert client.get().status == 200
    client.close()


def test_its_root_is_an_empty_folder_that_nobody_can_fill(start):
    worker = start()
    for way in ("root", "cwd"):
        with pytest.raises(OSError):
            os.listdir(f"/proc/{worker.pid}/{way}")
        with pytest.raises(OSError):
            os.mkdir(f"/proc/{worker.pid}/{way}/x")  # not even root
        with pytest.raises(OSError):
            os.stat(f"/proc/{worker.pid}/{way}/..")


def test_it_has_no_user_group_or_capability_left(start):
    status = start().status()
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"} and status["Groups"] == ""
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")


def test_nobody_else_of_its_user_sees_its_memory_and_no_core_is_written(start):
    worker = start()
    for name in ("mem", "maps", "environ"):
        seen = subprocess.run([*NOBODY, "head", "-c", "1", f"/proc/{worker.pid}/{name}"], capture_output=True, text=True)
        assert seen.returncode != 0 and "Permission denied" in seen.stderr
    limits = Path(f"/proc/{worker.pid}/limits").read_text()
    assert [line.split()[4:6] for line in limits.splitlines() if line.startswith("Max core")] == [["0", "0"]]


def test_without_root_the_filter_holds_all_the_same(start):
    worker = start(prefix=NOBODY)
    status = worker.status()
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    client = Client(worker.bench.port)
    assert client.get().status == 200
    client.close()
    assert "sandbox-incomplete" not in worker.bench.log()
    kill_by(worker, FORBIDDEN["reads-a-file"])


def test_a_container_that_forbids_chroot_costs_the_empty_root_only_and_that_is_told(start):
    worker = start(prefix=("setpriv", "--bounding-set=-sys_chroot", "--inh-caps=-sys_chroot"))
    assert "event=sandbox-incomplete missing=empty-root" in worker.bench.log()
    assert worker.status()["Uid"].split()[0] == "65534"
    kill_by(worker, FORBIDDEN["reads-a-file"])
