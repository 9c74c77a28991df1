"""Compose's own command, before and after a rollout of what it has made: it still knows the containers."""
import os
import shutil
import subprocess

import pytest

from shop import Shop, images  # noqa: F401 (fixture)

FILE = """\
version: "3.8"
services:
  web:
    image: ${IMAGE}
    environment: { MODE: shop }
    volumes: [ "data:/data" ]
    labels: { sluice.test: "1" }
    stop_grace_period: 5s
volumes: { data: { labels: { sluice.test: "1" } } }
networks: { default: { labels: { sluice.test: "1" } } }
"""


class Composed(Shop):
    """The service `web` of a project that Compose has brought up."""

    def __init__(self, engine, folder, project):
        self.engine, self.name, self.project, self.folder = engine, "web", project, folder
        self.label = "com.docker.compose.service=web"
        (folder / "docker-compose.yml").write_text(FILE)
        self.compose("up", "-d", "--scale", "web=2")
        self.names = [f"{project}_web_1", f"{project}_web_2"]
        self.sluice = self.load = self.rollout = None

    def compose(self, *arguments, image="slt-demo:v1"):
        done = subprocess.run(["docker-compose", "-p", self.project, *arguments], cwd=self.folder, capture_output=True, text=True,
                              timeout=120, env={**os.environ, "DOCKER_HOST": self.engine.host, "IMAGE": image})
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def ids(self):
        return sorted(each["Id"] for each in self.containers())


@pytest.fixture
def composed(engine, images, start_sluice, tmp_path):
    if not shutil.which("docker-compose"):
        pytest.skip("needs docker-compose (scripts/packages test)")
    folder = tmp_path / "shop"
    folder.mkdir()
    shop = Composed(engine, folder, "slcompose")
    try:
        yield shop.open(start_sluice, service={"discover": {"label": shop.label, "project": shop.project}})
    finally:
        shop.compose("down", "-v", "-t", "1")


def test_compose_still_knows_what_was_rolled_out(composed):
    composed.begin()
    composed.ends()
    composed.closes_well()
    shown = composed.compose("ps")
    assert all(name in shown for name in composed.names) and shown.count(" Up ") == 2, shown
    shown = composed.compose("images")
    assert shown.count("v2") == 2, shown
    # Its file says what it said: there is nothing to do, and the new version stays.
    before = composed.ids()
    composed.compose("up", "-d", "--scale", "web=2")
    assert composed.ids() == before
    # The file says the new image: Compose's record of the containers is of the old one. They stay if it is told so.
    composed.compose("up", "-d", "--no-recreate", "--scale", "web=2", image="slt-demo:v2")
    assert composed.ids() == before
    composed.compose("up", "-d", "--scale", "web=2", image="slt-demo:v2")
    assert not set(composed.ids()) & set(before), "Compose makes them anew once, as docs/operations.md says"
    composed.sluice.wait_healthy("web", 2)


def test_a_second_rollout_follows_what_compose_has_made_anew(composed):
    composed.begin()
    composed.ends()
    composed.compose("up", "-d", "--scale", "web=2", image="slt-demo:v2")
    composed.sluice.wait_healthy("web", 2)
    composed.begin("slt-demo:v1")
    composed.ends()
    composed.closes_well("slt-demo:v1")
    assert {each["Labels"]["com.docker.compose.container-number"] for each in composed.containers()} == {"1", "2"}


def test_compose_stops_and_removes_what_was_rolled_out(composed):
    composed.begin()
    composed.ends()
    composed.compose("down", "-v", "-t", "1")
    assert composed.containers() == []
    assert not any(composed.project in network["Name"] for network in composed.engine.networks())
