"""The pages say what is true: commands and options exist, configs pass `sluice check`, files and links
are there, and the reference of the configuration knows every key of the schema, with its default."""
import functools
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD", ROOT / "build/release")).resolve()
COMMAND = BUILD / "bin/sluice"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "bench/README.md"]
SCHEMA = json.loads((ROOT / "config/schema.json").read_text())
REFERENCE = (ROOT / "docs/configuration.md").read_text()
FOLDERS = ("base", "config", "board", "supervisor", "proxy", "health", "updater", "cli", "tests", "bench", "scripts", "docs",
           "packaging", "cmake", "demo")


def sluice(*arguments):
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("DOCKER_", "SLUICE_"))}
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=20, env=environment)


@functools.cache
def help_of(command=None):
    done = sluice(command, "--help") if command else sluice("--help")
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands():
    """Those that `sluice --help` lists, and `help` itself."""
    return set(re.findall(r"^  ([a-z]+) +\S", help_of(), re.M)) | {"help"}


def name(path):
    return str(path.relative_to(ROOT))


def code_of(text):
    """What is meant to be typed: in backticks, and lines of indented or fenced blocks."""
    inline = re.findall(r"`([^`\n]+)`", text)
    blocks = re.findall(r"^(?: {4,}|\$ )(.*)$", text, re.M)
    return inline + blocks


@functools.cache
def pair():
    """A certificate and its key, for configs that name some: `sluice check` tries them."""
    folder = pathlib.Path(tempfile.mkdtemp())
    try:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=shop.example", "-keyout", folder / "key", "-out", folder / "cert"], check=True, capture_output=True)
        return (folder / "cert").read_text(), (folder / "key").read_text()
    finally:
        shutil.rmtree(folder)


def calls_of(text):
    """(command, options) of each `sluice COMMAND ...` that a page shows."""
    for piece in code_of(text):
        for call in re.findall(r"(?:^|[;&|(`] *|\$ |sudo )sluice ((?:[a-z]+|--)[^;&|#`]*)", piece.strip()):
            words = call.split()
            yield words[0], set(re.findall(r"(?<![\w-])--[a-z-]+", call))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_commands_and_options_that_are_shown_exist(page):
    wrong = []
    for command, options in calls_of(page.read_text()):
        if command.startswith("--"):
            known = help_of()
        elif command not in commands():
            wrong.append(f"sluice {command}")
            continue
        else:
            known = help_of(command)
        wrong += [f"sluice {command} {option}" for option in options if option not in known]
    assert not wrong


def test_the_readme_shows_every_command():
    shown = {command for command, _ in calls_of((ROOT / "README.md").read_text())}
    assert commands() <= shown


def test_the_readme_names_the_exit_codes_that_help_names():
    table = set(re.findall(r"^\| (\d+) \|", (ROOT / "README.md").read_text(), re.M))
    told = {code for command in commands() for code in re.findall(r"^  (\d+)  ", help_of(command), re.M)}
    assert table == told


def blocks_of(page):
    return re.findall(r"^( *)```(?:yaml|json)\n(.*?)^ *```", page.read_text(), re.M | re.S)


CONFIGS = [(page, indent, text) for page in PAGES for indent, text in blocks_of(page)]


def test_there_are_configs_to_check():
    assert len(CONFIGS) >= 5


@pytest.mark.parametrize("page, indent, text", CONFIGS, ids=[name(page) for page, _, _ in CONFIGS])
def test_a_config_that_is_shown_is_good(page, indent, text, tmp_path):
    config = tmp_path / "shown.yaml"
    config.write_text("".join(line.removeprefix(indent) + "\n" for line in text.splitlines()))
    for file, content in zip(("shop.pem", "shop.key"), pair()):
        (tmp_path / file).write_text(content)
    done = sluice("check", config)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_files_that_are_named_are_there(page):
    pattern = rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w|(?:CMakePresets\.json|CMakeLists\.txt|\.clang-\w+))"
    named = {path for piece in code_of(page.read_text()) for path in re.findall(pattern, piece)}
    built = ("build/",)
    missing = [path for path in sorted(named) if not path.startswith(built) and not (ROOT / path).exists()]
    assert not missing


