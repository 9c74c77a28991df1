"""HTTP/1.1 with no room for two readings: raw bytes through the real worker, judged by what a
recording backend received and by what the client got."""

import contextlib
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "proxy"))

import backend_cases
import request_cases
from harness import Bench
from recorder import Cut, Malformed, Recorder, converse, split_answers

PIECES_MAX = 2000  # longer ones are not sent byte by byte


def serve(**config):
    recorder = Recorder()
    bench = Bench({"listeners": {"web": {"address": "127.0.0.1:0"}},
                   "services": {"web": {"backends": [recorder.address]}}, **config})
    yield bench.port, recorder
    bench.close()  # holds that the worker ended well
    recorder.close()


@pytest.fixture(scope="module")
def world():
    yield from serve()


@pytest.fixture(scope="module")
def behind_a_proxy():
    yield from serve(trusted_proxies=["127.0.0.0/8"])


def named(cases):
    assert len({case[0] for case in cases}) == len(cases)
    assert all(case[1].split(" ")[0] in ("RFC", "W3C") for case in cases)
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


def ways(cases):
    """Each case in one write and byte by byte: the outcome is the same."""
    return [pytest.param(*case[1:], pieces, id=case[0] + ("-pieces" if pieces else ""))
            for case in cases for pieces in (False, True)
            if not pieces or len(case[2]) <= PIECES_MAX]


def still_served(port, recorder):
    """Nothing of the case is left in anybody's way: no pooled connection with rests on it."""
    recorder.clear()
    answers = split_answers(converse(port, b"GET /after HTTP/1.1\r\nHost: h\r\n\r\n"), ["GET"])
    assert [(a.status, a.body) for a in answers] == [(200, b"ok")]
    assert [r.target for r in recorder.requests] == [b"/after"]
    assert recorder.faults == []


@pytest.mark.parametrize("rule,text,expected,pieces", ways(request_cases.CASES))
def test_request(world, rule, text, expected, pieces):
    port, recorder = world
    recorder.clear()
    got = converse(port, text, pieces)
    reached = [(r.method.decode(), r.target.decode(), r.body) for r in recorder.requests]
    assert recorder.faults == [], rule
    if isinstance(expected, int):
        answers = split_answers(got, ["GET"])
        assert [a.status for a in answers] == [expected], rule
        assert answers[0].values(b"connection") == [b"close"], rule
        assert reached == [], rule
    else:
        answers = split_answers(got, [method for method, _, _ in expected])
        assert reached == expected, rule
        assert [a.status for a in answers] == [200] * len(expected), rule
    still_served(port, recorder)


def is_like(value, expected):
    return expected.fullmatch(value) if isinstance(expected, re.Pattern) else value == expected


def judge_head(world, rule, fields, present, absent):
    port, recorder = world
    recorder.clear()
    got = converse(port, b"GET / HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n")
    assert len(recorder.requests) == 1 and recorder.faults == [], rule
    request, = recorder.requests
    for name, expected in present.items():
        values = request.values(name)
        assert len(values) == len(expected) and all(map(is_like, values, expected)), (rule, values)
    for name in absent:
        assert request.values(name) == [], rule
    answer, = split_answers(got, ["GET"])
    assert answer.values(b"x-request-id") == request.values(b"x-request-id"), rule


@pytest.mark.parametrize("rule,fields,present,absent", named(request_cases.HEADS))
def test_head_of_request(world, rule, fields, present, absent):
    judge_head(world, rule, fields, present, absent)


@pytest.mark.parametrize("rule,fields,present,absent", named(request_cases.TRUSTED_HEADS))
def test_head_from_a_trusted_proxy(behind_a_proxy, rule, fields, present, absent):
    judge_head(behind_a_proxy, rule, fields, present, absent)


