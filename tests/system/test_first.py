"""The first containers of a service: made from an image and options, or not at all."""
import http.client
from concurrent.futures import ThreadPoolExecutor

import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from test_faults import CRASHES, died

@pytest.fixture(autouse=True)
def swept(engine):
    """What Sluice made bears no label of the tests'."""
    yield
    for container in engine.containers("sluice.service"):
        engine.remove(container["Id"])


def first(shop, *options, image="slt-demo:v1", replicas=2):
    return shop.sluice.cli("rollout", shop.name, "--image", image, "--replicas", str(replicas), *options)


def begin(shop, replicas=2, image="slt-demo:v1"):
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/rollouts", {"image": image, "replicas": replicas})["id"]


def nothing(engine, start_sluice, name, replicas=2, **config):
    shop = Shop(engine, name, 0)
    shop.names = [f"{name}-{i + 1}" for i in range(replicas)]
    shop.sluice = start_sluice(shop.config(**config))
    return listed(shop)


def listed(shop):
    shop.sluice.wait_until(lambda: shop.sluice.service(shop.name)["state"] == "no-backends")
    return shop


def test_from_nothing_to_service_and_on_to_the_next_version(engine, images, start_sluice, start_load):
    network, volume = engine.create_network("slt-back"), engine.create_volume("slt-data")
    shop = nothing(engine, start_sluice, "fresh", service={"network": "slt-back"})
    before = engine.snapshot()
    options = ["--env", "COLOUR=blue", "--volume", "slt-data:/data:ro", "--publish", "9000", "--memory", "64m", "--restart", "always"]
    dry = first(shop, *options, "--dry-run")
    assert dry.returncode == 0 and "fresh-2" in dry.stdout and "slt-back" in dry.stdout, dry.stdout + dry.stderr
    assert engine.snapshot() == before
    done = first(shop, *options, "--reason", "opening")
    assert done.returncode == 0, done.stdout + done.stderr
    shop.ids = [each["Id"] for each in shop.containers()]
    assert len(shop.ids) == 2
    for each in map(engine.inspect, shop.ids):
        assert "COLOUR=blue" in each["Config"]["Env"] and each["HostConfig"]["Memory"] == 64 << 20
        assert each["HostConfig"]["RestartPolicy"]["Name"] == "always"
        assert list(each["NetworkSettings"]["Networks"]) == ["slt-back"]
        assert "fresh" in each["NetworkSettings"]["Networks"]["slt-back"]["Aliases"]
        assert [(mount["Name"], mount["RW"]) for mount in each["Mounts"]] == [("slt-data", False)]
        assert each["NetworkSettings"]["Ports"]["9000/tcp"]
    assert shop.sluice.get()[0] == 200
    (record,) = shop.sluice.api("GET", "/rollouts?service=fresh")["rollouts"]
    assert record["strategy"] == "first" and record["previous_image"] is None and record["reason"] == "opening"
    refused = first(shop)
    assert refused.returncode == 3 and "sluice scale fresh=N" in refused.stderr
    shop.put_load(start_load)
    shop.begin()
    shop.ends()
    assert {tuple(sorted(env for env in engine.inspect(each["Id"])["Config"]["Env"] if "COLOUR" in env)) for each in shop.containers()} == {("COLOUR=blue",)}
    shop.closes_well()
    assert network and volume


@pytest.mark.parametrize("image, words", [("slt-demo:v3", "unhealthy"), ("slt-demo:v4", "could not be started")])
def test_what_fails_leaves_nothing(engine, images, start_sluice, image, words):
    shop = nothing(engine, start_sluice, "failing")
    before = engine.snapshot()
    done = first(shop, image=image)
    assert done.returncode == 1 and words in done.stdout, done.stdout + done.stderr
    assert engine.snapshot() == before


def test_what_the_engine_refuses_to_make_leaves_nothing(engine, images, start_sluice):
    shop = nothing(engine, start_sluice, "unmade")
    before = engine.snapshot()
    done = first(shop, "--cpus", "4000", "--force", "cpu")
    assert done.returncode == 1 and "could not be made" in done.stdout, done.stdout + done.stderr
    assert engine.snapshot() == before


def test_an_abort_takes_all_of_it_back(engine, images, start_sluice):
    shop = nothing(engine, start_sluice, "taken", monitor="5m")
    before = engine.snapshot()
    begin(shop)
    shop.sluice.wait_healthy("taken", 2)
    assert shop.sluice.cli("abort", "taken").returncode == 0
    shop.ends("aborted")
    assert engine.snapshot() == before


def test_what_cannot_be_is_refused(engine, images, start_sluice):
    shop = nothing(engine, start_sluice, "asked")
    before = engine.snapshot()
    for options, code, words in [(["--image", "slt-demo:v1"], 3, "--replicas N"),
                                 (["--replicas", "2"], 2, "which image"),
                                 (["--replicas", "2", "--image", "slt-none:v1", "--no-pull"], 3, "not to pull"),
                                 (["--replicas", "2", "--image", "slt-demo:v1", "--network", "slt-none"], 3, "docker network create"),
                                 (["--replicas", "2", "--image", "slt-demo:v1", "--publish", "127.0.0.1:18098:9000"], 3, "host's port"),
                                 (["--replicas", "2", "--image", "slt-demo:v1", "--strategy", "rolling"], 2, "strategy"),
                                 (["--replicas", "2", "--image", "slt-demo:v1", "--volume", "data"], 2, "a volume is"),
                                 (["--image", "slt-demo:v1", "--user", "1000"], 2, "--replicas")]:
        done = shop.sluice.cli("rollout", "asked", *options)
        assert done.returncode == code and words in done.stderr, (options, done.returncode, done.stderr)
    assert engine.snapshot() == before
    stopped = engine.create("slt-asked", "slt-demo:v1", Labels={"sluice.service": "asked"})
    shop.sluice.wait_until(lambda: "but none of them runs" in first(shop).stderr)
    engine.remove(stopped)


POINTS = ["create:journalled", "create:made", "start:done", "ready:before", "rename:done", "end:journalled"]


@CRASHES
def test_the_updater_dies_in_the_midst_of_it(engine, images, start_sluice):
    def one(point):
        name = "dies-" + point.replace(":", "-")
        shop = Shop(engine, name, 0)
        shop.names = [f"{name}-1", f"{name}-2"]
        shop.sluice = start_sluice(shop.config(), environment={"SLUICE_TEST_CRASH": point})
        return shop

    shops = [one(point) for point in POINTS]
    for shop in shops:
        listed(shop)
    with ThreadPoolExecutor() as pool:
        list(pool.map(begin_though_it_dies, shops))
    for shop in shops:
        died(shop)
    for shop in shops:
        shop.ends()
        shop.closes_well("slt-demo:v1")


def begin_though_it_dies(shop):
    try:
        begin(shop)
    except (OSError, http.client.HTTPException):  # before it had answered
        newest = shop.sluice.wait_until(lambda: shop.sluice.api("GET", f"/rollouts?service={shop.name}")["rollouts"])
        shop.rollout = newest[0]["id"]