def anchors_of(path):
    titles = re.findall(r"^#+ +(.*)$", path.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    wrong = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(file)):
            wrong.append(target)
    assert not wrong


# --- the reference of the configuration --------------------------------------------------------------------

def resolved(schema):
    while "$ref" in schema:
        schema = SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]]
    return schema


# Told in one place: at the top, of the rollout, or in the row of its own key.
SAME = ("services.NAME.timeouts", "services.NAME.limits", "services.NAME.rollout.steps[].analysis",
        "services.NAME.rollout.steps[].match", "presets.NAME.steps", "presets.NAME.analysis")


def keys_of(schema, path=""):
    """Every key, as the reference writes it: services.NAME.routes[].host"""
    schema = resolved(schema)
    for choice in schema.get("anyOf", []):
        yield from keys_of(choice, path)
    if schema.get("type") == "array":
        yield from keys_of(schema["items"], path + "[]")
    if isinstance(schema.get("additionalProperties"), dict):
        yield from keys_of(schema["additionalProperties"], f"{path}.NAME")
    for key, value in schema.get("properties", {}).items():
        inner = f"{path}.{key}" if path else key
        yield inner
        if inner not in SAME:
            yield from keys_of(value, inner)


def rows():
    """key: its row's cells"""
    found = {}
    for line in REFERENCE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        key = re.fullmatch(r"`([a-zA-Z0-9_.\[\]]+)`", cells[0])
        if line.startswith("| `") and key and len(cells) >= 5:
            assert key[1] not in found, f"{key[1]} is there twice"
            found[key[1]] = cells
    return found


def test_the_reference_has_every_key_of_the_schema_and_no_other():
    assert set(rows()) == set(keys_of(SCHEMA))


def milliseconds(text):
    units = {"h": 3600000, "m": 60000, "s": 1000, "ms": 1}
    parts = re.findall(r"(\d+)(ms|h|m|s)", text)
    return sum(int(number) * units[unit] for number, unit in parts)


def plain(text):
    """A value as a row or the canonical form has it, in one way of writing."""
    text = {"True": "true", "False": "false"}.get(str(text), str(text))
    return str(milliseconds(text)) if re.fullmatch(r"(\d+(ms|h|m|s))+", text) else text


# What has to be given for the rest of its mapping to be there.
TLS = {"certificates": [{"cert": "/c"}], "client_certificates": {"ca": "/a"}, "hsts": "1d"}
GIVEN = {f"listeners.NAME.tls.{key}" for key in ("certificates[].cert", "certificates[].key", "client_certificates.ca", "hsts")}
GIVEN |= {"services.NAME.tls.name"}
GIVEN |= {f"services.NAME.rollout.{key}" for key in ("hooks[].on", "hooks[].name", "hooks[].webhook", "verify[].name")}
GIVEN |= {"notify[].name", "notify[].webhook"}


