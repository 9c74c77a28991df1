"""Rollouts whose image has to be pulled first: from a real registry, open and private, and from one that
breaks in every way; what fails leaves everything as it was."""
import base64
import itertools
import json
import os
import stat
import threading

import pytest
from engine import EngineError
from registry import make_image
from shop import Shop
from sluice import ApiError

numbers = itertools.count(1)
MEGABYTE = 1 << 20


@pytest.fixture
def open_shop(engine, start_sluice, images):
    def start(environment=None, pull_stall="10s", **rollout):
        shop = Shop(engine, f"pull{next(numbers)}")
        shop.open(start_sluice, environment=environment, images={"pull_stall": pull_stall, **rollout})
        return shop

    return start


@pytest.fixture
def publish(engine, registry):
    """publish(repository, tag, sizes) puts a new image into the registry, and takes it off the engine."""
    made = []

    def put(repository, tag, *sizes, version="v2", to=registry, health="ok"):
        local = f"slt-made:{next(numbers)}"
        image_id = make_image(engine, local, version, *(sizes or [MEGABYTE]), health=health)
        digest = to.push(engine, local, repository, tag)
        engine.remove_image(local)
        made.append(image_id)
        return image_id, digest

    yield put
    for container in engine.containers("sluice.test"):
        engine.remove(container["Id"])
    for image_id in made:
        try:
            engine.remove_image(image_id)
        except EngineError:
            pass


class Asked:
    """A rollout that is asked for in the background; the answer comes when it comes."""

    def __init__(self, shop, image, **body):
        self.shop, self.answer, self.error = shop, None, None
        self._body = {"image": image, **body}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        try:
            self.answer = self.shop.sluice.api("POST", f"/services/{self.shop.name}/rollouts", self._body)
        except ApiError as error:
            self.error = error

    def end(self, timeout=60):
        self._thread.join(timeout)
        assert not self._thread.is_alive(), "no answer came"
        return self

    def begun(self):
        self.end()
        assert self.error is None, self.error
        self.shop.rollout = self.answer["id"]
        return self.answer

    def refused(self, code, *words):
        self.end()
        assert self.error is not None, self.answer
        assert self.error.code == code, self.error
        message = self.error.body["error"]["message"]
        for word in words:
            assert word in message, message
        assert "nothing was changed" in message
        return message


@pytest.fixture
def unchanged(engine):
    """What there is before and after a refusal: every container's inspect, networks, volumes, images."""
    def look():
        return engine.snapshot() | {"inspects": {each["Id"]: engine.inspect(each["Id"]) for each in engine.containers()}}

    before = {}

    class Unchanged:
        def begin(self):
            before.update(look())

        def holds(self, shop):
            assert look() == before
            assert shop.sluice.api("GET", f"/rollouts?service={shop.name}")["rollouts"] == []
            assert shop.sluice.service(shop.name)["pull"] is None
            assert shop.sluice.get()[0] == 200

    return Unchanged()


# --- what goes well ------------------------------------------------------------------------------------

def test_a_pull_by_tag_is_seen_from_its_first_byte_to_the_rollout(open_shop, publish, relay):
    image_id, digest = publish("shop", "v2", 6 * MEGABYTE, 2 * MEGABYTE)
    shop = open_shop()
    relay.blob_limit, relay.at_limit = 3 * MEGABYTE, "wait"
    asked = Asked(shop, f"{relay.name}/shop:v2")

    def half_way():
        pull = shop.sluice.service(shop.name)["pull"]
        return pull and pull["bytes_total"] and pull["bytes"] > 3 * MEGABYTE and pull["left_ms"] is not None and pull

    shown = shop.sluice.wait_until(half_way)
    assert shown["state"] == "pulling" and shown["image"] == f"{relay.name}/shop:v2" and shown["attempt"] == 1
    assert 8 * MEGABYTE <= shown["bytes_total"] < 9 * MEGABYTE and 0 < shown["percent"] < 100
    service = shop.sluice.service(shop.name)
    assert service["rollout"] is None and "pulling" in service["message"] and "layers" in service["message"]
    shop.sluice.events.wait("pull", lambda data: data["service"] == shop.name and data["pull"] and data["pull"]["bytes"] > 0)
    relay.go_on()
    rollout = asked.begun()
    assert rollout["image_id"] == image_id and rollout["digest"] == f"{relay.name}/shop@{digest}"
    assert any(line["event"] == "image-pulled" and "MiB" in line["message"] for line in rollout["log"])
    shop.sluice.events.wait("pull", lambda data: data["service"] == shop.name and data["pull"] is None)
    shop.ends()
    shop.closes_well(f"{relay.name}/shop:v2")


