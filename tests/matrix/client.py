"""The docker client, as people use it."""
import json
import os
import subprocess
import time

LABEL = "sluice.matrix"


class Docker:
    def __init__(self, host, folder):
        self.host = host
        self.folder = folder
        self.environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_CONFIG": str(folder), "DOCKER_BUILDKIT": "0"}

    def __call__(self, *arguments, check=True, stdin=None):
        done = subprocess.run(["docker", *map(str, arguments)], env=self.environment, input=stdin, capture_output=True,
                              timeout=120)
        assert not check or done.returncode == 0, f"docker {' '.join(map(str, arguments))}: {done.stderr.decode()}"
        return done.stdout.decode().strip() if done.returncode == 0 else ""

    def build(self, tag, dockerfile, program):
        folder = self.folder / tag.replace(":", "-")
        folder.mkdir()
        (folder / "Dockerfile").write_text(dockerfile)
        (folder / "sluice-demo").write_bytes(program)
        (folder / "sluice-demo").chmod(0o755)
        self("build", "-q", "-t", tag, "--label", f"{LABEL}=image", folder)

    def inspect(self, *names):
        return json.loads(self("container", "inspect", *names))

    def inspect_image(self, name):
        return json.loads(self("image", "inspect", name))[0]

    def wait_running(self, names, timeout=60):
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if all(each["State"]["Running"] for each in self.inspect(*names)):
                return
            time.sleep(0.2)
        raise AssertionError([(each["Name"], each["State"]) for each in self.inspect(*names) if not each["State"]["Running"]])

    def clean_up(self):
        containers = self("ps", "-aq", "--filter", f"label={LABEL}").split()
        if containers:
            self("rm", "-fv", *containers, check=False)
        for kind in ("network", "volume", "image"):
            found = self(kind, "ls", "-q", "--filter", f"label={LABEL}").split()
            if found:
                self(kind, "rm", *(["-f"] if kind != "network" else []), *found, check=False)