def test_error_of_the_proxy_tells_the_request_id(world):
    """RFC 9110 7.6"""
    port, recorder = world
    recorder.clear()
    recorder.answers[b"/case"] = b"nonsense"
    answer, = split_answers(converse(port, b"GET /case HTTP/1.1\r\nHost: h\r\n\r\n"), ["GET"])
    assert answer.status == 502
    assert answer.values(b"x-request-id") == recorder.requests[0].values(b"x-request-id")


def test_options_without_forwards_left_are_answered_here(world):
    """RFC 9110 7.6.2"""
    port, recorder = world
    recorder.clear()
    options = b"OPTIONS * HTTP/1.1\r\nHost: h\r\nMax-Forwards: %d\r\n\r\n"
    first, second = split_answers(converse(port, options % 0 + options % 7), ["OPTIONS"] * 2)
    assert [first.status, second.status] == [200, 200] and b"OPTIONS" in first.values(b"allow")[0]
    assert [r.values(b"max-forwards") for r in recorder.requests] == [[b"6"]]


@pytest.mark.parametrize("target", [b"/a/../b", b"/a/%2e%2E/b", b"/a/..%2fb", b"/a/..;x/b", b"/./b"])
def test_dot_segments_are_refused_where_paths_decide(target):
    """RFC 3986 6.2.2.3: only one reading of where it leads"""
    recorder = Recorder()
    web = {"backends": [recorder.address]}
    with contextlib.closing(recorder), contextlib.closing(Bench({
            "listeners": {"web": {"address": "127.0.0.1:0"}},
            "services": {"web": {**web, "routes": [{"path": "/a"}]}}})) as bench:
        text = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\nGET /%%61/x HTTP/1.1\r\nHost: h\r\n\r\n" % target
        answers = split_answers(converse(bench.port, text), ["GET"] * 2)
        assert [a.status for a in answers] == [400, 200]
        assert [r.target for r in recorder.requests] == [b"/%61/x"]


def judge_answer(got, method, expected):
    try:
        finals = [a for a in split_answers(got, [method]) if a.status >= 200]
    except Cut:
        return expected == backend_cases.CUT
    if not finals:  # reset before the first byte could be read
        return expected == backend_cases.CUT
    assert len(finals) == 1
    if expected == 502:
        return finals[0].status == 502 and b"hello" not in got
    return (finals[0].status, finals[0].body) == expected


@pytest.mark.parametrize("rule,method,script,then,expected", named(backend_cases.CASES))
def test_answer(world, rule, method, script, then, expected):
    port, recorder = world
    recorder.clear()
    recorder.answers[b"/case"] = (script, then)
    got = converse(port, method.encode() + b" /case HTTP/1.1\r\nHost: h\r\n\r\n")
    try:
        assert judge_answer(got, method, expected), (rule, got)
    except Malformed as fault:
        pytest.fail(f"{rule}: {fault}")
    # asked once, whatever came; again only where a kept connection broke off before a byte of it
    asked = [r.target for r in recorder.requests]
    assert asked == [b"/case"] or (script == b"" and asked == [b"/case"] * 2), rule
    assert b"poison" not in got, rule
    still_served(port, recorder)


@pytest.mark.parametrize("rule,fields,present,absent", named(backend_cases.HEADS))
def test_head_of_answer(world, rule, fields, present, absent):
    port, recorder = world
    recorder.answers[b"/case"] = backend_cases.length(b"hello", fields)
    answer, = split_answers(converse(port, b"GET /case HTTP/1.1\r\nHost: h\r\n\r\n"), ["GET"])
    assert answer.body == b"hello" and len(answer.values(b"date")) == 1, rule
    for name, expected in present.items():
        assert answer.values(name) == expected, rule
    for name in absent:
        assert answer.values(name) == [], rule


def test_there_are_as_many_cases_as_promised():
    assert len(request_cases.CASES) + len(request_cases.HEADS) >= 150
    assert len(backend_cases.CASES) + len(backend_cases.HEADS) >= 60
