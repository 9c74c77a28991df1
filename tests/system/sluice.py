"""One running instance of Sluice, as a person would run it: `sluice run CONFIG`."""
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build/release")).resolve()
COMMAND = BUILD / "bin/sluice"
PATIENCE = 20  # seconds; only what fails waits so long


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout=PATIENCE):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class ApiError(AssertionError):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body
        self.code = body.get("error", {}).get("code") if isinstance(body, dict) else None


class Lines:
    """What a pipe says, line by line, for any number of waiters."""

    def __init__(self, stream):
        self.all = []
        self.ended = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream):
        for line in stream:
            with self._changed:
                self.all.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait(self, wanted, after=0, timeout=PATIENCE):
        """The first line from number `after` on that is wanted."""
        position = after
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                for line in self.all[position:]:
                    if wanted(line):
                        return line
                position = len(self.all)
                left = deadline - time.monotonic()
                if left <= 0 or self.ended or not self._changed.wait(left):
                    if position == len(self.all):
                        raise AssertionError("the line that was waited for did not come")

    def join(self):
        self._thread.join(PATIENCE)


class Events:
    """The event stream of the admin API: a list that grows. Comes back after a restart of the
    updater, and asks for what it missed."""

    def __init__(self, admin):
        self.all = []  # (event, data)
        self.changed = threading.Condition()
        self._admin = admin
        self._last_id = None
        self._closed = threading.Event()
        self._connection = None
        self._stream = self._open()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _open(self):
        self._connection = UnixConnection(self._admin, timeout=None)
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        self._connection.request("GET", "/v1/events", headers=headers)
        answer = self._connection.getresponse()
        assert answer.status == 200
        return answer

    def _run(self):
        while not self._closed.is_set():
            try:
                if self._stream is None:
                    self._stream = self._open()
                self._read()
            except (OSError, ValueError, AttributeError, http.client.HTTPException):
                pass  # the updater has gone; AttributeError is http.client's, of a stream that is cut
            self._stream = None
            self._connection.close()
            self._closed.wait(0.05)  # until the next has its socket

    def _read(self):
        event = "message"
        for line in self._stream:
            line = line.decode().rstrip("\r\n")
            if line.startswith("id:"):
                self._last_id = line[3:].strip()
            elif line.startswith("event:"):
                event = line[6:].strip()
            elif line.startswith("data:"):
                with self.changed:
                    self.all.append((event, json.loads(line[5:])))
                    self.changed.notify_all()

    def wait(self, name, wanted=lambda data: True, after=0, timeout=PATIENCE):
        """The data of the first event of this name, from number `after` on, that is wanted."""
        deadline = time.monotonic() + timeout
        position = after
        with self.changed:
            while True:
                for event, data in self.all[position:]:
                    if event == name and wanted(data):
                        return data
                position = len(self.all)
                left = deadline - time.monotonic()
                if left <= 0 or not self.changed.wait(left):
                    said = [event for event, _ in self.all]
                    raise AssertionError(f"no such {name} event within {timeout} s; there were {said}")

    def close(self):
        self._closed.set()
        try:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
        self._thread.join(PATIENCE)


