"""What the matrix goes through: options of `docker run`, and what follows the image. Names of NETWORKS, VOLUMES and
HELPERS stand for themselves; FOLDER is a folder on the host, DEVICE a disk of it, SECCOMP a profile."""

import os

# Two of them for us, apart from those of another run that left its bridge behind.
SUBNETS = [f"10.98.{os.getpid() % 120 * 2 + i}" for i in range(2)]
ADDRESS = f"{SUBNETS[0]}.77"

# Two versions that differ in every default that an image can have.
IMAGES = {"slm-demo:v1": """\
FROM scratch
COPY sluice-demo /sluice-demo
ENV VERSION=v1 SAME=same CHANGED=one GONE=one
LABEL sluice.matrix=image only.one=1 same=same changed=one
WORKDIR /one
USER 1:1
EXPOSE 8080 9000 7001/udp
VOLUME /image-data /image-one
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=20m --retries=7 CMD ["/sluice-demo", "check"]
CMD ["/sluice-demo", "LOG_ENDS=0"]
""", "slm-demo:v2": """\
FROM scratch
COPY sluice-demo /sluice-demo
ENV VERSION=v2 SAME=same CHANGED=two COME=two
LABEL sluice.matrix=image only.two=2 same=same changed=two
WORKDIR /two
USER 2:2
EXPOSE 8080 9000 7002
VOLUME /image-data /image-two
STOPSIGNAL SIGINT
HEALTHCHECK --interval=30m --timeout=2s CMD ["/sluice-demo", "check"]
CMD ["/sluice-demo", "LOG_ENDS=1"]
"""}

NETWORKS = ("slm-front", "slm-back")
VOLUMES = ("slm-data",)
HELPERS = {"slm-helper": ["--ipc", "shareable", "-v", "/helper-data", "-v", "slm-data:/shared:ro"]}

