"""`sluice scale`: more come up with health, fewer go with a drain, and nobody notices."""
import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)


def scale(shop, replicas):
    """Asks for so many; the rollout that it is."""
    shop.rollout = shop.sluice.api("POST", f"/services/{shop.name}/scale", {"replicas": replicas})["id"]
    return shop.rollout


def names(shop):
    return sorted(name.lstrip("/") for each in shop.containers() for name in each["Names"])


def ended_well(shop, expected):
    shop.ends()
    assert names(shop) == sorted(expected)
    shop.sluice.wait_healthy(shop.name, len(expected))
    assert {each["State"] for each in shop.containers()} == {"running"}


def test_up_and_down_under_load(engine, images, start_sluice, start_load):
    shop = Shop(engine, "scale", 2, {"Env": ["COLOUR=blue"], "Volumes": {"/own": {}}})
    shop.open(start_sluice, start_load, service={"slow_start": "1s"})
    volumes = {mount["Name"] for each in shop.ids for mount in engine.inspect(each)["Mounts"]}
    scale(shop, 4)
    ended_well(shop, ["slt-scale-1", "slt-scale-2", "slt-scale-3", "slt-scale-4"])
    more = [each for each in shop.containers() if each["Id"] not in shop.ids]
    for each in more:
        inspected = engine.inspect(each["Id"])
        assert "COLOUR=blue" in inspected["Config"]["Env"] and inspected["Config"]["Image"] == "slt-demo:v1"
        (mount,) = inspected["Mounts"]
        assert mount["Name"] not in volumes, "two of them share what was each one's own"
    shop.sluice.wait_until(lambda: all(each["exchanges"] > 0
                                       for each in shop.sluice.service("scale")["groups"]["stable"]["backends"]))
    scale(shop, 1)
    ended_well(shop, ["slt-scale-1"])
    assert [each["Id"] for each in shop.containers()] == shop.ids[:1]
    drains = shop.state()["drains"]
    assert len(drains) == 3 and all(drain["drained"] and drain["proof"] and not drain["forced"] for drain in drains)
    assert shop.load.stop()["failed"] == 0
    assert volumes <= set(engine.snapshot()["volumes"]), "what was in a volume is lost"


def test_a_rollout_after_a_scale_takes_all_of_them(engine, images, start_sluice, start_load):
    shop = Shop(engine, "grown", 1).open(start_sluice, start_load)
    scale(shop, 3)
    shop.names = ["slt-grown-1", "slt-grown-2", "slt-grown-3"]
    ended_well(shop, shop.names)
    shop.begin()
    shop.ends()
    shop.closes_well()
    scale(shop, 2)
    ended_well(shop, shop.names[:2])
    done = shop.sluice.cli("rollback", "grown")  # the version before, not the number
    assert done.returncode == 0, done.stdout + done.stderr
    shop.names = shop.names[:2]
    shop.closes_well("slt-demo:v1")


def test_names_without_numbers_and_the_numbers_of_compose(engine, images, start_sluice):
    def settings(i):
        return {"Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "plain",
                           "com.docker.compose.container-number": "1"}}

    shop = Shop(engine, "plain", 0)
    shop.label = "com.docker.compose.service=plain"
    shop.ids = [engine.run("slt-plain", "slt-demo:v1", **settings(0))]
    shop.names = ["slt-plain"]
    shop.open(start_sluice)
    scale(shop, 3)
    ended_well(shop, ["slt-plain", "slt-plain-2", "slt-plain-3"])
    numbers = {each["Names"][0].lstrip("/"): each["Labels"]["com.docker.compose.container-number"] for each in shop.containers()}
    assert numbers == {"slt-plain": "1", "slt-plain-2": "2", "slt-plain-3": "3"}


def test_one_that_becomes_unhealthy_takes_all_new_ones_back(engine, images, start_sluice):
    shop = Shop(engine, "sick", 1).open(start_sluice, monitor="1m")
    scale(shop, 3)
    shop.sluice.wait_healthy("sick", 3)
    engine.call("POST", f"/containers/{shop.new()[0]['Id']}/pause")
    assert "unhealthy" in shop.ends("rolled_back")["why"]
    shop.closes_well("slt-demo:v1")


def test_what_cannot_be_there_twice_is_not_made(engine, images, start_sluice):
    shop = Shop(engine, "fixed", 1, {"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18099"}]}}})
    shop.open(start_sluice)
    before = engine.snapshot()
    done = shop.sluice.cli("scale", "fixed=2")
    assert done.returncode in (1, 3) and "port" in done.stdout + done.stderr, done.stdout + done.stderr
    assert engine.snapshot() == before


def test_an_abort_while_new_ones_come_up(engine, images, start_sluice, start_load):
    shop = Shop(engine, "halt", 1).open(start_sluice, start_load, monitor="1m")
    scale(shop, 3)
    shop.sluice.wait_healthy("halt", 3)
    assert shop.sluice.cli("abort", "halt").returncode == 0
    shop.ends("aborted")
    shop.closes_well("slt-demo:v1")


@pytest.mark.parametrize("killed", ["coming up", "going"])
def test_the_updater_is_killed(engine, images, start_sluice, start_load, killed):
    shop = Shop(engine, "killed", 3).open(start_sluice, start_load)
    if killed == "going":
        held = shop.hold_tcp()
        scale(shop, 1)
        shop.wait(lambda rollout: rollout["phase"] == "promoted")
    else:
        scale(shop, 5)
        shop.wait(lambda rollout: len(rollout["containers"]) > 3)
    shop.sluice.kill(shop.sluice.pid("updater"))
    expected = [f"slt-killed-{i + 1}" for i in range(1 if killed == "going" else 5)]
    if killed == "going":
        held.close()
    ended_well(shop, expected)
    assert shop.load.stop()["failed"] == 0


def test_what_cannot_be_is_refused(engine, images, start_sluice):
    shop = Shop(engine, "asked", 2).open(start_sluice)
    for arguments, code, words in [(["asked=2"], 3, "run already"), (["asked=0"], 2, "from 1"), (["asked"], 2, "SERVICE=N"),
                                   (["asked=many"], 2, "how many"), (["asked=2", "3"], 2, "SERVICE=N"), (["nobody=3"], 2, "nobody")]:
        done = shop.sluice.cli("scale", *arguments)
        assert done.returncode == code and words in done.stderr, (arguments, done.returncode, done.stderr)
    done = shop.sluice.cli("scale", "asked=3")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "slt-asked-3" in names(shop)
