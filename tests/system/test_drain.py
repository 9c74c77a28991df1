"""Drains end to end: each class with its budget and its goodbye, what operators order, and who dies meanwhile."""
import http.client
import re
import signal
import socket
import struct
import threading

import pytest

from engine import LABEL
from shop import Shop, images, start_load  # noqa: F401 (fixtures)
from sluice import ApiError

NEVER = "1h"
CLASSES = ["requests", "uploads", "streams", "websockets", "tcp"]
UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: t\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def budgets(every=NEVER, **changes):
    return {**{name: every for name in CLASSES}, "close_spread": "0s", **changes}


def open_shop(engine, start_sluice, name, drain, environment=None, **options):
    """Health is asked patiently: here nothing is ill, however busy the machine."""
    check = {"http": {"path": "/healthz"}, "interval": "1s", "timeout": "1s", "retries": 3}
    return Shop(engine, name, **options).open(start_sluice, drain=drain, environment=environment,
                                              service={"healthcheck": check})


def connect(shop, data=b"", listener="web"):
    sock = socket.create_connection(shop.sluice.address(listener), timeout=60)
    sock.sendall(data)
    return sock


def read_until(sock, end):
    data = b""
    while end not in data:
        piece = sock.recv(4096)
        assert piece, data
        data += piece
    return data


def read_all(sock):
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def open_websocket(shop):
    sock = connect(shop, UPGRADE)
    assert b" 101 " in read_until(sock, b"\r\n\r\n")
    return sock


def active(shop):
    """By class, over all containers."""
    sums = {}
    for group in shop.sluice.service(shop.name)["groups"].values():
        for backend in group["backends"]:
            for kind, count in backend["active_by_kind"].items():
                sums[kind] = sums.get(kind, 0) + count
    return sums


def drains(shop):
    return shop.sluice.api("GET", f"/services/{shop.name}/drains")["drains"]


def wait_holds(shop, count):
    """Waits until so many are listed as holding the one drain; returns them and it."""
    def listed():
        found = drains(shop)
        return found[0] if found and len(found[0]["holds"]) == count else None
    drain = shop.sluice.wait_until(listed)
    return drain["holds"], drain


def order(shop, **body):
    return shop.sluice.api("POST", f"/services/{shop.name}/drains", body)["drains"]


def ends(rollout):
    """Of the old container's drain: the classes that had any exchange."""
    drain = next(each for each in rollout["drains"] if not each["new"])
    return {kind: counts for kind, counts in drain["ends"].items() if any(counts.values())}


def test_every_class_is_told_when_its_budget_is_over(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "goodbye", budgets("2s"))
    slow = connect(shop, b"GET /slow?ms=60000 HTTP/1.1\r\nHost: t\r\n\r\n")
    upload = connect(shop, b"POST /upload HTTP/1.1\r\nHost: t\r\nContent-Length: 1000\r\n\r\nhalf of it")
    stream = connect(shop, b"GET /stream?n=100&ms=60000 HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\n\r\n")
    read_until(stream, b"data: 0\n\n")
    websocket = open_websocket(shop)
    tcp = shop.hold_tcp()
    shop.sluice.wait_until(lambda: active(shop) == {"request": 1, "upload": 1, "stream": 1, "websocket": 1, "tcp": 1})
    shop.begin()
    holds, drain = wait_holds(shop, 5)
    assert {hold["kind"] for hold in holds} == set(drain["budgets"])
    assert next(hold for hold in holds if hold["kind"] == "upload")["bytes_left"] == 990
    assert all(hold["left_ms"] <= 2000 for hold in holds)
    assert re.match(rb"HTTP/1.1 503 ", read_until(slow, b"\r\n\r\n"))
    head = read_until(upload, b"\r\n\r\n")
    assert re.match(rb"HTTP/1.1 503 ", head) and b"connection: close\r\n" in head.lower()
    assert read_until(stream, b"0\r\n\r\n").endswith(b"0\r\n\r\n")  # a clean end: nothing is missing
    assert read_until(websocket, struct.pack("!BBH", 0x88, 2, 1001))
    websocket.sendall(bytes([0x88, 0x82, 1, 2, 3, 4, 0x03 ^ 1, 0xe9 ^ 2]))
    assert read_all(websocket) == b""
    assert read_all(tcp) == b""  # a FIN; a reset would raise
    tcp.close()
    state = shop.ends()
    assert ends(state) == {kind: {"finished": 0, "told": 1, "forced": 0}
                           for kind in ("request", "upload", "stream", "websocket", "tcp")}
    old = next(each for each in state["drains"] if not each["new"])
    assert old["forced"] and old["proof"] and old["drained"] <= old["stopped"]
    shop.closes_well()
    for sock in (slow, upload, stream, websocket):
        sock.close()


def test_who_finishes_in_time_is_counted_as_finished(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "finish", budgets())
    slow = connect(shop, b"GET /slow?ms=4000 HTTP/1.1\r\nHost: t\r\n\r\n")
    shop.sluice.wait_until(lambda: active(shop).get("request") == 1)
    shop.begin()
    wait_holds(shop, 1)
    assert b" 200 " in read_until(slow, b"\r\n\r\n")
    state = shop.ends()
    assert ends(state) == {"request": {"finished": 1, "told": 0, "forced": 0}}
    assert not next(each for each in state["drains"] if not each["new"])["forced"]
    slow.close()


