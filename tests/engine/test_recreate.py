"""Containers of many kinds are made again of another image, on a real engine, and compared through
inspect: nothing of what the user had set may be lost, nothing of the old image may stay."""

import copy
import json

import pytest

V1 = ("ENV A=old B=same C=old", "LABEL one=old two=same", 'ENTRYPOINT ["/pause"]',
      'CMD ["old"]', "WORKDIR /work", "USER 1", "EXPOSE 80", "EXPOSE 81", "VOLUME /data",
      "STOPSIGNAL SIGUSR1",
      'HEALTHCHECK --interval=3s --retries=7 CMD ["/pause", "old"]')
V2 = ("ENV A=new B=same D=new", "LABEL one=new three=new", 'ENTRYPOINT ["/pause"]',
      'CMD ["new"]', "WORKDIR /other", "USER 2", "EXPOSE 82",
      "STOPSIGNAL SIGTERM", 'HEALTHCHECK --interval=4s CMD ["/pause", "new"]')

# Name: what the user set, beyond the image. NETWORK1, NETWORK2, VOLUME are put in by the test.
MATRIX = {
    "nothing": {},
    "env": {"Env": ["A=mine", "X=1", "EMPTY=", "LINES=a\nb", "UNICODE=häß€"]},
    "command": {"Cmd": ["mine", "", "two words"]},
    "entrypoint": {"Entrypoint": ["/pause", "mine"], "Cmd": ["old"]},
    "entrypoint without command": {"Entrypoint": ["/pause"], "User": "7:8"},
    "user and folder": {"User": "5:6", "WorkingDir": "/run", "Hostname": "mine",
                        "Domainname": "example.test"},
    "labels": {"Labels": {"two": "mine", "com.docker.compose.project": "shop",
                          "com.docker.compose.config-hash": "abc", "quote\"/..": "ü"}},
    "binds and a named volume": {"HostConfig": {"Binds": ["/etc:/etc:ro", "VOLUME:/other"]}},
    "mounts": {"HostConfig": {"Mounts": [
        {"Type": "bind", "Source": "/usr/share", "Target": "/other", "ReadOnly": True,
         "BindOptions": {"Propagation": "rprivate"}},
        {"Type": "volume", "Source": "VOLUME", "Target": "/etc",
         "VolumeOptions": {"NoCopy": True}},
        {"Type": "volume", "Target": "/run"},
        {"Type": "tmpfs", "Target": "/work", "TmpfsOptions": {"SizeBytes": 65536}}]}},
    "anonymous volumes": {"Volumes": {"/other": {}, "/run/deep:er": {}} },
    "tmpfs and shm": {"HostConfig": {"Tmpfs": {"/run": "size=64k", "/other": ""},
                                     "ShmSize": 1048576, "ReadonlyRootfs": True}},
    "two networks": {"HostConfig": {"NetworkMode": "NETWORK1"},
                     "NetworkingConfig": {"EndpointsConfig": {
                         "NETWORK1": {"Aliases": ["web", "shop"],
                                      "DriverOpts": {"example.option": "1"}}}},
                     "connect": {"NETWORK2": {"Aliases": ["back"]}}},
    "network by id": {"HostConfig": {"NetworkMode": "NETWORK1-ID"}},
    "host network": {"HostConfig": {"NetworkMode": "host"}},
    "no network": {"HostConfig": {"NetworkMode": "none"}},
    "limits": {"HostConfig": {"Memory": 67108864, "MemorySwap": 134217728, "NanoCpus": 500000000,
                              "PidsLimit": 64, "CpuShares": 512, "OomScoreAdj": 100,
                              "MemoryReservation": 33554432, "BlkioWeight": 0,
                              "Ulimits": [{"Name": "nofile", "Soft": 128, "Hard": 256}]}},
    "capabilities": {"HostConfig": {"CapAdd": ["NET_ADMIN"], "CapDrop": ["CHOWN", "MKNOD"],
                                    "SecurityOpt": ["no-new-privileges"],
                                    "Devices": [{"PathOnHost": "/dev/null",
                                                 "PathInContainer": "/dev/nothing",
                                                 "CgroupPermissions": "rwm"}]}},
    "privileged": {"HostConfig": {"Privileged": True, "PidMode": "host", "IpcMode": "host"}},
    "uts of the host": {"HostConfig": {"UTSMode": "host"}},
    "healthcheck": {"Healthcheck": {"Test": ["CMD", "/pause", "mine"], "Interval": 5000000000,
                                    "Timeout": 2000000000, "StartPeriod": 1000000000}},
    "healthcheck interval only": {"Healthcheck": {"Interval": 6000000000}},
    "no healthcheck": {"Healthcheck": {"Test": ["NONE"]}},
    "restart and stop": {"StopSignal": "SIGUSR1", "StopTimeout": 17, "HostConfig": {
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "Init": True}},
    "names": {"HostConfig": {"ExtraHosts": ["a.test:10.0.0.1", "b.test:10.0.0.2"],
                             "Dns": ["10.0.0.53"], "DnsSearch": ["example.test"],
                             "DnsOptions": ["ndots:2"]}},
    "kernel settings": {"HostConfig": {"Sysctls": {"net.ipv4.ip_forward": "1"},
                                       "CgroupnsMode": "private"}},
    "ports that the engine chooses": {"ExposedPorts": {"90/tcp": {}, "91/udp": {}},
                                      "HostConfig": {"PortBindings": {"90/tcp": [
                                          {"HostIp": "127.0.0.1", "HostPort": ""}]}}},
    "all ports": {"HostConfig": {"PublishAllPorts": True}},
    "logging": {"HostConfig": {"LogConfig": {"Type": "json-file",
                                             "Config": {"max-size": "1m", "max-file": "2"}}}},
    "terminal": {"Tty": True, "OpenStdin": True, "AttachStdout": True},
    "large numbers": {"HostConfig": {"Memory": 1024000000000000}},
}


