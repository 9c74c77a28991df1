"""What Sluice's processes take while the soak runs, and whether it stays."""
import pathlib
import statistics
import threading
import time

SLOPE_SAMPLES = 200   # the median of all pairs' slopes is taken of so many at most
GROWTH_SHARE = 0.03   # of a process's own size: what its memory may grow by within the window,
GROWTH_BYTES = 256 << 10  # and this besides: heaps grow in steps of 132 KiB
KEPT_FACTOR = 1.5     # of bytes that are rightly kept: the heap's share, with what is freed between them (1.4 was seen)
GROWTH_DESCRIPTORS = 0.3  # of its number, and 10: traffic is random. What leaks shows at rest, to the last one


def read_process(pid):
    """(name, memory in bytes, descriptors), or None where it has gone. Memory is the proportional set size without the
    pages of files: how many programs share a library is not Sluice's doing, and changes while others come and go."""
    folder = pathlib.Path("/proc", str(pid))
    try:
        name = (folder / "comm").read_text().strip()
        sizes = dict(line.split()[:2] for line in (folder / "smaps_rollup").read_text().splitlines()[1:])
        return name, (int(sizes["Pss_Anon:"]) + int(sizes["Pss_Shmem:"])) << 10, len(list((folder / "fd").iterdir()))
    except (OSError, ValueError, KeyError):
        return None


def slope(points):
    """Units per second by Theil and Sen: the median of the slopes of all pairs, deaf to outliers."""
    step = max(1, len(points) // SLOPE_SAMPLES)
    points = points[::step]
    slopes = [(b - a) / (t - s) for i, (s, a) in enumerate(points) for t, b in points[i + 1:] if t > s]
    return statistics.median(slopes) if slopes else 0.0


class Sampler:
    """Looks at the supervisor and its children every `interval` seconds."""

    def __init__(self, supervisor_pid, interval):
        self.supervisor_pid, self.interval = supervisor_pid, interval
        self.samples = []  # (time, {pid: (name, pss, descriptors)})
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def look(self):
        pids = [self.supervisor_pid]
        children = pathlib.Path(f"/proc/{self.supervisor_pid}/task/{self.supervisor_pid}/children")
        pids += map(int, children.read_text().split())
        return {pid: found for pid in pids if (found := read_process(pid))}

    def _run(self):
        while not self._ended.wait(self.interval):
            try:
                self.samples.append((time.monotonic(), self.look()))
            except OSError:
                return  # it has ended

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()

    def judge(self, start, keeps=None):
        """Each process that lived from `start` to the end: how it grew. `keeps`: bytes that a process rightly has more
        at the end, by its name. (rows, texts of what is wrong)"""
        window = [(moment, processes) for moment, processes in self.samples if moment >= start]
        rows, wrong = [], []
        if len(window) < 5:
            return rows, ["too few samples to judge memory"]
        length = window[-1][0] - window[0][0]
        for pid in window[0][1]:
            if not all(pid in processes for _, processes in window):
                continue
            name = window[0][1][pid][0]
            pss = [(moment, processes[pid][1]) for moment, processes in window]
            fds = [(moment, processes[pid][2]) for moment, processes in window]
            size = statistics.median(value for _, value in pss)
            row = {"process": name, "pid": pid, "seconds": round(length), "pss": size,
                   "pss_growth": round(slope(pss) * length),
                   "keeps": (keeps or {}).get(name, 0), "descriptors": statistics.median(v for _, v in fds),
                   "descriptors_growth": round(slope(fds) * length, 1)}
            row["pss_kib"] = [value >> 10 for _, value in pss[::max(1, len(pss) // 24)]]
            rows.append(row)
            if row["pss_growth"] > GROWTH_SHARE * size + GROWTH_BYTES + KEPT_FACTOR * row["keeps"]:
                wrong.append(f"{name} ({pid}) grew by {row['pss_growth'] >> 10} KiB of {int(size) >> 10} in {length:.0f} s")
            if row["descriptors_growth"] > GROWTH_DESCRIPTORS * row["descriptors"] + 10:
                wrong.append(f"{name} ({pid}) has {row['descriptors_growth']} descriptors more after {length:.0f} s")
        return rows, wrong
