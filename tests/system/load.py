"""The load generator of tests/load, beside a running Sluice."""
import json
import pathlib
import signal
import subprocess

from sluice import BUILD

GENERATOR = BUILD / "tests/sluice-load"


class Load:
    """Steady traffic from start to stop(); every answer is checked by the generator."""

    def __init__(self, folder, *options):
        self.path = pathlib.Path(folder) / "load.jsonl"
        self.output = self.path.open("w")
        self.process = subprocess.Popen([GENERATOR, "--report", "500", *map(str, options)], stdout=self.output,
                                        stdin=subprocess.DEVNULL)

    def lines(self):
        return [json.loads(line) for line in self.path.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def progress(self):
        """The last report, or None before the first."""
        return (self.lines() or [None])[-1]

    def stop(self):
        """Ends it and gives its final report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.output.close()
        final = self.lines()[-1]
        assert final.get("final"), f"the load generator ended without its report: {final}"
        return final

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if not self.output.closed:
            self.output.close()
