"""The completion for bash: it parses, and it knows what the command knows."""
import json
import pathlib
import re
import subprocess

import pytest

from fake_daemon import service

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "packaging/completion/sluice.bash"


def bash(text):
    return subprocess.run(["bash", "--norc", "-c", text], capture_output=True, text=True, check=True)


def complete(*words):
    quoted = " ".join("'%s'" % word for word in words)
    result = bash("source '%s'; COMP_WORDS=(%s); COMP_CWORD=%d; _sluice; printf '%%s\\n' "
                  "\"${COMPREPLY[@]}\"" % (SCRIPT, quoted, len(words) - 1))
    assert result.stderr == ""
    return [line for line in result.stdout.splitlines() if line]


def test_bash_can_read_it():
    subprocess.run(["bash", "-n", str(SCRIPT)], check=True)


def test_commands_are_those_of_the_help(sluice):
    overview = subprocess.run([sluice, "--help"], capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^  ([a-z]+) +[a-z]", overview, re.MULTILINE)) | {"help"}
    assert set(complete(sluice, "")) == names
    assert complete(sluice, "rollo") == ["rollout"]


@pytest.mark.parametrize("command", ["run", "check", "status", "watch", "rollout", "pause", "resume",
                                     "promote", "abort", "confirm", "history", "report", "note", "weight", "scale", "drain", "version",
                                     "help"])
def test_options_are_those_of_the_commands_help(sluice, command):
    shown = subprocess.run([sluice, command, "--help"], capture_output=True, text=True,
                           check=True).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", shown, re.MULTILINE))
    assert set(complete(sluice, command, "--")) == options


def test_services_come_from_the_daemon(sluice, daemon):
    daemon.answers["GET", "/v1/services"] = 200, compact({"services": [service("web"),
                                                                      service("shop")]})
    assert complete(sluice, "--admin", daemon.path, "rollout", "") == ["web", "shop"]
    assert complete(sluice, "watch", "--admin", daemon.path, "sh") == ["shop"]
    assert complete(sluice, "--admin", daemon.path, "pause", "web", "") == []
    daemon.stop()
    assert complete(sluice, "--admin", daemon.path, "rollout", "") == []


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()
