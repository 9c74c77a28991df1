"""Every kind of container goes to another image and back. What it is told then is compared with what the docker client
makes of the same options with that image: only what the image supplies may have changed.

All of them are services of one Sluice, and are rolled out side by side: one session serves all the tests."""
import json
import pathlib
import shlex
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import LABEL
from comparison import ANONYMOUS, differences, told
from configurations import AFTER, ALONE, ALONE_ONLY, HELPERS, IMAGES, MIXED, NETWORKS, SUBNETS, VOLUMES
from sluice import BUILD, ApiError, Sluice, UnixConnection

CASES = {**ALONE, **{name: case[:2] for name, case in AFTER.items()}, **MIXED}
PATIENCE = 240  # seconds for all of them; only what fails waits so long


def own_name(case):
    return "slm-" + "".join(c if c.isalnum() else "-" for c in case)


def a_disk():
    """What can be throttled: a whole disk that is there, used or not."""
    return next(f"/dev/{disk.name}" for disk in sorted(pathlib.Path("/sys/block").iterdir()) if (pathlib.Path("/dev") / disk.name).exists())


class Matrix:
    """All the containers, and what was seen of them."""

    def __init__(self, docker, folder):
        self.docker, self.folder = docker, folder
        self.before, self.forward, self.back, self.reference = {}, {}, {}, {}
        self.rollouts = {}
        self.sluice = None
        (folder / "seccomp.json").write_text(json.dumps({"defaultAction": "SCMP_ACT_ALLOW"}))
        (folder / "bound").mkdir()

    # --- made by hand ------------------------------------------------------------------------------

    def prepare(self):
        demo = (BUILD / "demo/sluice-demo").read_bytes()
        for tag, dockerfile in IMAGES.items():
            self.docker.build(tag, dockerfile, demo)
        for network, subnet in zip(NETWORKS, SUBNETS):
            self.docker("network", "create", "--label", LABEL, "--subnet", f"{subnet}.0/24", network)
        for volume in VOLUMES:
            self.docker("volume", "create", "--label", LABEL, volume)
        for helper, options in HELPERS.items():
            self.docker("run", "-d", "--name", helper, "--label", LABEL, *options, "slm-demo:v1")
        self.docker("run", "-d", "--name", "slm-friend", "--label", LABEL, "--network", "slm-front", "slm-demo:v1")

    def fill_in(self, options):
        words = {"FOLDER": self.folder / "bound", "SECCOMP": self.folder / "seccomp.json", "DEVICE": a_disk()}
        for word, meant in words.items():
            options = [option.replace(word, str(meant)) for option in options]
        return options

    def make(self, case, name, image, run):
        """With `docker run` or `create`; what the client cannot say, by the API. `run`: it is one of the service's."""
        options, command = (CASES.get(case) or ALONE_ONLY[case])[:2]
        labels = {LABEL: "1", **({"sluice.matrix.case": own_name(case)} if run else {})}
        if isinstance(options, dict):
            self.ask("POST", f"/containers/create?name={name}", {"Image": image, "Labels": labels, **options})
        else:
            named = [part for key, value in labels.items() for part in ("-l", f"{key}={value}")]
            self.docker("create", "--name", name, *named, *self.fill_in(options), image, *command)
        if run:
            self.docker("start", name)
        for line in AFTER.get(case, ())[2:]:
            self.docker(*(name if word == "SELF" else word for word in line))

    def ask(self, method, path, body):
        connection = UnixConnection(self.docker.host.removeprefix("unix://"), timeout=60)
        connection.request(method, "/v1.41" + path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        assert answer.status < 400, text

    # --- rolled out --------------------------------------------------------------------------------

    def config(self, cases):
        return {"listeners": {"web": {"address": "127.0.0.1:0"}},
                "services": {own_name(case): {
                    "discover": {"label": f"sluice.matrix.case={own_name(case)}"}, "port": 8080,
                    "routes": [{"host": f"{own_name(case)}.test"}], "healthcheck": {"http": {"path": "/healthz"}},
                    **({"network": "slm-front"} if case == "several networks" else {}),
                    "rollout": {"monitor": "10ms", "health_timeout": "60s", "drain": {"requests": "5s"},
                                "steps": [{"set_weight": 100}]}} for case in cases},
                "engine": {"host": self.docker.host}, "workers": 1}

    def roll(self, image):
        """Every service to this image; a service's outcome is its test's matter."""
        begun = {case: self.begin(case, image) for case in CASES}
        for case, rollout in begun.items():
            if "id" in rollout:
                self.sluice.wait_until(lambda: self.sluice.api("GET", f"/rollouts/{rollout['id']}")["phase"] == "ended", PATIENCE)
                rollout = self.sluice.api("GET", f"/rollouts/{rollout['id']}")
            self.rollouts.setdefault(case, []).append(rollout)

    def begin(self, case, image):
        try:
            return self.sluice.api("POST", f"/services/{own_name(case)}/rollouts", {"image": image, "force": ["memory"]})
        except ApiError as error:
            return {"outcome": "refused", "why": error.body}

    def look(self):
        found = self.docker.inspect(*(own_name(case) for case in CASES))
        return {case: inspect for case, inspect in zip(CASES, found)}

    def go(self):
        self.prepare()
        everything = [*CASES, *ALONE_ONLY]
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: self.make(case, own_name(case), "slm-demo:v1", True), everything))
        self.docker.wait_running([own_name(case) for case in everything])
        self.before = self.look()
        self.sluice = Sluice(self.folder, self.config(everything))
        for case in CASES:
            self.sluice.wait_until(lambda: self.sluice.service(own_name(case))["healthy"] == 1, PATIENCE)
        self.roll("slm-demo:v2")
        self.forward = self.look()
        self.roll("slm-demo:v1")
        self.back = self.look()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda case: self.make(case, f"{own_name(case)}-reference", "slm-demo:v2", False), CASES))
        self.reference = dict(zip(CASES, self.docker.inspect(*(f"{own_name(case)}-reference" for case in CASES))))


