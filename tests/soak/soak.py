"""The soak: mixed traffic through a real `sluice run` while backends come and go; see README.md here.

    soak.py SECONDS RESULT_FOLDER      exit code 0: all rules hold; 1: not; result.json says what
"""
import asyncio
import atexit
import datetime
import itertools
import json
import os
import pathlib
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import rude
import traffic
from fleet import Demo, end_all
from ledger import Ledger
from load import Load
from measure import Sampler
from sluice import BUILD, Sluice

CHECK = {"interval": "500ms", "timeout": "500ms", "retries": 3}
RELOADS_UNTIL = 0.6   # of the run: then processes live on, and are measured
MEASURED_FROM = 0.65
CALM, WILD = 3, 4     # backends
KINDS = ["tcp"] + [tls + kind for tls in ("", "tls ") for kind in ("keepalive", "new", "upload", "download", "sse", "websocket")]


def make_certificate(folder):
    """Writes one for soak.test into `folder`. Returns how its clients see it."""
    path = folder / "soak.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=soak.test", "-addext", "subjectAltName=DNS:soak.test", "-days", "2",
                    "-keyout", path, "-out", folder / "certificate"], check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "certificate").read_text())
    return ssl.create_default_context(cafile=folder / "certificate")


class World:
    """Sluice, its backends, and what happens to them. `calm` backends go as told, `wild` ones die."""

    def __init__(self, folder, workers=2):
        self.ledger = Ledger()
        self.serial = 0
        self.event_count, self.event_bytes = 0, []  # (time, bytes since the entry before)
        self.counts = {"killed": 0, "terminated": 0, "replaced": 0, "reloads": 0, "weights": 0, "bad configs": 0}
        self.workers = workers
        self.calm = [self.demo("calm") for _ in range(CALM)]
        self.calm_canary = [self.demo("calm")]
        self.wild = [self.demo("wild") for _ in range(WILD)]
        self.tls = make_certificate(folder)
        self.sluice = Sluice(folder, self.config())
        for service, count in (("calm", CALM + 1), ("wild", WILD), ("lines", CALM), ("wildlines", WILD)):
            self.sluice.wait_healthy(service, count)

    def count_events(self):
        """What the updater's event stream has brought: it keeps so much for those that come back."""
        events = self.sluice.events
        with events.changed:
            fresh, events.all[self.event_count:] = events.all[self.event_count:], [
                (name, None) for name, _ in events.all[self.event_count:]]
            self.event_count = len(events.all)
        self.event_bytes.append((time.monotonic(), sum(len(json.dumps(data)) + 64 for _, data in fresh)))

    def demo(self, kind):
        self.serial += 1
        return Demo(f"{kind}{self.serial}")

    def config(self):
        http = {**CHECK, "http": {"path": "/healthz"}}
        drain = {"timeouts": {"tunnel": "60s"}}
        return {
            "listeners": {"tls": {"address": "127.0.0.1:0", "tls": {"certificates": [{"cert": "soak.pem"}]}},
                          "calm": {"address": "127.0.0.1:0"},
                          "lines": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "lines"},
                          "wildlines": {"address": "127.0.0.1:0", "protocol": "tcp", "service": "wildlines"}},
            "services": {
                "calm": {"routes": [{"host": "calm.test"}], "backends": [d.address for d in self.calm],
                         "canary": [d.address for d in self.calm_canary], "healthcheck": http, **drain},
                "wild": {"routes": [{"host": "soak.test"}, {"host": "127.0.0.1"}],
                         "backends": [d.address for d in self.wild], "healthcheck": http, **drain},
                "lines": {"backends": [d.tcp_address for d in self.calm], "healthcheck": {**CHECK, "tcp": {}}},
                "wildlines": {"backends": [d.tcp_address for d in self.wild], "healthcheck": {**CHECK, "tcp": {}}}},
            "workers": self.workers}

    # --- what happens ---

    def reload(self):
        """SIGHUP, and waits until only processes of the new generation are left."""
        position = self.sluice.log_position()
        self.sluice.write_config(self.config())
        self.sluice.signal(signal.SIGHUP)
        self.sluice.wait_log("event=reload-completed", after=position)
        self.sluice.wait_until(
            lambda: sum(w["live"] for w in self.sluice.api("GET", "/healthz")["workers"]) == self.workers, 60)
        self.counts["reloads"] += 1

    def replace_calm(self):
        """One more comes, one goes: nobody may notice."""
        new = self.demo("calm")
        self.calm.append(new)
        self.reload()
        self.sluice.wait_healthy("calm", CALM + 2)
        old = self.calm.pop(random.randrange(CALM))
        self.reload()
        old.end()
        self.counts["replaced"] += 1

    def bad_config(self):
        position = self.sluice.log_position()
        self.sluice.write_config("listeners: { web: { adress: 1 } }")
        self.sluice.signal(signal.SIGHUP)
        self.sluice.wait_log("event=config-refused", after=position)
        self.sluice.write_config(self.config())
        self.counts["bad configs"] += 1

    def weigh(self):
        weight = random.choice([0, 10, 25, 50, 90, 100])
        done = self.sluice.cli("weight", "calm", weight)
        if done.returncode != 0:
            self.ledger.wrongs.append(f"sluice weight: {done.stderr}")
        self.counts["weights"] += 1
        for row in self.sluice.service("calm")["split"]:
            if abs(row["error"]) > 1:
                self.ledger.wrongs.append(f"the split is off by {row['error']}")

    def lose_wild(self, how):
        """One dies without a word and comes back on its ports."""
        at = random.randrange(WILD)
        self.ledger.died("kill" if how == signal.SIGKILL else "term", self.wild[at].name)
        self.wild[at].end(how)
        self.counts["killed" if how == signal.SIGKILL else "terminated"] += 1
        return at

    def return_wild(self, at):
        self.wild[at] = self.wild[at].again()
        self.sluice.wait_healthy("wild", WILD)
        self.sluice.wait_healthy("wildlines", WILD)

    # --- at the end ---

    def gauges(self):
        """Everything that is not zero."""
        found = {}
        for service in self.sluice.api("GET", "/services")["services"]:
            service = self.sluice.service(service["name"])
            found[f"{service['name']} queued"] = service["queued"]
            for group in service["groups"].values():
                for backend in group["backends"]:
                    for gauge in ("active", "connecting", "open", "idle"):
                        name = f"{service['name']} {gauge}"
                        found[name] = found.get(name, 0) + backend[gauge]
        for worker in self.sluice.api("GET", "/healthz")["workers"]:
            found["clients"] = found.get("clients", 0) + (worker["clients"] if worker["live"] else 0)
        return {name: value for name, value in found.items() if value != 0}

    def end_backends(self):
        for demo in self.calm + self.calm_canary + self.wild:
            demo.end()


