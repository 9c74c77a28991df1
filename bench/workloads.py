"""Every row of the bench: the load, who is measured under it, and what it has to reach."""
import dataclasses
import functools
import http.client
import statistics

import loads
from figures import Goal, quantile
from processes import cpu_us, fail, pss_bytes

FLOORS = ("floor-epoll", "floor-libev")
PEERS = ("nginx", "haproxy")
ALL = (*FLOORS, *PEERS, "sluice")
PROXIES = (*PEERS, "sluice")
# Idle connections are measured between so many and so many, so that what is there anyway does not count.
IDLE_PLAIN, IDLE_TLS = (500, 4500), (250, 2250)
RATE = 4000
CHANGES = 300  # of weight
SERVICE_WEIGHTED = 1  # in bench/peers/sluice.json


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    port: str
    load: callable  # (port, seconds) -> what the client saw
    goals: tuple
    subjects: tuple = ALL
    measure: str = "per_request"


def wrk(path, connections, **options):
    return functools.partial(_wrk, path=path, connections=connections, **options)


def _wrk(port, seconds, **options):
    return loads.wrk(port, seconds, **options)


def as_a_user(port, seconds):
    """Keep-alive load of one user, who has his cookie where there is one."""
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    asked.request("GET", "/100", headers={"Host": "weighted.example"})
    answer = asked.getresponse()
    answer.read()
    asked.close()
    cookie = (answer.getheader("Set-Cookie") or "bench=none").partition(";")[0]
    return loads.wrk(port, seconds, "/100", 64, host="weighted.example", cookie=cookie)


def fixed_rate(port, seconds):
    """Longer than the others: h2load asks on all connections at once, so when the machine stands still for 5 ms all sixteen
    are slow, which is a thousandth of 4 s."""
    return loads.fixed_rate(port, 4 * seconds, "/100", 16, RATE)


def handshakes(kind):
    return lambda port, seconds: loads.handshakes(port, seconds, kind)


def weighted(port, seconds):
    return loads.wrk(port, seconds, "/100", 64, host="weighted.example")


WORKLOADS = (
    Workload("HTTP/1.1 keep-alive, 100 B, 64 connections", "http", wrk("/100", 64),
             (Goal("cpu_us", 0.85), Goal("cpu_us", 1.15, "floor-libev"))),
    Workload("HTTP/1.1 keep-alive, 100 B, 4 connections", "http", wrk("/100", 4), (Goal("cpu_us", 0.9), Goal("p99_us", 1.0))),
    Workload("HTTP/1.1, a connection per request, 100 B", "http", wrk("/100", 64, close=True), (Goal("cpu_us", 0.9),)),
    Workload("HTTP/1.1 keep-alive, 10 KiB", "http", wrk("/10k", 64), (Goal("cpu_us", 0.9),)),
    Workload("HTTP/1.1 keep-alive, 1 MiB", "http", wrk("/1m", 16), (Goal("cpu_us", 0.95),)),
    Workload("TCP, 100 B", "tcp", wrk("/100", 64), (Goal("cpu_us", 1.0),)),
    Workload("TCP, 1 MiB", "tcp", wrk("/1m", 16), (Goal("cpu_us", 0.95),)),
    Workload("TLS 1.3 keep-alive, 100 B", "tls", wrk("/100", 64, tls=True), (Goal("cpu_us", 0.9),), PROXIES),
    Workload("TLS 1.3 full handshake, ECDSA P-256", "tls", handshakes("full"), (Goal("cpu_us", 1.0),), PROXIES),
    Workload("TLS 1.3 resumed", "tls", handshakes("resumed"), (Goal("cpu_us", 1.0),), PROXIES),
    Workload("8 backends, weighted", "weighted", weighted, (Goal("cpu_us", 0.85),), PROXIES),
    Workload("idle keep-alive connection", "http", None, (Goal("bytes_each", 512, ""),), PROXIES, "idle"),
    Workload("idle TLS connection", "tls", None, (Goal("bytes_each", 8192, ""),), PROXIES, "idle"),
    Workload("4,000 requests a second, fixed", "http", fixed_rate, (Goal("p99_us", 1.0), Goal("p999_us", 1.0)), PROXIES),
    Workload("two workers", "http", wrk("/100", 64), (Goal("cpu_us", 1.05, "sluice", "sluice-two"),), ("sluice", "sluice-two")),
    Workload("4,096 backends and 256 services", "http", wrk("/100", 64, host="s0.example"),
             (Goal("cpu_us", 1.10, "sluice", "sluice-many"),), ("sluice", "sluice-many")),
    Workload("the same, all of them asked", "http", wrk("/100", 64, services=256), (), ("sluice", "sluice-many")),
    Workload("accounting, split and stickiness", "weighted", as_a_user, (Goal("cpu_us", 1.03, "sluice-bare", "sluice-sticky"),),
             ("sluice-bare", "sluice-sticky")),
    Workload("a weight change reaches two workers", "http", None, (Goal("reach_p99_us", 1000, "", "sluice-workers"),),
             ("sluice-workers",), "weight_change"),
    Workload("the same under load", "http", wrk("/100", 16), (), ("sluice-workers",), "weight_change"),
)


def per_request(server, workload, seconds):
    before = cpu_us(server.pid)
    seen = workload.load(server.ports[workload.port], seconds)
    used = cpu_us(server.pid) - before
    if seen["requests"] == 0:
        fail(f"{workload.name}: {server.name} answered nothing; its log: {server.log.read_text()[-2000:]}")
    return {**seen, "cpu_us": used / seen["requests"], "pss_bytes": pss_bytes(server.pid)}


def idle(server, workload, _seconds):
    tls = workload.port == "tls"
    few, many = IDLE_TLS if tls else IDLE_PLAIN
    connections = loads.Idle(server.ports[workload.port], tls)
    try:
        connections.grow(few)
        before = loads.settle(lambda: pss_bytes(server.pid))
        connections.grow(many)
        after = loads.settle(lambda: pss_bytes(server.pid))
    finally:
        connections.close()
    return {"bytes_each": (after - before) / (many - few), "pss_bytes": after, "failed": 0}


def weight_change(server, workload, seconds):
    """Published one after the other; each counts from the publication to the last worker's acknowledgement."""
    def change():
        times = sorted(server.ask(f"weight {SERVICE_WEIGHTED} {i}")["us"] for i in range(CHANGES))
        return {"reach_p50_us": statistics.median(times), "reach_p99_us": quantile(times, 0.99), "reach_max_us": times[-1], "failed": 0}

    if workload.load is None:
        return change()
    with loads.beside(workload.load, server.ports[workload.port], seconds):
        return change()


MEASURES = {"per_request": per_request, "idle": idle, "weight_change": weight_change}


def measure(server, workload, seconds):
    return MEASURES[workload.measure](server, workload, seconds)
