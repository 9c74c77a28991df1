"""`defer_accept`: a connection is the worker's from its first byte on."""
import pytest

from harness import web


@pytest.fixture(params=[True, False], ids=["deferred", "at-once"])
def deferred(request):
    return request.param


def open_bench(world, deferred, **more):
    listener = {"address": "127.0.0.1:0", "defer_accept": deferred}
    return world.bench(web(world.backend(), listeners={"web": listener}, **more))


def accepted(bench):
    return bench.scores()["rows"][0]["accepted"]


def test_a_silent_connection_stays_the_kernels_until_it_speaks(world, deferred):
    bench = open_bench(world, deferred)
    silent = world.client(bench)
    assert world.client(bench).get().body == b"a"  # it came after the silent one, and was answered
    assert accepted(bench) == (1 if deferred else 2)
    assert silent.get().body == b"a"
    assert accepted(bench) == 2


def test_a_silent_one_takes_no_place_from_those_who_speak(world):
    bench = open_bench(world, True, limits={"connections": 3})
    silent = [world.client(bench) for _ in range(10)]
    for _ in range(3):
        assert world.client(bench).get().body == b"a"
    assert bench.scores()["rows"][0]["refused"]["shed"] == 0
    for client in silent:  # these make room for each other, as idle ones do
        assert client.get().body == b"a"


def test_one_that_stays_silent_is_handed_over_after_the_header_timeout(world):
    bench = open_bench(world, True, timeouts={"header": "1s", "idle": "300ms"})
    silent = world.client(bench)
    assert silent.is_closed()  # as an idle one, so it was accepted
    assert accepted(bench) == 1


@pytest.mark.parametrize("first", [1, 20, 37])
def test_a_head_in_pieces_is_put_together(world, deferred, first):
    bench = open_bench(world, deferred)
    head = b"GET /pieces HTTP/1.1\r\nHost: t\r\n\r\n"
    client = world.client(bench)
    client.send(head[:first])
    bench.until(lambda s: s["rows"][0]["accepted"] == 1)
    if head[first:]:
        client.send(head[first:])
    assert client.answer().body == b"a"


def test_a_client_that_leaves_without_a_word_leaves_nothing(world, deferred):
    bench = open_bench(world, deferred)
    for _ in range(20):
        world.client(bench).close()
    assert world.client(bench).get().body == b"a"
    bench.until(lambda s: s["rows"][0]["clients"] == 1)