class Sluice:
    def __init__(self, folder, config, *options, environment=None, pass_fds=()):
        self.folder = pathlib.Path(folder)
        self.admin = self.folder / "admin.sock"
        self.endpoints_file = self.folder / "endpoints.json"
        self.config_file = self.folder / "sluice.json"
        self.write_config(config)
        self.killed = set()  # pids that a test has killed
        self.forgiven = set()  # of the complaints, those that hold such a text
        self._events = None
        self.process = subprocess.Popen(
            [COMMAND, "run", self.config_file, "--state", self.folder / "state", "--admin", self.admin,
             "--endpoints", self.endpoints_file, *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            errors="replace", env={**os.environ, **(environment or {})}, pass_fds=pass_fds)
        self.log = Lines(self.process.stderr)
        try:
            self.wait_log("event=ready ")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not start:\n" + "\n".join(self.log.all)) from None

    # --- what it is ------------------------------------------------------------------------------

    def write_config(self, config):
        """A dict, or text as it is."""
        self.config_file.write_text(config if isinstance(config, str) else json.dumps(config, indent=1))

    def endpoints(self):
        return json.loads(self.endpoints_file.read_text())

    def address(self, listener):
        """(host, port)"""
        host, port = self.endpoints()["listeners"][listener].rsplit(":", 1)
        return host.strip("[]"), int(port)

    def pid(self, name):
        return self.endpoints()["pids"][name]

    def worker_pids(self):
        return self.endpoints()["pids"]["workers"]

    # --- talking to it ---------------------------------------------------------------------------

    def api(self, method, path, body=None):
        """The JSON that the admin API answers; ApiError where the status is no 2xx."""
        connection = UnixConnection(self.admin)
        try:
            connection.request(method, "/v1" + path, None if body is None else json.dumps(body),
                               {} if body is None else {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        kind = answer.getheader("Content-Type", "")
        body = json.loads(text) if "json" in kind else text
        if answer.status // 100 != 2:
            raise ApiError(answer.status, body)
        return body

    def service(self, name):
        return self.api("GET", f"/services/{name}")

    def command(self, *arguments):
        """`sluice ARGUMENTS` against this instance."""
        return [str(COMMAND), *map(str, arguments), "--admin", str(self.admin)]

    def cli(self, *arguments, timeout=60):
        """Runs it."""
        return subprocess.run(self.command(*arguments), text=True, 
                              capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)

    def get(self, listener="web", path="/", headers=None, timeout=PATIENCE):
        """One GET on a connection of its own: (status, headers, body)."""
        connection = http.client.HTTPConnection(*self.address(listener), timeout=timeout)
        try:
            connection.request("GET", path, headers={"Connection": "close", **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    # --- waiting ---------------------------------------------------------------------------------

    def log_position(self):
        return len(self.log.all)

    def wait_log(self, wanted, after=0, timeout=PATIENCE):
        """Waits for a log line: a text that it must hold, or several."""
        texts = [wanted] if isinstance(wanted, str) else wanted
        try:
            return self.log.wait(lambda line: all(text in line for text in texts), after, timeout)
        except AssertionError:
            raise AssertionError(f"no line with {texts} in the log") from None

    @property
    def events(self):
        if self._events is None:
            self._events = Events(self.admin)
        return self._events

    def wait_until(self, condition, timeout=PATIENCE):
        """Looks again whenever the event stream says something, and four times a second for what
        no event tells (workers, processes). Returns what the condition gave."""
        deadline = time.monotonic() + timeout
        events = self.events
        while True:
            with events.changed:
                count = len(events.all)
            try:
                value = condition()
            except (OSError, http.client.HTTPException):
                value = None  # the updater is not there just now
            if value:
                return value
            left = deadline - time.monotonic()
            assert left > 0, f"did not come true within {timeout} s"
            with events.changed:
                events.changed.wait_for(lambda: len(events.all) != count, min(left, 0.25))

    def wait_adopted(self):
        """Waits until every worker acts on the table that is published now."""
        epoch = self.api("GET", "/healthz")["epoch"]
        self.wait_until(lambda: all(worker["seen_epoch"] >= epoch
                                    for worker in self.api("GET", "/healthz")["workers"] if worker["live"]))

    def wait_healthy(self, service, count):
        return self.wait_until(lambda: self.service(service)["healthy"] == count)

    # --- ending it -------------------------------------------------------------------------------

    def kill(self, pid):
        """kill -9 of one of its processes, which is then no crash."""
        self.killed.add(pid)
        os.kill(pid, signal.SIGKILL)

    def signal(self, number):
        self.process.send_signal(number)

    def close(self):
        """Ends it whatever it is doing."""
        if self._events is not None:
            self._events.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.terminate()  # asked twice, it does not wait for exchanges
                try:
                    self.process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        self.log.join()

    def complaints(self):
        """Lines of the log that no good run has: failed checks, sanitizer reports, crashes."""
        found = []
        for line in self.log.all:
            if any(text in line for text in self.forgiven):
                continue
            crash = re.search(r"event=child-killed\S* .*\bpid=(\d+)", line)
            ended = re.search(r"event=child-ended .*\bexit=", line)
            if "event=check-failed" in line or "Sanitizer" in line or "runtime error:" in line or ended or (
                    crash and int(crash[1]) not in self.killed):
                found.append(line)
        return found

    def stop(self):
        """SIGTERM; holds that it ends well and nothing in it went wrong."""
        self.close()
        assert self.complaints() == []
        assert self.process.returncode == 0