# Each alone: name -> (options, what comes after the image)
ALONE = {
    "nothing": ([], []),
    "environment": (["-e", "X=1", "-e", "EMPTY=", "-e", "LINES=a\nb", "-e", "UNICODE=häß€", "-e", "QUOTE=\"'\\"], []),
    "environment of the image": (["-e", "CHANGED=mine", "-e", "GONE=mine", "-e", "COME=two"], []),
    "published on a random port": (["-p", "127.0.0.1::8080"], []),
    "published on random ports, UDP too": (["-p", "8080", "-p", "7001/udp", "-p", "9999"], []),
    "published on a range": (["-p", "127.0.0.1:21700-21790:8080"], []),
    "all published": (["-P"], []),
    "exposed": (["--expose", "8081", "--expose", "8082/udp"], []),
    "bind": (["-v", "FOLDER:/bound", "-v", "FOLDER:/read:ro", "-v", "FOLDER:/private:rprivate,ro"], []),
    "mount of a folder": (["--mount", "type=bind,src=FOLDER,dst=/bound,bind-propagation=rprivate,readonly"], []),
    "named volume": (["-v", "slm-data:/data", "-v", "slm-data:/read:ro,nocopy"], []),
    "mount of a volume": (["--mount", "type=volume,src=slm-data,dst=/data,volume-nocopy=true"], []),
    "anonymous volumes": (["-v", "/data", "-v", "/more"], []),
    "anonymous mount": (["--mount", "type=volume,dst=/data,volume-label=sluice.matrix=1"], []),
    "volume over the image's": (["-v", "slm-data:/image-data"], []),
    "volumes of another": (["--volumes-from", "slm-helper:ro"], []),
    "tmpfs": (["--tmpfs", "/scratch:size=64k,mode=1777", "--tmpfs", "/plain"], []),
    "mount of a tmpfs": (["--mount", "type=tmpfs,dst=/scratch,tmpfs-size=65536,tmpfs-mode=0700"], []),
    "network with aliases": (["--network", "slm-front", "--network-alias", "web", "--network-alias", "shop"], []),
    "memory": (["-m", "64m", "--memory-swap", "128m", "--memory-reservation", "32m", "--memory-swappiness", "7"], []),
    "memory, swap filled in": (["-m", "64m"], []),
    "no swap limit": (["-m", "64m", "--memory-swap", "-1"], []),
    "never killed for memory": (["-m", "64m", "--oom-kill-disable", "--oom-score-adj", "100"], []),
    "cpus": (["--cpus", "0.5"], []),
    "cpu quota": (["--cpu-quota", "40000", "--cpu-period", "80000", "--cpu-shares", "512"], []),
    "cpuset": (["--cpuset-cpus", "0", "--cpuset-mems", "0"], []),
    "pids": (["--pids-limit", "100"], []),
    "ulimits": (["--ulimit", "nofile=256:512", "--ulimit", "core=0"], []),
    "devices": (["--device", "/dev/null:/dev/nothing:rw", "--device-cgroup-rule", "c 1:3 rwm"], []),
    "device throttle": (["--device-read-bps", "DEVICE:1mb", "--device-write-iops", "DEVICE:1000"], []),
    "gpus": (["--gpus", "all"], []),
    "gpus with capabilities": (["--gpus", 'all,"capabilities=compute,utility"'], []),
    "capabilities": (["--cap-add", "NET_ADMIN", "--cap-drop", "CHOWN", "--cap-drop", "MKNOD"], []),
    "no capability": (["--cap-drop", "ALL"], []),
    "security options": (["--security-opt", "no-new-privileges", "--security-opt", "seccomp=unconfined"], []),
    "seccomp profile": (["--security-opt", "seccomp=SECCOMP"], []),
    "system paths open": (["--security-opt", "systempaths=unconfined"], []),
    "privileged": (["--privileged"], []),
    "read-only": (["--read-only"], []),
    "logging": (["--log-driver", "json-file", "--log-opt", "max-size=1m", "--log-opt", "max-file=2", "--log-opt", "tag={{.Name}}"], []),
    "no logging": (["--log-driver", "none"], []),
    "restart always": (["--restart", "always"], []),
    "restart on failure": (["--restart", "on-failure:3"], []),
    "restart unless stopped": (["--restart", "unless-stopped"], []),
    "own healthcheck": (["--health-cmd", "/sluice-demo check", "--health-interval", "50m", "--health-timeout", "2s",
                         "--health-start-period", "1s", "--health-retries", "4"], []),
    "the image's healthcheck, other interval": (["--health-interval", "9m"], []),
    "no healthcheck": (["--no-healthcheck"], []),
    "labels": (["-l", "mine=1", "-l", "changed=mine", "-l", "quote\"/..=ü", "-l", "empty="], []),
    "user": (["-u", "7:8", "--group-add", "9", "--group-add", "10"], []),
    "root": (["-u", "0"], []),
    "folder": (["-w", "/mine"], []),
    "command": ([], ["/sluice-demo", "LOG_ENDS=1", ""]),
    "entrypoint": (["--entrypoint", "/sluice-demo"], ["LOG_ENDS=1"]),
    "entrypoint without a command": (["--entrypoint", "/sluice-demo"], []),
    "entrypoint taken away": (["--entrypoint", ""], ["/sluice-demo", "HEALTH=ok"]),
    "hosts": (["--add-host", "db:10.0.0.1", "--add-host", "me:host-gateway"], []),
    "dns": (["--dns", "10.0.0.53", "--dns-search", "example.test", "--dns-option", "ndots:2"], []),
    "init": (["--init"], []),
    "no init": (["--init=false"], []),
    "sysctls": (["--sysctl", "net.ipv4.ip_forward=1", "--sysctl", "net.core.somaxconn=256"], []),
    "stop": (["--stop-signal", "SIGQUIT", "--stop-timeout", "3"], []),
    "shm": (["--shm-size", "1m"], []),
    "runtime": (["--runtime", "io.containerd.runc.v2"], []),
    "pid of the host": (["--pid", "host"], []),
    "pid of another": (["--pid", "container:slm-helper"], []),
    "ipc of the host": (["--ipc", "host"], []),
    "ipc of another": (["--ipc", "container:slm-helper"], []),
    "ipc shareable": (["--ipc", "shareable"], []),
    "uts of the host": (["--uts", "host"], []),
    "cgroup namespace": (["--cgroupns", "private"], []),
    "cgroup parent": (["--cgroup-parent", "/slm"], []),
    "links": (["--link", "slm-helper:database"], []),
    "links on a network": (["--network", "slm-front", "--link", "slm-friend:database"], []),
    "names": (["-h", "mine", "--domainname", "example.test"], []),
    "terminal": (["-t", "-i"], []),
    "block weight": (["--blkio-weight", "300"], []),
    "api: null and empty": ({"Cmd": [], "Entrypoint": None, "HostConfig": {"CapAdd": [], "Binds": None, "Init": None}}, []),
    "api: arrays": ({"Entrypoint": ["/sluice-demo"], "Cmd": ["", "two words", "LOG_ENDS=0"], "Shell": ["/bin/none", "-c"]}, []),
    "api: annotations of a network": ({"HostConfig": {"NetworkMode": "slm-front"}, "NetworkingConfig": {"EndpointsConfig": {
        "slm-front": {"Aliases": ["api"], "DriverOpts": {"example.option": "1"}}}}}, []),
    # These cannot be there twice: the old one makes room first.
    "fixed port": (["-p", "127.0.0.1:21655:8080"], []),
    "static address": (["--network", "slm-front", "--ip", ADDRESS], []),
    "api: large numbers": ({"HostConfig": {"Memory": 1024000000000000, "KernelMemoryTCP": 0}}, []),
    "api: ports without a host": ({"ExposedPorts": {"8080/tcp": {}}, "HostConfig": {"PortBindings": {
        "8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": ""}, {"HostIp": "127.0.0.1", "HostPort": "0"}]}}}, []),
}

