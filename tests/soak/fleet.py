"""Backends that come and go: processes of sluice-demo."""
import re
import signal
import subprocess
import sys
import threading

from sluice import BUILD

DEMO = BUILD / "demo/sluice-demo"


running = set()


def end_all():
    for demo in list(running):
        demo.end(signal.SIGKILL)


class Demo:
    """HTTP and TCP echo on ports of its own; `again` starts one that died on the same ports."""

    def __init__(self, name, port=0, tcp_port=0):
        self.name = name
        self.process = subprocess.Popen([DEMO, f"PORT={port}", f"TCP_PORT={tcp_port}", f"VERSION={name}"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=sys.stderr, text=True)
        running.add(self)
        line = self.process.stdout.readline()
        found = re.search(r"port=(\d+) tcp_port=(\d+)", line)
        assert found, f"the demo did not start: {line!r}"
        self.port, self.tcp_port = int(found[1]), int(found[2])
        self.address, self.tcp_address = f"127.0.0.1:{self.port}", f"127.0.0.1:{self.tcp_port}"
        # It says a line now and then: once the pipe is full it would stand still.
        self.reader = threading.Thread(target=self._read_on, daemon=True)
        self.reader.start()

    def _read_on(self):
        for _ in self.process.stdout:
            pass

    def end(self, number=signal.SIGTERM):
        """Ends it and waits until it has."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)
        self.reader.join(20)
        self.process.stdout.close()
        running.discard(self)

    def again(self):
        return Demo(self.name, self.port, self.tcp_port)
