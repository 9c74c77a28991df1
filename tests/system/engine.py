"""The Docker Engine that a test run has to itself, spoken to directly (no docker command)."""
import io
import json
import tarfile
import urllib.parse

from sluice import UnixConnection

LABEL = "sluice.test"
VERSION = "/v1.41"


class EngineError(AssertionError):
    def __init__(self, status, message):
        super().__init__(f"{status}: {message}")
        self.status = status


class Engine:
    def __init__(self, host):
        assert host.startswith("unix://"), f"SLUICE_TEST_ENGINE is no Unix socket: {host}"
        self.host = host
        self.path = host[len("unix://"):]

    def call(self, method, path, body=None, query=None, headers=None):
        """(status, parsed JSON or text); EngineError from 400 on."""
        connection = UnixConnection(self.path, timeout=120)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        try:
            connection.request(method, VERSION + path, body, headers)
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        finally:
            connection.close()
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if answer.status >= 400:
            raise EngineError(answer.status, value.get("message", value) if isinstance(value, dict) else value)
        return answer.status, value

    # --- images ----------------------------------------------------------------------------------

    def build(self, tag, dockerfile, files):
        """Builds an image from `files` ({name: bytes}, all executable) without any registry."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for name, data in {"Dockerfile": dockerfile.encode(), **files}.items():
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(data), 0o755
                tar.addfile(entry, io.BytesIO(data))
        _, output = self.call("POST", "/build", context.getvalue(),
                              {"t": tag, "rm": "1", "forcerm": "1", "labels": json.dumps({LABEL: "1"})},
                              {"Content-Type": "application/x-tar"})
        output = output if isinstance(output, str) else json.dumps(output)
        assert '"error"' not in output, output
        return self.image(tag)["Id"]

    def image(self, name):
        return self.call("GET", f"/images/{urllib.parse.quote(name)}/json")[1]

    def remove_image(self, name):
        self._remove(f"/images/{urllib.parse.quote(name)}?force=1")

    # --- containers ------------------------------------------------------------------------------

    def create(self, name, image, **settings):
        """Settings as in the API's container create: Env=..., Labels=..., HostConfig=..."""
        labels = {**settings.pop("Labels", {}), LABEL: "1"}
        return self.call("POST", "/containers/create", {"Image": image, "Labels": labels, **settings},
                         {"name": name})[1]["Id"]

    def start(self, container):
        self.call("POST", f"/containers/{container}/start")

    def run(self, name, image, **settings):
        container = self.create(name, image, **settings)
        self.start(container)
        return container

    def inspect(self, container):
        return self.call("GET", f"/containers/{container}/json")[1]

    def stop(self, container, grace=1):
        self.call("POST", f"/containers/{container}/stop", query={"t": grace})

    def remove(self, container):
        self._remove(f"/containers/{container}?force=1&v=1")

    def containers(self, label=None):
        """All, running or not, with this label ("name" or "name=value")."""
        filters = {"label": [label]} if label else {}
        return self.call("GET", "/containers/json", query={"all": "1", "filters": json.dumps(filters)})[1]

    # --- networks, volumes -----------------------------------------------------------------------

    def create_network(self, name):
        return self.call("POST", "/networks/create", {"Name": name, "Labels": {LABEL: "1"}})[1]["Id"]

    def create_volume(self, name):
        return self.call("POST", "/volumes/create", {"Name": name, "Labels": {LABEL: "1"}})[1]["Name"]

    def networks(self):
        return self.call("GET", "/networks")[1]

    def volumes(self):
        return self.call("GET", "/volumes")[1]["Volumes"] or []

    # --- the whole of it -------------------------------------------------------------------------

    def snapshot(self):
        """What there is, for a comparison of before and after."""
        return {
            "containers": {container["Id"]: (sorted(container["Names"]), container["State"])
                           for container in self.containers()},
            "networks": {network["Id"]: network["Name"] for network in self.networks()},
            "volumes": sorted(volume["Name"] for volume in self.volumes()),
            "images": {image["Id"]: sorted(image["RepoTags"] or [])
                       for image in self.call("GET", "/images/json")[1]},
        }

    def clean_up(self):
        """Removes all that bears the tests' label or stems from it; images stay for the next test."""
        for container in self.containers(LABEL):
            self.remove(container["Id"])
        filters = {"filters": json.dumps({"label": [LABEL]})}
        for network in self.call("GET", "/networks", query=filters)[1]:
            self._remove(f"/networks/{network['Id']}")
        for volume in self.call("GET", "/volumes", query=filters)[1]["Volumes"] or []:
            self._remove(f"/volumes/{volume['Name']}?force=1")

    def clean_up_images(self):
        for image in self.call("GET", "/images/json", query={"filters": json.dumps({"label": [LABEL]})})[1]:
            self.remove_image(image["Id"])

    def _remove(self, path):
        try:
            self.call("DELETE", path)
        except EngineError as error:
            if error.status not in (404, 409):  # gone, or being removed
                raise
