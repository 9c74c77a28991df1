"""The schema tells the truth: on every document of the corpus it agrees with the reader, and both
know the same keys."""

import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
BUILD = ROOT / os.environ.get("SLUICE_BUILD", "build/release")
SCHEMA = json.loads((ROOT / "config" / "schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
GOOD = sorted((HERE / "good").glob("*.yaml"))
BAD = sorted((HERE / "bad").glob("*.yaml"))
# What a schema cannot say: it takes more than one place of the file, or the text itself.
WITHIN = [p for p in BAD if p.read_text().splitlines()[1] != "# beyond the schema"]


def check(*arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DOCKER_")}
    return subprocess.run([BUILD / "tests" / "config_check", *arguments], env=environment,
                          capture_output=True, text=True, timeout=20)


def load(path):
    text = path.read_text()
    # YAML allows no tab here, JSON does: PyYAML reads such a file as JSON only.
    return json.loads(text) if text.startswith("{") else keys_are_texts(yaml.safe_load(text))


def keys_are_texts(value):
    """PyYAML takes the key `on` for YAML 1.1's truth."""
    if isinstance(value, dict):
        return {"on" if key is True else key: keys_are_texts(inner) for key, inner in value.items()}
    return [keys_are_texts(inner) for inner in value] if isinstance(value, list) else value


def name(path):
    return path.stem


def test_the_corpus_is_there():
    assert len(GOOD) >= 7 and len(WITHIN) >= 45 and len(BAD) >= 60


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_good_document_is_read_and_fits_the_schema(path):
    result = check(path)
    assert result.returncode == 0, result.stderr
    VALIDATOR.validate(load(path))
    VALIDATOR.validate(json.loads(result.stdout))


@pytest.mark.parametrize("path", GOOD, ids=name)
def test_canonical_form_reads_back_to_itself(path, tmp_path):
    first = check(path).stdout
    (tmp_path / "canonical.json").write_text(first)
    second = check(tmp_path / "canonical.json")
    assert second.returncode == 0, second.stderr
    assert second.stdout == first


@pytest.mark.parametrize("path", BAD, ids=name)
def test_bad_document_is_refused_with_its_reason(path):
    expected = path.read_text().splitlines()[0].removeprefix("# expect: ")
    result = check(path)
    assert result.returncode == 2
    assert expected in result.stderr
    assert all(line.startswith(f"{path}:") for line in result.stderr.splitlines())


@pytest.mark.parametrize("path", WITHIN, ids=name)
def test_bad_document_does_not_fit_the_schema(path):
    assert not VALIDATOR.is_valid(load(path))


def schema_keys():
    tables = {"config": SCHEMA}
    tables.update({k: v for k, v in SCHEMA["$defs"].items() if v.get("type") == "object"})
    for table, schema in tables.items():
        yield table
        for key in schema.get("properties", {}):
            yield f"{table}.{key}"


def test_schema_and_reader_know_the_same_keys():
    assert sorted(schema_keys()) == sorted(check("--keys").stdout.split())