@pytest.fixture(scope="module")
def images(engine):
    return engine.image(*V1), engine.image(*V2)


@pytest.fixture(scope="module")
def world(engine):
    """What the matrix names: networks and a volume that are there."""
    names = {"NETWORK1": engine.network(), "NETWORK2": engine.network(), "VOLUME": engine.volume()}
    names["NETWORK1-ID"] = engine.call("GET", f"/networks/{names['NETWORK1']}")["Id"]
    return names


def fill_in(config, world):
    text = json.dumps(config, ensure_ascii=True)
    for word in sorted(world, key=len, reverse=True):
        text = text.replace(word, world[word])
    return json.loads(text)


def make(engine, config, image):
    config = copy.deepcopy(config)
    networks = config.pop("connect", None)
    return engine.create({"Image": image, **config}, networks=networks)


def recreate(engine, tool, old, image):
    name = engine.name("new")
    engine.containers.append(name)
    result = tool("recreate", old, image, name)
    assert result.code == 0, result
    assert result.lines[0].startswith("id ")
    return engine.inspect(name), "\n".join(result.lines[1:])


def settings(inspect):
    """HostConfig and networks as a plain comparison sees them, what cannot be the same left out."""
    host = copy.deepcopy(inspect["HostConfig"])
    volumes = {m["Destination"]: m.get("Name", m.get("Source")) for m in inspect["Mounts"]}
    for mount in host.get("Mounts") or []:
        mount.pop("Source", None)  # compared as volumes
    host.pop("Binds")
    networks = {name: {"aliases": sorted(set(e.get("Aliases") or []) - {inspect["Id"][:12]}),
                       "options": e.get("DriverOpts")}
                for name, e in inspect["NetworkSettings"]["Networks"].items()}
    return host, volumes, networks


