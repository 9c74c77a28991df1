import os
import pathlib
import subprocess
import threading

import pytest

import fake_daemon

ROOT = pathlib.Path(__file__).resolve().parents[2]


def pytest_addoption(parser):
    try:
        parser.addoption("--build", default=os.environ.get("SLUICE_BUILD", "build/release"),
                         help="the build folder")
    except ValueError:
        pass  # another folder's tests run along and have it already


@pytest.fixture(scope="session")
def sluice(request):
    build = pathlib.Path(os.environ.get("SLUICE_BUILD") or request.config.getoption("--build"))
    path = (ROOT / build / "bin" / "sluice")
    assert path.exists(), "%s is not built" % path
    return str(path)


@pytest.fixture
def daemon(tmp_path):
    value = fake_daemon.FakeDaemon(tmp_path / "admin.sock").start()
    yield value
    value.stop()


class Result:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    def __repr__(self):
        return "exit %s\n--- out\n%s--- err\n%s" % (self.code, self.out, self.err)


class Follower:
    """A command that runs on; its lines can be waited for."""

    def __init__(self, process):
        self.process = process
        self.condition = threading.Condition()
        self.text = {"out": "", "err": ""}
        self.threads = []
        for name, stream in (("out", process.stdout), ("err", process.stderr)):
            thread = threading.Thread(target=self.read, args=(name, stream), daemon=True)
            thread.start()
            self.threads.append(thread)

    def read(self, name, stream):
        for line in stream:
            with self.condition:
                self.text[name] += line
                self.condition.notify_all()

    def wait_line(self, text, name="out", seconds=20):
        with self.condition:
            assert self.condition.wait_for(lambda: text in self.text[name], seconds), \
                "%r did not come:\n%s" % (text, self.text)

    def end(self, seconds=30):
        code = self.process.wait(seconds)
        for thread in self.threads:
            thread.join()
        return Result(code, self.text["out"], self.text["err"])


@pytest.fixture
def start(sluice, daemon):
    started = []

    def begin(*words, **environment):
        process = subprocess.Popen([sluice, "--admin", daemon.path, *words], text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE,
                                   env={**os.environ, "TZ": "UTC", "LANG": "C.UTF-8", **environment})
        started.append(process)
        return Follower(process)

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.fixture
def run(start):
    return lambda *words, **environment: start(*words, **environment).end()