# What is done to it after it was made.
AFTER = {
    "several networks": (["--network", "slm-front", "--network-alias", "web"], [],
                         ["network", "connect", "--alias", "behind", "slm-back", "SELF"]),
    "network left": (["--network", "slm-front"], [],
                     ["network", "connect", "slm-back", "SELF"], ["network", "disconnect", "slm-front", "SELF"]),
    "updated": (["-m", "64m"], [], ["update", "--memory", "96m", "--memory-swap", "192m", "--cpus", "0.7",
                                    "--restart", "on-failure:2", "SELF"]),
}

# What a service of a shop might be told, all at once.
MIXED = {
    "mixed: hardened": (["--read-only", "--tmpfs", "/tmp:size=1m", "--cap-drop", "ALL", "--cap-add", "NET_BIND_SERVICE",
                         "--security-opt", "no-new-privileges", "-u", "1000:1000", "--pids-limit", "64", "-m", "64m",
                         "--cpus", "0.5", "--ulimit", "nofile=512:512", "--init", "--restart", "unless-stopped"], []),
    "mixed: stateful": (["-v", "slm-data:/data", "-v", "/cache", "-v", "FOLDER:/config:ro", "--network", "slm-back",
                         "--network-alias", "db", "-e", "MODE=primary", "-e", "CHANGED=mine", "--stop-timeout", "20",
                         "--stop-signal", "SIGINT", "--shm-size", "2m", "-l", "changed=mine", "-h", "db-1",
                         "--log-opt", "max-size=2m"], ["/sluice-demo", "LOG_ENDS=1"]),
    "mixed: public": (["-p", "127.0.0.1::8080", "-p", "127.0.0.1::9000", "--expose", "8500", "--network", "slm-front",
                       "--dns", "10.0.0.53", "--add-host", "api:10.9.9.9", "--sysctl", "net.core.somaxconn=512",
                       "--health-cmd", "/sluice-demo check", "--health-interval", "25m", "-w", "/srv",
                       "--entrypoint", "/sluice-demo", "-e", "A=b"], ["LOG_ENDS=0"]),
    "mixed: near the host": (["--privileged", "--pid", "host", "--ipc", "host", "--uts", "host", "--gpus", "all",
                              "--device", "/dev/null:/dev/nothing", "--oom-score-adj", "500", "-v", "/dev:/host-dev:ro",
                              "--cgroupns", "host", "--no-healthcheck", "-t"], []),
}

# Refused, with this word in the reason: there would be no way back.
ALONE_ONLY = {
    "removed when it stops": (["--rm"], [], "--rm"),
}