def test_an_operator_ends_one_then_the_class(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "ends", budgets())
    held = [shop.hold_tcp() for _ in range(3)]
    websocket = open_websocket(shop)
    shop.begin()
    holds, _ = wait_holds(shop, 4)
    one = next(hold for hold in holds if hold["kind"] == "tcp")
    done = shop.sluice.cli("drain", shop.name, "--end", one["id"])
    assert done.returncode == 0, done.stderr
    port = int(one["client"].rsplit(":", 1)[1])
    its = next(sock for sock in held if sock.getsockname()[1] == port)
    assert read_all(its) == b""
    its.close()
    holds, _ = wait_holds(shop, 3)
    assert one["id"] not in [hold["id"] for hold in holds]
    assert shop.sluice.cli("drain", shop.name, "--end", one["id"]).returncode == 2  # not there any more
    done = shop.sluice.cli("drain", shop.name, "--end", "tcp")
    assert done.returncode == 0, done.stderr
    for sock in held:
        if sock is not its:
            assert read_all(sock) == b""
            sock.close()
    holds, drain = wait_holds(shop, 1)
    assert holds[0]["kind"] == "websocket" and holds[0]["ending"] == ""
    assert drain["budgets"]["tcp"]["ending"] and not drain["budgets"]["websocket"]["ending"]
    websocket.close()
    assert ends(shop.ends())["tcp"] == {"finished": 0, "told": 3, "forced": 0}
    assert "drain-class-ended" in [line["event"] for line in shop.state()["log"]]


def test_extensions_and_ended_classes_outlive_the_updater(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "extend", budgets(tcp="3s"))
    held = shop.hold_tcp()
    shop.begin()
    wait_holds(shop, 1)
    done = shop.sluice.cli("drain", shop.name, "--extend", f"tcp={NEVER}")
    assert done.returncode == 0, done.stderr
    shop.sluice.kill(shop.sluice.pid("updater"))
    drain = shop.sluice.wait_until(lambda: next((each for each in drains(shop) if each["waited_ms"] > 4500), None), 60)
    assert drain["budgets"]["tcp"]["extended_ms"] == 3600000 and drain["holds"][0]["ending"] == ""
    assert drain["holds"][0]["left_ms"] > 3500000
    held.sendall(b"still here\n")
    assert held.recv(100)
    order(shop, end_kind="tcp")
    shop.sluice.kill(shop.sluice.pid("updater"))
    assert read_all(held) == b""
    held.close()
    assert ends(shop.ends())["tcp"]["told"] == 1


def test_a_new_updater_gives_no_budget_once_more(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "again", budgets(tcp="8s"))
    held = shop.hold_tcp()
    closer = threading.Thread(target=lambda: (read_all(held), held.close()))
    closer.start()
    shop.begin()
    shop.sluice.wait_until(lambda: any(each["waited_ms"] > 6000 for each in drains(shop)), 60)
    shop.sluice.kill(shop.sluice.pid("updater"))
    closer.join(60)
    old = next(each for each in shop.ends()["drains"] if not each["new"])
    assert 8000 <= old["duration_ms"] < 13500, old  # and not 6 + 8


def test_orders_that_make_no_sense_are_refused(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "refuse", budgets())
    path = f"/services/{shop.name}/drains"
    for body, status in (({}, 400), ({"end": 5}, 400), ({"end": "x"}, 400), ({"end": "5"}, 404), ({"end_kind": "x"}, 400),
                         ({"end_kind": "tcp"}, 409), ({"extend": "5m"}, 409), ({"extend": "0s"}, 400),
                         ({"extend": {"x": "5m"}}, 400), ({"extend": {}}, 400), ({"end": "1", "extend": "5m"}, 400)):
        with pytest.raises(ApiError) as error:
            shop.sluice.api("POST", path, body)
        assert error.value.status == status, body


def test_on_timeout_wait_of_one_class_waits_for_it_alone(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "waits", budgets("0s", tcp={"timeout": "0s", "on_timeout": "wait"}))
    held, websocket = shop.hold_tcp(), open_websocket(shop)
    shop.begin()
    assert read_until(websocket, struct.pack("!BBH", 0x88, 2, 1001))
    websocket.close()
    shop.wait(lambda state: "past its budget (on_timeout: wait)" in state["waiting"])
    held.sendall(b"still here\n")
    assert held.recv(100)
    held.close()
    state = shop.ends()
    assert ends(state)["tcp"] == {"finished": 1, "told": 0, "forced": 0}


def test_on_timeout_fail_stops_nothing(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "fails", budgets("0s", tcp={"timeout": "1s", "on_timeout": "fail"}))
    held = shop.hold_tcp()
    shop.begin()
    state = shop.ends("needs_attention")
    assert "on_timeout: fail" in state["why"] and "1 TCP connection" in state["why"]
    assert engine.inspect(shop.ids[0])["State"]["Running"]
    held.sendall(b"still here\n")
    assert held.recv(100)
    held.close()