def test_a_pull_by_digest(open_shop, publish, registry):
    image_id, digest = publish("by-digest", "v2")
    shop = open_shop()
    rollout = Asked(shop, f"{registry.name}/by-digest@{digest}").begun()
    assert rollout["image_id"] == image_id and rollout["digest"] == f"{registry.name}/by-digest@{digest}"
    shop.ends()


def test_the_digest_is_the_one_of_the_repository_that_was_asked_for(open_shop, publish, registry, relay):
    """The same image by two names has a digest by each."""
    _, digest = publish("two-names", "v2")
    shop = open_shop()
    Asked(shop, f"{registry.name}/two-names:v2").begun()
    shop.ends()
    rollout = Asked(shop, "slt-demo:v1").begun()
    shop.ends()
    rollout = Asked(shop, f"{relay.name}/two-names:v2").begun()
    assert rollout["digest"] == f"{relay.name}/two-names@{digest}"
    shop.ends()


def test_always_pulls_a_tag_that_has_moved_and_missing_does_not(open_shop, publish, registry):
    first, _ = publish("moving", "latest")
    shop = open_shop()
    name = f"{registry.name}/moving"
    assert Asked(shop, name).begun()["image_id"] == first
    shop.ends()
    second, digest = publish("moving", "latest", version="v3")
    shop.engine.call("POST", f"/images/{first.removeprefix('sha256:')}/tag", query={"repo": name, "tag": "latest"})
    Asked(shop, name).end().error.code == "same-image"
    rollout = Asked(shop, name, pull="always").begun()
    assert rollout["image_id"] == second and rollout["digest"] == f"{name}@{digest}"
    shop.ends()


def test_never_takes_what_is_there_and_refuses_what_is_not(open_shop, registry, unchanged):
    shop = open_shop(pull="never")
    unchanged.begin()
    Asked(shop, f"{registry.name}/not-there:v1").refused("no-such-image", "is not to pull it")
    unchanged.holds(shop)
    Asked(shop, "slt-demo:v2").begun()
    shop.ends()


def test_an_id_is_not_looked_for_in_a_registry(open_shop, unchanged):
    shop = open_shop()
    unchanged.begin()
    Asked(shop, "sha256:" + "0" * 64).refused("no-such-image", "no registry knows one by its id")
    unchanged.holds(shop)


# --- who we are ----------------------------------------------------------------------------------------

def write_config(folder, config):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    return {"DOCKER_CONFIG": str(folder)}


def write_helper(folder, name, script):
    """A docker-credential-NAME that is found first."""
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / f"docker-credential-{name}"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}


def auth_of(user, password):
    return base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.fixture
def secret_image(publish, private):
    publish("secret", "v2", to=private)
    return f"{private.name}/secret:v2"


def test_a_private_registry_with_what_docker_login_has_written(open_shop, secret_image, private, tmp_path):
    shop = open_shop(write_config(tmp_path / "docker", {"auths": {private.name: {"auth": auth_of("reader", "open sesame:1")}}}))
    Asked(shop, secret_image).begun()
    shop.ends()


@pytest.mark.parametrize("config", [
    lambda name: {"credHelpers": {name: "slt"}},
    lambda name: {"credsStore": "slt"},
    lambda name: {"credsStore": "other", "credHelpers": {name: "slt"}, "auths": {name: {}}}],
    ids=["credHelpers", "credsStore", "both"])