def happen(world, started, seconds, ended):
    """What happens, until the run ends: something every few seconds, and reloads in its first part."""
    def pause(least, most):
        return ended.wait(random.uniform(least, most))

    reload_every = max(8, seconds * RELOADS_UNTIL / 8)
    next_reload = started
    reloads = itertools.cycle([world.replace_calm, world.bad_config, world.replace_calm])
    while not pause(1, 3):
        if next_reload < time.monotonic() < started + seconds * RELOADS_UNTIL - 5:
            next(reloads)()
            next_reload = time.monotonic() + reload_every
        else:
            random.choice([world.weigh, lambda: None])()
        at = world.lose_wild(random.choice([signal.SIGKILL, signal.SIGTERM]))
        pause(0.5, 3)
        world.return_wild(at)
        world.count_events()


async def clients(world, seconds):
    """All clients of the wild services, for so long; then they are cut off where they are."""
    ledger, lines = world.ledger, world.sluice.address("wildlines")
    plain, secure = (world.sluice.address("calm"), None), (world.sluice.address("tls"), world.tls)
    loops, kept = [], []

    def add(rate, work):
        loops.append(asyncio.create_task(traffic.at_rate(rate, work)))

    def keep(way, kind, work):
        kept.append(traffic.KeepAlive(ledger, "tls " * (way is secure) + kind, *way, work))
        return kept[-1]

    def fresh(way, kind, work):
        return lambda: traffic.judged(ledger, "tls " * (way is secure) + kind, traffic.once(*way, work))

    def add_all(way):
        for _ in range(4):
            add(4, keep(way, "keepalive", traffic.index))
            add(0.5, lambda: traffic.websocket(ledger, *way))
            add(0.7, lambda: rude.one(ledger, *way))
        for _ in range(2):
            add(2, fresh(way, "new", traffic.index))
        add(1, keep(way, "upload", traffic.upload))
        add(1, keep(way, "download", traffic.download))
        add(1, fresh(way, "pipelined", traffic.pipelined))
        add(0.5, fresh(way, "slow", traffic.slow))
        add(0.4, fresh(way, "sse", traffic.sse))

    add_all(plain)
    add_all(secure)
    for _ in range(8):
        add(0.5, lambda: traffic.tcp(ledger, lines))
    await asyncio.sleep(seconds)
    while loops:  # more than once: a cancellation that meets the end of a wait_for() is lost in it
        for loop in loops:
            loop.cancel()
        loops = (await asyncio.wait(loops, timeout=1))[1]
    for client in kept:
        client.close()


def steady_load(world, folder):
    """The C generator against the calm services, where nothing at all may fail."""
    host, port = world.sluice.address("calm")
    lines = "%s:%d" % world.sluice.address("lines")
    return Load(folder, "--address", f"{host}:{port}", "--host", "calm.test", "--tcp", lines, "--rate", 60,
                "--new-connections", 10, "--slow", 2, "--websockets", 6, "--websocket-hold", 5, "--tcp-connections", 6,
                "--tcp-hold", 5)