@pytest.mark.parametrize("case", MATRIX)
def test_made_again_it_is_the_same(engine, tool, images, world, case):
    config = fill_in(MATRIX[case], world)
    old_name = make(engine, config, images[0])
    old = engine.inspect(old_name)
    new, difference = recreate(engine, tool, old_name, images[1])
    assert difference == ""
    old_host, old_volumes, old_networks = settings(old)
    new_host, new_volumes, new_networks = settings(new)
    if case == "network by id":
        assert new_host.pop("NetworkMode") == world["NETWORK1"], "the id has become the name"
        old_host.pop("NetworkMode")
    if case == "anonymous volumes":
        new_host.pop("Mounts")  # where the one with a colon in its path is named; seen in volumes
    assert new_host == old_host
    assert new_volumes == old_volumes, "anonymous volumes too are the same ones"
    assert new_networks == old_networks
    assert new["State"]["Running"]
    assert new["Config"]["Labels"]["sluice.rollout"] == "r1"
    if "Hostname" not in config and case not in ("host network", "uts of the host"):
        assert new["Config"]["Hostname"] == new["Id"][:12]


def test_what_the_old_image_supplied_is_not_kept(engine, tool, images):
    old = make(engine, {"Env": ["X=1", "C=mine"]}, images[0])
    new, difference = recreate(engine, tool, old, images[1])
    config = new["Config"]
    assert difference == ""
    env = dict(line.split("=", 1) for line in config["Env"])
    env.pop("PATH", None)
    assert env == {"A": "new", "B": "same", "C": "mine", "D": "new", "X": "1"}
    assert config["Cmd"] == ["new"] and config["Entrypoint"] == ["/pause"]
    assert config["WorkingDir"] == "/other" and config["User"] == "2"
    assert config["Labels"] == {"one": "new", "three": "new", "sluice.rollout": "r1",
                                "sluice.group": "canary"}
    assert set(config["ExposedPorts"]) == {"82/tcp"}
    assert config["StopSignal"] == "SIGTERM"
    assert config["Healthcheck"] == {"Test": ["CMD", "/pause", "new"], "Interval": 4000000000}


def test_what_the_user_set_survives_even_where_the_new_image_says_otherwise(engine, tool, images):
    config = {"Env": ["A=mine", "D=mine"], "Cmd": ["mine"], "WorkingDir": "/data", "User": "9",
              "StopSignal": "SIGINT", "Labels": {"one": "mine", "three": "mine"}}
    old = make(engine, config, images[0])
    new, difference = recreate(engine, tool, old, images[1])
    assert difference == ""
    for key in ("Cmd", "WorkingDir", "User", "StopSignal"):
        assert new["Config"][key] == config[key]
    assert {"A=mine", "D=mine"} <= set(new["Config"]["Env"])
    assert not {"A=new", "D=new"} & set(new["Config"]["Env"])
    assert new["Config"]["Labels"]["one"] == new["Config"]["Labels"]["three"] == "mine"


def test_an_entrypoint_that_was_taken_away_stays_away(engine, tool, images):
    old = make(engine, {"Entrypoint": [""], "Cmd": ["/pause"]}, images[0])
    assert not engine.inspect(old)["Config"]["Entrypoint"]
    new, difference = recreate(engine, tool, old, images[1])
    assert difference == "" and not new["Config"]["Entrypoint"]
    assert new["Config"]["Cmd"] == ["/pause"]


def test_made_again_twice_it_has_not_grown(engine, tool, images, world):
    config = fill_in({"Volumes": {"/other": {}}, "HostConfig": {"Privileged": True,
                      "NetworkMode": "NETWORK1", "PortBindings": {"90/tcp": [{"HostPort": ""}]}},
                      "NetworkingConfig": {"EndpointsConfig": {"NETWORK1": {
                          "Aliases": ["web"]}}}}, world)
    first = make(engine, config, images[0])
    second, _ = recreate(engine, tool, first, images[1])
    third, difference = recreate(engine, tool, second["Id"], images[0])
    assert difference == ""
    assert third["HostConfig"] == second["HostConfig"]
    assert settings(third)[1:] == settings(engine.inspect(first))[1:]


