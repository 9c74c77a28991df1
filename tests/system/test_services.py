"""Services as people have them: each goes from v1 to v2 once, under light load."""
import pytest

from shop import Shop, images, start_load  # noqa: F401 (fixtures)


def goes_forward(shop, start_sluice, start_load, **config):
    shop.open(start_sluice, start_load, **config)
    shop.begin()
    shop.ends()
    shop.closes_well()
    return [shop.engine.inspect(each["Id"]) for each in sorted(shop.containers(), key=lambda each: each["Names"])]


@pytest.mark.parametrize("replicas", [1, 5])
def test_so_many_replicas(engine, images, start_sluice, start_load, replicas):
    goes_forward(Shop(engine, "many", replicas), start_sluice, start_load,
                 steps=[{"set_weight": 20}, {"set_weight": 100}])


def test_containers_that_differ_in_image(engine, images, start_sluice, start_load):
    shop = Shop(engine, "mixed", 2)
    engine.remove(shop.ids[1])
    shop.ids[1] = engine.run(shop.names[1], "slt-demo:v2", Labels={"sluice.service": shop.name})
    goes_forward(shop, start_sluice, start_load)


def test_containers_of_compose(engine, images, start_sluice, start_load):
    def settings(i):
        return {"Labels": {"com.docker.compose.project": "shop", "com.docker.compose.service": "web",
                           "com.docker.compose.container-number": str(i + 1)}}

    shop = Shop(engine, "web", 2, settings)
    shop.label = "com.docker.compose.service=web"
    new = goes_forward(shop, start_sluice, start_load,
                       service={"discover": {"label": shop.label, "project": "shop"}})
    for i, each in enumerate(new):
        labels = each["Config"]["Labels"]
        assert labels["com.docker.compose.project"] == "shop"
        assert labels["com.docker.compose.container-number"] == str(i + 1)


def test_a_network_with_aliases_and_a_volume(engine, images, start_sluice, start_load):
    network, volume = engine.create_network("slt-net"), engine.create_volume("slt-data")
    settings = {"HostConfig": {"NetworkMode": "slt-net", "Binds": [f"{volume}:/data"]},
                "NetworkingConfig": {"EndpointsConfig": {"slt-net": {"Aliases": ["store", "shop"]}}}}
    (new,) = goes_forward(Shop(engine, "net", 1, settings), start_sluice, start_load, service={"network": "slt-net"})
    endpoint = new["NetworkSettings"]["Networks"]["slt-net"]
    assert endpoint["NetworkID"] == network
    assert {"store", "shop"} <= set(endpoint["Aliases"])
    assert [mount["Name"] for mount in new["Mounts"]] == [volume]


def test_the_containers_own_healthcheck(engine, images, start_sluice, start_load):
    health = {"Test": ["CMD", "/sluice-demo", "check"], "Interval": 300000000, "Timeout": 2000000000, "Retries": 3}
    check = {"healthcheck": {"container": {}}}
    (new,) = goes_forward(Shop(engine, "own", 1, {"Healthcheck": health}), start_sluice, start_load, service=check)
    assert new["Config"]["Healthcheck"]["Test"] == health["Test"]
    assert new["State"]["Health"]["Status"] == "healthy"


def test_published_ports(engine, images, start_sluice, start_load):
    """On ports that the engine chooses, so that two can be there at once."""
    settings = {"HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}]}}}
    goes_forward(Shop(engine, "public", 1, settings), start_sluice, start_load, service={"published": True})