def settle(world, baseline, sampler):
    """Traffic has ended: everything must be let go. Returns what was not."""
    wrong = []

    def rest(what, wanted):
        try:
            world.sluice.wait_until(wanted, 30)
        except AssertionError:
            wrong.append(f"{what}: {world.gauges()}")

    rest("in use at the end", lambda: not any("open" not in name and "idle" not in name for name in world.gauges()))
    world.end_backends()
    rest("gauges at the end", lambda: not world.gauges())
    # Health has no check in flight for good, nor the updater a call of ours: what is above is a leak.
    ends = {}
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        ends = {}
        for name, _, descriptors in sampler.look().values():
            ends[name] = max(ends.get(name, 0), descriptors)
        if all(count <= baseline[name] for name, count in ends.items()):
            return wrong, ends
        time.sleep(0.2)
    wrong += [f"{name} has {count} descriptors at rest, {baseline[name]} before" for name, count in ends.items()
              if count > baseline[name]]
    return wrong, ends


def run(seconds, folder):
    """The whole soak. Returns the result."""
    folder = pathlib.Path(folder)
    atexit.register(end_all)  # whatever happens
    world = World(folder)
    sluice, ledger = world.sluice, world.ledger
    sampler = Sampler(sluice.process.pid, min(5, max(0.5, seconds / 200)))
    baseline = {}
    for name, _, descriptors in sampler.look().values():
        baseline[name] = max(baseline.get(name, 0), descriptors)
    ended = threading.Event()
    started = time.monotonic()
    failure = []

    def actor():
        try:
            happen(world, started, seconds, ended)
        except Exception as error:  # told in the result, not lost with the thread
            failure.append(f"the run could not go on: {error!r}")
            raise

    chaos = threading.Thread(target=actor)
    load = steady_load(world, folder)
    try:
        with sampler:
            chaos.start()
            asyncio.run(clients(world, seconds))
        ended.set()
        chaos.join(90)
        final = load.stop()
        measured_from = started + seconds * MEASURED_FROM
        kept = sum(size for moment, size in world.event_bytes if moment >= measured_from)
        rows, grown = sampler.judge(measured_from, {"sluice-updater": kept})
        if b"__asan_init" in (BUILD / "libexec/sluice/sluice-worker").read_bytes():
            grown = []  # the sanitizer keeps what was freed
        left, ends = settle(world, baseline, sampler)
        metrics = [line for line in sluice.api("GET", "/metrics").splitlines() if line.startswith("sluice_refusals_total")]
    finally:
        ended.set()
        load.close()
        sluice.close()
        world.end_backends()
    allowed, wrong = ledger.verdict()
    wrong += failure + grown + left + [f"log: {line}" for line in sluice.complaints()]
    if sluice.process.returncode != 0:
        wrong.append(f"Sluice ended with {sluice.process.returncode}")
    if final["failed"] or final["websockets"]["broken"] or final["tcp"]["broken"]:
        wrong.append(f"calm service: {final['failures']}, websockets {final['websockets']}, tcp {final['tcp']}")
    if not all(ledger.done.get(kind) for kind in KINDS):
        wrong.append(f"a kind of traffic did nothing: {ledger.done}")
    return {"date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M"), "seconds": seconds,
            "passed": not wrong, "wrong": wrong, "exchanges": ledger.done, "allowed_failures": allowed,
            "steady": {kind: count["requests"] for kind, count in final["kinds"].items()}, "events": world.counts,
            "processes": rows, "descriptors_at_rest": {"before": baseline, "after": ends}, "metrics": metrics,
            "log": sluice.log.all[-2000:] if wrong else []}


def summary(result):
    """One line for a table in Markdown."""
    events, growth = result["events"], max((row["pss_growth"] for row in result["processes"]), default=0)
    total = sum(result["exchanges"].values()) + sum(result["steady"].values())
    happened = ", ".join(f"{count} {what}" for what, count in events.items())
    return (f"| {result['date']} | {result['seconds']} s | {total} | {happened} | {sum(result['allowed_failures'].values())} "
            f"| {len(result['wrong'])} | {growth / 1024:+.0f} KiB | {'passed' if result['passed'] else 'FAILED'} |")


def main():
    seconds, folder = float(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # with all that it has started
    with tempfile.TemporaryDirectory(prefix="sluice-soak-") as scratch:
        os.chmod(scratch, 0o755)
        result = run(seconds, scratch)
    (folder / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    with (folder / "results.md").open("a") as lines:
        lines.write(summary(result) + "\n")
    print(summary(result))
    for text in result["wrong"][:40]:
        print("  " + text)
    return 0 if result["passed"] else 1


if __name__ == "__main__":
    sys.exit(main())