def canonical(tmp_path, extra, listener=None, top=None):
    config = tmp_path / "least.json"
    config.write_text(json.dumps({"listeners": {"web": {"address": ":80", **(listener or {})}},
                                  "services": {"web": {"discover": {"label": "a"}, **extra}}, **(top or {})}))
    done = sluice("check", config, "--canonical")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def at(value, key):
    for part in key.replace("listeners.NAME", "listeners.web").replace("services.NAME", "services.web").split("."):
        if part.endswith("[]"):
            part, value = 0, value.get(part[:-2])
        if isinstance(value, list) and value:
            value = value[part]
            continue
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def test_the_references_defaults_are_those_of_the_program(tmp_path):
    bare = canonical(tmp_path, {})
    full = canonical(tmp_path, {"healthcheck": {"http": {}}, "tls": {"name": "a"}, "rollout": {"analysis": True}}, {"tls": TLS},
                     {"access_log": {}})
    rolling = canonical(tmp_path, {"rollout": {"strategy": "rolling"}})  # has keys of its own
    asked = canonical(tmp_path, {"rollout": {"hooks": [{"on": "pre_rollout", "webhook": "http://a/"}], "verify": [{"http": {}}]}},
                      top={"notify": [{"webhook": "http://a/"}]})
    parts = ("access_log.", "services.NAME.healthcheck.", "services.NAME.rollout.analysis.", "services.NAME.tls.", "listeners.NAME.tls.")
    compared = 0
    for key, cells in rows().items():
        literal = re.fullmatch(r"`([^`]+)`(?:, `[^`]+`)?", cells[2])
        value = at(full if key.startswith(parts) else bare, key)
        value = at(rolling, key) if value is None else value
        value = at(asked, key) if re.search(r"(hooks|verify|notify)\[\]\.", key) else value
        if isinstance(value, dict) and key.startswith("services.NAME.rollout.drain."):
            value = value["timeout"]  # given alone it is the same
        if literal:
            assert value is not None and plain(literal[1]) == plain(value), key
            compared += 1
        elif isinstance(value, str) and key not in GIVEN and key not in ("engine.host", "services.NAME.discover.label", "listeners.NAME.address",
                                                    "services.NAME.rollout.health_timeout", "limits.memory"):
            raise AssertionError(f"{key} has the default {value}, the page does not say so")
    assert compared >= 30


def test_the_references_ranges_are_those_that_the_program_tells(tmp_path):
    """A duration or number above its range is refused with the range: the page says the same."""
    wrong = []
    for key, cells in rows().items():
        said = re.match(r"(\d+\w*) to (\d+\w*)", cells[3])
        if not said or cells[1] not in ("duration", "number") or "[]" in key or not key.startswith(("timeouts.", "services.", "limits.")):
            continue
        *path, last = key.replace("services.NAME.", "").split(".")
        inner = {last: 10 ** 9 if cells[1] == "number" else "10000h"}
        if "healthcheck" in path:
            inner["tcp"] = {}
        for part in reversed(path):
            inner = {part: inner}
        config = tmp_path / "above.json"
        top, own = (inner, {}) if key.startswith("limits.") else ({}, inner)
        config.write_text(json.dumps({"listeners": {"web": {"address": ":80"}},
                                      "services": {"web": {"discover": {"label": "a"}, **own}}, **top}))
        told = re.search(r"allowed a (?:duration|whole number) from (\w+) to (\w+)", sluice("check", config).stderr)
        if not told or [plain(text) for text in said.groups()] != [plain(text) for text in told.groups()]:
            wrong.append((key, cells[3], told and told[0]))
    assert not wrong


# --- the architecture ---------------------------------------------------------------------------------------

def test_functions_that_the_architecture_names_exist():
    text = (ROOT / "docs/architecture.md").read_text()
    named = set(re.findall(r"`([a-z_0-9]+)\(\)`", text))
    sources = "\n".join(path.read_text() for folder in FOLDERS[:8] for path in (ROOT / folder).rglob("*.[ch]"))
    assert len(named) > 40
    assert not {function for function in named if not re.search(rf"\b{function}\(", sources)}


# --- what is installed --------------------------------------------------------------------------------------

def test_what_is_installed_lies_below_its_prefix_and_is_whole(tmp_path):
    done = subprocess.run(["cmake", "--install", BUILD, "--prefix", tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    files = re.findall(r"^-- (?:Installing|Up-to-date): (.*)$", done.stdout, re.M)
    assert all(pathlib.Path(file).is_relative_to(tmp_path) for file in files), done.stdout
    names = {pathlib.Path(file).name for file in files}
    assert {"sluice", "sluice-supervisor", "sluice-worker", "sluice-health", "sluice-updater", "sluice.service"} <= names
    assert {page.name for page in PAGES} <= names
    assert subprocess.run([tmp_path / "bin/sluice", "version"], capture_output=True, timeout=20).returncode == 0
