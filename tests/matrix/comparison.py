"""What two containers were told, compared with nothing of Sluice's: what `docker inspect` says of the one is, after what is
each container's own was taken out (ids, times, addresses), the same as what it says of the other."""
import copy
import re

ANONYMOUS = re.compile("[0-9a-f]{64}")
# Of the endpoint: filled in by the engine, once it runs.
OF_THE_RUN = {"NetworkID", "EndpointID", "Gateway", "IPAddress", "IPPrefixLen", "IPv6Gateway", "GlobalIPv6Address",
              "GlobalIPv6PrefixLen", "MacAddress", "DNSNames"}


def told(inspect):
    """What it was told, in a form that two containers of the same settings share."""
    config, host = copy.deepcopy(inspect["Config"]), copy.deepcopy(inspect["HostConfig"])
    short = inspect["Id"][:12]
    own = inspect["Name"].lstrip("/")
    if config.get("Hostname") == short:
        config["Hostname"] = "(of the id)"
    config["Labels"] = {key: value for key, value in (config["Labels"] or {}).items()
                        if key not in ("sluice.rollout", "sluice.group", "sluice.ordinal", "sluice.own")}
    config["Env"] = sorted(config["Env"] or [])
    # Anonymous volumes are the mounts' matter: said by path for a first container, by name for the next.
    config.pop("Volumes", None)
    host["Binds"] = sorted(bind for bind in host["Binds"] or [] if not ANONYMOUS.fullmatch(bind.split(":")[0]))
    for mount in host.get("Mounts") or []:
        if ANONYMOUS.fullmatch(mount.get("Source", "")):
            del mount["Source"]
    host["Links"] = sorted(link.replace(f":/{own}/", ":/(itself)/") for link in host["Links"] or [])
    host["Runtime"] = host.get("Runtime") or "runc"  # filled in at the start
    host.pop("VolumesFrom")  # its mounts say what came of it
    networks = {}
    for name, endpoint in inspect["NetworkSettings"]["Networks"].items():
        endpoint = {key: value for key, value in endpoint.items() if key not in OF_THE_RUN and value}
        endpoint["Aliases"] = aliases(endpoint, [short, config.get("Hostname")])
        networks[name] = endpoint
    return {"Config": config, "HostConfig": host, "Networks": networks, "Mounts": mounts(inspect),
            "Path": inspect["Path"], "Args": inspect["Args"], "Platform": inspect["Platform"],
            "AppArmorProfile": inspect["AppArmorProfile"], "Driver": inspect["Driver"]}


def aliases(endpoint, added):
    """Without what the engine adds to each container, once."""
    found = sorted(endpoint.get("Aliases") or [])
    for name in added:
        if name in found:
            found.remove(name)
    return found


def mounts(inspect):
    return {mount["Destination"]: {"type": mount["Type"], "writable": mount["RW"],
                                   "source": mount.get("Name") or mount.get("Source")} for mount in inspect["Mounts"]}


def differences(one, other, path=""):
    """Every path at which they differ, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        found = []
        for key in sorted(one.keys() | other.keys()):
            found += differences(one.get(key, "(not there)"), other.get(key, "(not there)"), f"{path}.{key}" if path else key)
        return found
    return [] if one == other and type(one) is type(other) else [(path, one, other)]