def test_ends_of_a_class_are_spread(engine, images, start_sluice):
    """Order and count, not the clock: while the last ones have their turn still, the first are gone."""
    shop = open_shop(engine, start_sluice, "spread", budgets(websockets="0s", close_spread="6s"))
    sockets = [open_websocket(shop) for _ in range(6)]
    shop.begin()
    seen = shop.sluice.wait_until(lambda: next(
        ([hold["ending"] for hold in each["holds"]] for each in drains(shop) if 0 < len(each["holds"]) < 6), None), 60)
    assert "soon" in seen
    for sock in sockets:
        assert read_until(sock, struct.pack("!BBH", 0x88, 2, 1001))
        sock.close()
    state = shop.ends()
    assert ends(state)["websocket"]["forced"] + ends(state)["websocket"]["told"] == 6


# --- FAULTS ----------------------------------------------------------------------------------------


def test_fault_31_the_address_goes_to_a_stranger_right_after_the_stop(engine, images, start_sluice):
    network = "slt-address"
    engine.call("POST", "/networks/create", {"Name": network, "Labels": {LABEL: "1"},
                                             "IPAM": {"Config": [{"Subnet": "10.213.7.0/24"}]}})
    shop = open_shop(engine, start_sluice, "address", budgets(), replicas=2,
                     settings={"HostConfig": {"NetworkMode": network}})
    address = engine.inspect(shop.ids[0])["NetworkSettings"]["Networks"][network]["IPAddress"]
    done, versions = threading.Event(), set()

    def ask():  # over kept connections, so that pools are full of both
        connection = http.client.HTTPConnection(*shop.sluice.address("web"), timeout=30)
        while not done.is_set():
            connection.request("GET", "/")
            answer = connection.getresponse()
            versions.add((answer.status, answer.headers["X-Version"]))
            answer.read()

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    engine.stop(shop.ids[0], 0)
    engine.run("slt-address-stranger", "slt-demo:v2", HostConfig={"NetworkMode": network},
               NetworkingConfig={"EndpointsConfig": {network: {"IPAMConfig": {"IPv4Address": address}}}})
    shop.sluice.wait_healthy(shop.name, 1)
    for _ in range(100):
        assert shop.sluice.get()[1]["X-Version"] == "v1"
    done.set()
    for asker in askers:
        asker.join(30)
    assert (200, "v1") in versions and not any(version == "v2" for _, version in versions)


def test_fault_36_removed_by_someone_else_in_mid_drain(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "stranger", budgets())
    held = shop.hold_tcp()
    shop.begin()
    wait_holds(shop, 1)
    engine.remove(shop.ids[0])
    read_all_or_reset(held)
    held.close()
    shop.ends()
    shop.closes_well()


def read_all_or_reset(sock):
    """Whether it ended in order."""
    try:
        return read_all(sock) == b""
    except ConnectionError:
        return False


def test_worker_dies_in_mid_drain(engine, images, start_sluice):
    shop = open_shop(engine, start_sluice, "worker", budgets())
    held = shop.hold_tcp()
    shop.begin()
    wait_holds(shop, 1)
    shop.sluice.kill(shop.sluice.worker_pids()[0])
    read_all_or_reset(held)
    held.close()
    state = shop.ends()
    old = next(each for each in state["drains"] if not each["new"])
    # The rows that lived: none, where the updater looked before the next worker was there.
    assert old["drained"] and not old["forced"] and all(row["active"] == 0 for row in old["proof"])
    shop.closes_well()


@pytest.mark.parametrize("settings, exit_code", [
    ({"StopSignal": "SIGUSR1", "StopTimeout": 1}, 137),  # 43: whoever ignores its signal is killed after its grace
    ({"StopSignal": "SIGTERM"}, 0)])
def test_fault_43_and_44_stop_by_the_containers_own_signal_and_grace(engine, images, start_sluice, settings, exit_code):
    shop = open_shop(engine, start_sluice, f"stop{exit_code}", budgets(), settings=settings)
    events = engine_deaths(engine, shop.ids[0])
    shop.begin()
    shop.ends()
    died = events()
    assert died["signals"][0] == str(int(getattr(signal, settings["StopSignal"])))
    assert died["exit_code"] == str(exit_code)
    shop.closes_well()


def engine_deaths(engine, container):
    """A function that tells by which signals it was killed and how it exited, by the engine's events."""
    import json
    import time
    since = int(time.time()) - 1

    def look():
        path = "/events"
        query = {"since": str(since), "until": str(int(time.time()) + 1),
                 "filters": json.dumps({"container": [container], "event": ["kill", "die"]})}
        found = engine.call("GET", path, query=query)[1]
        lines = found if isinstance(found, list) else [json.loads(line) for line in str(found).splitlines() if line]
        attributes = [(line["Action"], line["Actor"]["Attributes"]) for line in lines]
        return {"signals": [a["signal"] for action, a in attributes if action == "kill"],
                "exit_code": next(a["exitCode"] for action, a in attributes if action == "die")}

    return look
