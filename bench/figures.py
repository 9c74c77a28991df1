"""From measured runs to tables: pure."""
import dataclasses
import math
import statistics

PEERS = ("nginx", "haproxy")
COLUMNS = (  # (key, heading, divisor, digits)
    ("requests_per_s", "requests/s", 1, 0),
    ("cpu_us", "CPU µs/request", 1, 1),
    ("p50_us", "p50 ms", 1000, 2),
    ("p99_us", "p99 ms", 1000, 2),
    ("p999_us", "p99.9 ms", 1000, 2),
    ("bytes_each", "bytes/connection", 1, 0),
    ("reach_p50_us", "reached after µs, p50", 1, 0),
    ("reach_p99_us", "p99", 1, 0),
    ("reach_max_us", "greatest", 1, 0),
    ("pss_bytes", "PSS KiB", 1024, 0),
    ("failed", "failed", 1, 0),
)
UNITS = {"cpu_us": "CPU µs/request", "p50_us": "p50 µs", "p99_us": "p99 µs", "p999_us": "p99.9 µs", "bytes_each": "bytes/connection",
         "reach_p99_us": "µs, p99"}


@dataclasses.dataclass(frozen=True)
class Goal:
    """`figure` of `who` is at most `most` times that of `of`: "best" of the peers, another subject, or nobody: `most` itself."""
    figure: str
    most: float
    of: str = "best"
    who: str = "sluice"

    def text(self):
        number = f"{self.most:g}"
        return f"≤ {number}" if self.of == "" else f"≤ {number} × {self.of}"


def quantile(ordered, share):
    """The least value that `share` of all do not exceed; 0 where there are none."""
    if not ordered:
        return 0
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def middle(runs):
    """The median of each figure over the rounds."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def best_peer(by_subject, figure):
    """Name and figure of the peer with the least; None where none was measured."""
    peers = [(values[figure], name) for name, values in by_subject.items() if name in PEERS and figure in values]
    if not peers:
        return None
    value, name = min(peers)
    return name, value


def compared_with(goal, by_subject):
    """Whom a goal is measured against, and that one's figure; None where it was not measured."""
    if goal.of == "best":
        return best_peer(by_subject, goal.figure)
    values = by_subject.get(goal.of, {})
    return (goal.of, values[goal.figure]) if goal.figure in values else None


def judge(goal, by_subject):
    """How a goal was met: a dict for the tables, or None where what it needs was not measured."""
    if goal.figure not in by_subject.get(goal.who, {}):
        return None
    ours = by_subject[goal.who][goal.figure]
    than = ("", 1) if goal.of == "" else compared_with(goal, by_subject)
    if than is None or than[1] <= 0:
        return None
    limit = goal.most * than[1]
    return {"figure": goal.figure, "goal": goal.text(), "ours": ours, "than": than[0], "theirs": than[1],
            "ratio": ours / than[1], "over": ours / limit - 1, "met": ours <= limit}


def one_row(values, columns, best):
    cells = []
    for key, _, divisor, digits in columns:
        cells.append(f"{values[key] / divisor:.{digits}f}" if key in values else "")
    if best is not None:
        cells.append(f"{values['cpu_us'] / best:.2f}" if "cpu_us" in values else "")
    return " | ".join(cells)


def table(by_subject):
    """One workload's Markdown table: medians, one line per subject."""
    columns = [column for column in COLUMNS if any(column[0] in values for values in by_subject.values())]
    best = best_peer(by_subject, "cpu_us")
    headings = [heading for _, heading, _, _ in columns] + (["CPU to best peer"] if best is not None else [])
    lines = ["| | " + " | ".join(headings) + " |", "| --- " * (len(headings) + 1) + "|"]
    for name, values in by_subject.items():
        lines.append(f"| {name} | {one_row(values, columns, best[1] if best is not None else None)} |")
    return "\n".join(lines)


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def summary(judged):
    """Every goal of every workload, as Markdown: (workload, judgement) pairs."""
    lines = ["| workload | figure | ours | beside | goal | ratio | reached |", "| --- | --- | --- | --- | --- | --- | --- |"]
    for workload, found in judged:
        beside, ratio = (f"{found['than']} {number(found['theirs'])}", f"{found['ratio']:.2f}") if found["than"] else ("", "")
        reached = "yes" if found["met"] else f"no, {100 * found['over']:.0f} % over"
        lines.append(f"| {workload} | {UNITS.get(found['figure'], found['figure'])} | {number(found['ours'])} | {beside} "
                     f"| {found['goal']} | {ratio} | {reached} |")
    return "\n".join(lines)