def test_a_container_that_shares_anothers_network_goes_on_sharing_it(engine, tool, images):
    other = make(engine, {}, images[0])
    old = make(engine, {"HostConfig": {"NetworkMode": f"container:{other}"}}, images[0])
    new, difference = recreate(engine, tool, old, images[1])
    assert difference == ""
    assert new["HostConfig"]["NetworkMode"] == engine.inspect(old)["HostConfig"]["NetworkMode"]


def test_legacy_links_are_made_again(engine, tool, images):
    target = make(engine, {}, images[0])
    old = make(engine, {"HostConfig": {"Links": [f"{target}:database"]}}, images[0])
    new, difference = recreate(engine, tool, old, images[1])
    assert difference == ""
    assert new["HostConfig"]["Links"] == [f"/{target}:{new['Name']}/database"]


def test_a_network_that_it_was_taken_off_does_not_come_back(engine, tool, images, world):
    old = make(engine, {}, images[0])
    engine.call("POST", f"/networks/{world['NETWORK2']}/connect", {"Container": old})
    engine.call("POST", "/networks/bridge/disconnect", {"Container": old})
    new, _ = recreate(engine, tool, old, images[1])
    assert list(new["NetworkSettings"]["Networks"]) == [world["NETWORK2"]]


@pytest.mark.parametrize("why,config", [
    ("--rm", {"HostConfig": {"AutoRemove": True}}),
    ("host's port 18973", {"HostConfig": {"PortBindings": {"80/tcp": [
        {"HostIp": "127.0.0.1", "HostPort": "18973"}]}}}),
    ("MAC address", {"MacAddress": "02:00:00:00:00:07"}),
])
def test_what_cannot_be_there_twice_is_refused_before_anything_is_made(engine, tool, images, why,
                                                                       config):
    old = make(engine, config, images[0])
    name = engine.name("new")
    result = tool("recreate", old, images[1], name)
    assert result.code == 3 and why in result.err, result
    with pytest.raises(AssertionError, match="404"):
        engine.inspect(name)


def test_a_static_ip_is_refused(engine, tool, images):
    name = engine.name("net")
    engine.call("POST", "/networks/create", {"Name": name, "IPAM": {"Config": [
        {"Subnet": "10.211.77.0/24"}]}})
    engine.networks.append(name)
    old = make(engine, {"HostConfig": {"NetworkMode": name}, "NetworkingConfig": {
        "EndpointsConfig": {name: {"IPAMConfig": {"IPv4Address": "10.211.77.9"}}}}}, images[0])
    result = tool("recreate", old, images[1], engine.name("new"))
    assert result.code == 3 and "static IP (10.211.77.9)" in result.err, result


@pytest.mark.parametrize("path,old,new", [
    ("Env", {"Env": ["SECRET=swordfish"]}, {}),
    ("HostConfig.Memory", {"HostConfig": {"Memory": 67108864}}, {}),
    ("HostConfig.Binds", {}, {"HostConfig": {"Binds": ["/usr/share:/other"]}}),
    ("HostConfig.Tmpfs./run", {"HostConfig": {"Tmpfs": {"/run": ""}}}, {}),
    ("Labels.mine", {"Labels": {"mine": "1"}}, {"Labels": {"mine": "2"}}),
    ("ExposedPorts.7/tcp", {}, {"ExposedPorts": {"7/tcp": {}}}),
    ("User", {"User": "5"}, {"User": "6"}),
    ("NetworkingConfig.EndpointsConfig.bridge", {}, {"HostConfig": {"NetworkMode": "none"}}),
])
def test_a_difference_is_found_and_named(engine, tool, images, path, old, new):
    names = make(engine, old, images[0]), make(engine, new, images[1])
    result = tool("difference", *names)
    assert result.code == 0, result
    assert any(line.startswith(path + ":") for line in result.lines), result
    assert "swordfish" not in result.out, "values of the environment may be secrets"
