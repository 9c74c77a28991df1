"""Rollouts back and forth, again and again, under light load: what is left behind by one of them adds up here.

SLUICE_ROLLOUTS says how many; scripts/endurance runs two hundred. Memory is judged from 60 on, for the updater keeps its last 1,024
events for those that come back, and those must have come first."""
import json
import os
import pathlib
import re
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "soak"))

from measure import GROWTH_BYTES, GROWTH_SHARE, read_process, slope
from shop import Shop, images, start_load  # noqa: F401 (fixtures)

ROLLOUTS = int(os.environ.get("SLUICE_ROLLOUTS", "12"))
HISTORY = 10      # rollouts kept on record
WARM = 6          # rollouts after which nothing may be more than it was; those that keep what they rightly keep have it by then
MEMORY_FROM = 60  # rollouts


def kind_of(name):
    """Each rollout has a report, named by its id."""
    return re.sub(r"\d{8}-\d{6}-[0-9a-f]{4}", "ID", name)


def processes(sluice):
    """{name: (memory, descriptors)} of what Sluice is made of; workers are added up."""
    found = {}
    for pid in [sluice.process.pid, sluice.pid("health"), sluice.pid("updater"), *sluice.worker_pids()]:
        name, memory, descriptors = read_process(pid)
        before = found.get(name, (0, 0))
        found[name] = (before[0] + memory, before[1] + descriptors)
    return found


def size_of(folder):
    """Bytes of each file in it."""
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def settle(sluice):
    """No client is connected but ours, and what the last rollout opened is closed."""
    sluice.wait_until(lambda: all(backend["active"] == 0 for group in sluice.service("again")["groups"].values()
                                  for backend in group["backends"]))


def test_rollouts_back_and_forth_leave_nothing(engine, images, start_sluice, start_load, tmp_path):
    engine.create_network("slt-again")
    engine.create_volume("slt-again-data")
    shop = Shop(engine, "again", 2, lambda i: {
        "Volumes": {"/anonymous": {}},
        "NetworkingConfig": {"EndpointsConfig": {"slt-again": {"Aliases": [f"again-{i}"]}}},
        "HostConfig": {"NetworkMode": "slt-again", "Binds": ["slt-again-data:/data"]}})
    shop.open(start_sluice, history=HISTORY, monitor="0s")
    before = {key: value for key, value in engine.snapshot().items() if key != "containers"}
    sockets = {path for path in shop.sluice.folder.iterdir()}
    shop.load = start_load("--address", "%s:%d" % shop.sluice.address("web"), "--rate", 100, "--connections", 4)
    samples = []  # (number of the rollout, processes, bytes of the state folder)
    started = time.monotonic()
    for number in range(1, ROLLOUTS + 1):
        image = "slt-demo:v2" if number % 2 else "slt-demo:v1"
        shop.begin(image)
        shop.ends(timeout=120)
        samples.append((number, processes(shop.sluice), size_of(shop.sluice.folder / "state")))
    print(f"{ROLLOUTS} rollouts in {time.monotonic() - started:.0f} s; state {json.dumps(samples[-1][2])}")
    # Nothing failed, and there is what there was: names, volumes (the anonymous ones too), networks, images, files.
    shop.closes_well(image)
    assert {key: value for key, value in engine.snapshot().items() if key != "containers"} == before
    assert {path for path in shop.sluice.folder.iterdir()} == sockets
    kept = shop.sluice.api("GET", "/rollouts?service=again&limit=200")["rollouts"]
    assert len(kept) == min(HISTORY, ROLLOUTS) and kept[0]["id"] == shop.rollout
    judge_descriptors(shop.sluice, samples)
    judge_state(samples)
    if ROLLOUTS >= MEMORY_FROM:
        judge_memory(samples)


def judge_descriptors(sluice, samples):
    """At rest no process has more than it had among the first rollouts."""
    settle(sluice)
    first = {name: max(sample[1][name][1] for sample in samples[:WARM]) for name in samples[0][1]}

    def more():
        return {name: count for name, (_, count) in processes(sluice).items() if count > first[name]}

    try:
        sluice.wait_until(lambda: not more(), 30)
    except AssertionError:
        raise AssertionError(f"among the first {first}, at the end more: {more()}") from None


def judge_state(samples):
    """Once as many rollouts are on record as are kept, the files stay as they are, up to what SQLite's pages need."""
    full = [sum(files.values()) for number, _, files in samples if number > HISTORY]
    names = {kind_of(name) for _, _, files in samples[:WARM] for name in files}
    assert {kind_of(name) for name in samples[-1][2]} <= names, "files were added to the state folder"
    if len(full) >= 2 * HISTORY:
        first, last = statistics.median(full[:HISTORY]), statistics.median(full[-HISTORY:])
        print(f"state {first} bytes with the history full, {last} at the end")
        assert last <= 1.25 * first


def judge_memory(samples):
    """From half of the run on no process grows."""
    later = samples[len(samples) // 2:]
    for name in later[0][1]:
        points = [(number, found[name][0]) for number, found, _ in later if name in found]
        grown = slope(points) * len(points)
        print(f"{name}: {points[0][1] >> 10} to {points[-1][1] >> 10} KiB, {grown / 1024:+.0f} KiB by the median of slopes")
        assert grown <= GROWTH_SHARE * points[0][1] + GROWTH_BYTES, (name, [value >> 10 for _, value in points[::8]])
