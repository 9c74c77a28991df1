"""What an engine and its containers say while something else updates them: when each container's last exchange
ended, and when it stopped. Neither asks whoever updates."""
import json
import pathlib
import re
import sys
import threading
import time

from processes import ROOT

sys.path.insert(0, str(ROOT / "tests/system"))

from engine import VERSION, Engine  # noqa: E402
from sluice import UnixConnection  # noqa: E402

DEMO_PORT = 8080
LABEL = "sluice.bench"


def last_end_us(lines):
    """The monotonic microsecond at which the last exchange ended, as the demo logs it; None: there was none."""
    found = re.findall(r"\bend kind=\S+ monotonic_us=(\d+)", "".join(lines))
    return max(map(int, found)) if found else None


def gap_ms(end_us, died_wall_ns, wall_minus_monotonic_ns):
    """From the end of the last exchange to the container's stop."""
    return (died_wall_ns - wall_minus_monotonic_ns - end_us * 1000) / 1e6


class Watch:
    """Of these containers, from now on. Their logs' files are held open: who updates removes them with the containers, and
    the engine's own way to follow a log comes late and may end early."""

    def __init__(self, engine, containers):
        self.engine, self.died = engine, {}
        self.logs = {container: open(engine.inspect(container)["LogPath"]) for container in containers}
        self.changed = threading.Condition()
        self.offset_ns = time.time_ns() - time.monotonic_ns()
        threading.Thread(target=self._follow_events, daemon=True).start()

    def _follow_events(self):
        connection = UnixConnection(self.engine.path, timeout=None)
        connection.request("GET", VERSION + '/events?filters={"type":["container"],"event":["die"]}')
        with connection.getresponse() as answer:
            for line in iter(answer.readline, b""):
                event = json.loads(line)
                with self.changed:
                    self.died[event["Actor"]["ID"]] = event["timeNano"]
                    self.changed.notify_all()

    def gaps_ms(self, seconds=20):
        """Of each container that had an exchange, once all of them have stopped."""
        with self.changed:
            if not self.changed.wait_for(lambda: all(each in self.died for each in self.logs), seconds):
                raise TimeoutError("an old container did not stop")
        ends = {container: last_end_us(log) for container, log in self.logs.items()}
        return [gap_ms(end, self.died[each], self.offset_ns) for each, end in ends.items() if end is not None]

    def close(self):
        for log in self.logs.values():
            log.close()


class Containers:
    """The service that is updated: the demo, so many times, on an engine of its own."""

    def __init__(self, host, build, grace_seconds):
        self.engine, self.grace_seconds, self.made = Engine(host), grace_seconds, 0
        demo = pathlib.Path(build / "demo/sluice-demo").read_bytes()
        for version in ("v1", "v2"):
            self.engine.build(f"bench-demo:{version}", f"FROM scratch\nCOPY sluice-demo /sluice-demo\nENV VERSION={version}\n"
                              'ENV LOG_ENDS=1\nEXPOSE 8080\nCMD ["/sluice-demo"]\n', {"sluice-demo": demo})

    def start(self, version):
        """A container and its address."""
        self.made += 1
        container = self.engine.run(f"bench-{self.made}", f"bench-demo:{version}", Labels={LABEL: "1"})
        return container, self.engine.inspect(container)["NetworkSettings"]["IPAddress"]

    def retire(self, container):
        """docker stop and docker rm."""
        self.engine.stop(container, self.grace_seconds)
        self.engine.remove(container)

    def all(self):
        return [each["Id"] for each in self.engine.containers(LABEL)]

    def remove_all(self):
        for container in self.all():
            self.engine.remove(container)