def test_a_private_registry_with_a_credential_helper(open_shop, secret_image, private, tmp_path, config):
    environment = write_config(tmp_path / "docker", config(private.name))
    environment |= write_helper(tmp_path, "slt", f"""[ "$1" = get ] || exit 1
read -r server
[ "$server" = {private.name} ] || exit 1
echo noise on stderr >&2
printf '{{"ServerURL":"%s","Username":"reader","Secret":"open sesame:1"}}' "$server"
""")
    shop = open_shop(environment)
    Asked(shop, secret_image).begun()
    shop.ends()


def test_a_helper_that_does_not_know_the_registry_leaves_the_file(open_shop, secret_image, private, tmp_path):
    environment = write_config(tmp_path / "docker", {
        "credsStore": "slt", "auths": {private.name: {"auth": auth_of("reader", "open sesame:1")}}})
    environment |= write_helper(tmp_path, "slt", "echo credentials not found in native keychain; exit 1\n")
    shop = open_shop(environment)
    Asked(shop, secret_image).begun()
    shop.ends()


@pytest.mark.parametrize("script,words", [
    ("echo the keyring is locked; exit 1\n", "docker-credential-slt failed (status 1): the keyring is locked"),
    ("echo no json\n", "its answer is not understood"),
    ("kill -9 $$\n", "ended by signal 9"),
    (None, "docker-credential-slt failed (status 127): cannot run docker-credential-slt: No such file")],
    ids=["says-why", "no-json", "killed", "missing"])
def test_a_helper_that_fails_is_named(open_shop, secret_image, private, tmp_path, unchanged, script, words):
    environment = write_config(tmp_path / "docker", {"credHelpers": {private.name: "slt"}})
    if script:
        environment |= write_helper(tmp_path, "slt", script)
    shop = open_shop(environment)
    unchanged.begin()
    Asked(shop, secret_image).refused("pull-failed", words)
    unchanged.holds(shop)


def test_a_helper_that_hangs_is_given_up_by_an_abort_and_killed(open_shop, secret_image, private, tmp_path, unchanged):
    environment = write_config(tmp_path / "docker", {"credHelpers": {private.name: "slt"}})
    environment |= write_helper(tmp_path, "slt", f"echo $$ >{tmp_path}/pid\nexec sleep 600\n")
    shop = open_shop(environment)
    unchanged.begin()
    asked = Asked(shop, secret_image)
    shop.sluice.wait_until(lambda: (shop.sluice.service(shop.name)["pull"] or {}).get("state") == "authorizing" and
                           (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    shop.sluice.api("POST", f"/services/{shop.name}/abort")
    asked.refused("aborted", "by root")
    shop.sluice.wait_until(lambda: not os.path.exists(f"/proc/{(tmp_path / 'pid').read_text().strip()}"))
    unchanged.holds(shop)


@pytest.mark.parametrize("auths", [
    {"auth": auth_of("reader", "wrong")}, None], ids=["wrong-password", "no-credentials"])
def test_a_no_of_the_registry_is_not_asked_again(open_shop, secret_image, private, tmp_path, unchanged, auths):
    shop = open_shop(write_config(tmp_path / "docker", {"auths": {private.name: auths} if auths else {}}))
    unchanged.begin()
    message = Asked(shop, secret_image).refused("pull-failed")
    assert "unauthorized" in message or "no basic auth" in message
    assert not [line for line in shop.sluice.log.all if "event=pull-tried" in line]
    unchanged.holds(shop)


def test_a_config_json_that_is_none_is_named(open_shop, registry, tmp_path, unchanged):
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text("{ this is none")
    shop = open_shop({"DOCKER_CONFIG": str(tmp_path / "docker")})
    unchanged.begin()
    Asked(shop, f"{registry.name}/any:v1").refused("pull-failed", "config.json is not JSON")
    unchanged.holds(shop)