@pytest.fixture(scope="module")
def matrix(docker, tmp_path_factory):
    matrix = Matrix(docker, tmp_path_factory.mktemp("matrix"))
    try:
        matrix.go()
        yield matrix
    finally:
        if matrix.sluice:
            matrix.sluice.close()
            print("\n".join(line for line in matrix.sluice.log.all if "level=info" not in line))


def expected(inspect, case):
    """As `told`, with what tells the service's container from the reference taken out."""
    result = told(inspect)
    result["Config"]["Labels"].pop("sluice.matrix.case", None)
    if case == "network left":  # the mode still names the network that it was made on, and has left
        result["HostConfig"]["NetworkMode"] = "slm-back"
    return result


def kept_anonymous(before):
    return {mount["Destination"]: mount["Name"] for mount in before["Mounts"]
            if mount["Type"] == "volume" and ANONYMOUS.fullmatch(mount["Name"])}


def without_anonymous(result, kept):
    """Their names differ with every container that the client makes: they are looked at by `kept`."""
    for path in list(result["Mounts"]):
        if path in kept or ANONYMOUS.fullmatch(result["Mounts"][path]["source"] or ""):
            del result["Mounts"][path]
    return result


@pytest.mark.parametrize("case", CASES)
def test_forward_only_what_the_image_supplies_has_changed(matrix, case):
    assert matrix.rollouts[case][0]["outcome"] == "completed", matrix.rollouts[case][0]["why"]
    new, reference, before = matrix.forward[case], matrix.reference[case], matrix.before[case]
    kept = kept_anonymous(before)
    assert new["Id"] != before["Id"] and new["State"]["Running"]
    assert new["Image"] == reference["Image"]
    found = differences(without_anonymous(expected(reference, case), kept), without_anonymous(expected(new, case), kept))
    assert found == [], shlex.join(["docker", "run", *map(str, CASES[case][0])])
    assert kept.items() <= {mount["Destination"]: mount.get("Name") for mount in new["Mounts"]}.items(), "data stays"


@pytest.mark.parametrize("case", CASES)
def test_back_it_is_as_it_was(matrix, case):
    assert matrix.rollouts[case][1]["outcome"] == "completed", matrix.rollouts[case][1]["why"]
    old, back = expected(matrix.before[case], case), expected(matrix.back[case], case)
    # The volumes that only the other version had are kept too: their data is somebody's.
    back["Mounts"] = {path: mount for path, mount in back["Mounts"].items()
                      if path in old["Mounts"] or not ANONYMOUS.fullmatch(mount["source"] or "")}
    assert differences(old, back) == []
    assert matrix.back[case]["State"]["Running"]


@pytest.mark.parametrize("case", ALONE_ONLY)
def test_what_has_no_way_back_is_refused_with_the_reason(matrix, case):
    done = matrix.sluice.cli("rollout", own_name(case), "--image", "slm-demo:v2")
    assert done.returncode == 3, done
    assert ALONE_ONLY[case][2] in done.stderr
    assert matrix.docker.inspect(own_name(case))[0]["State"]["Running"]


def test_nothing_is_left_over(matrix):
    names = {name for name in matrix.docker("ps", "-a", "--format", "{{.Names}}").split()
             if not name.endswith("-reference")}
    assert names == {*map(own_name, [*CASES, *ALONE_ONLY]), *HELPERS, "slm-friend"}
