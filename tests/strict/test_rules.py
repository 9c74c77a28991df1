"""Rules instead of cases: each byte in each position, and each framing with each other, judged by what
the recording backend received and by what the client got."""

import pytest

import byte_rules
import framing_rules
from framing_rules import BAD
from recorder import Cut, Malformed, converse, split_answers
from test_strict import still_served, world  # noqa: F401 (a fixture)


def statuses(got):
    return [a.status for a in split_answers(got, ["GET"])]


def is_refused(recorder, got):
    """One answer, then the close; nothing of it reached the backend."""
    answer, = split_answers(got, ["GET"])
    return (answer.status == 400 and answer.values(b"connection") == [b"close"]
            and recorder.requests == [] and recorder.faults == [])


def is_passed_on(recorder, got):
    return statuses(got) == [200] and len(recorder.requests) == 1 and recorder.faults == []


def rules(table):
    assert len({rule[0] for rule in table}) == len(table)
    assert all(rule[1].startswith("RFC ") for rule in table)
    return [pytest.param(*rule[1:], id=rule[0]) for rule in table]


@pytest.mark.parametrize("rule,before,behind,allowed,left_out", rules(byte_rules.REQUESTS))
def test_each_byte_of_a_request(world, rule, before, behind, allowed, left_out):  # noqa: F811
    port, recorder = world
    wrong = []
    for byte in byte_rules.BYTES:
        if byte in left_out:
            continue
        recorder.clear()
        got = converse(port, before + bytes([byte]) + behind)
        judge = is_passed_on if byte in allowed else is_refused
        if not judge(recorder, got):
            wrong.append((bytes([byte]), got[:40], recorder.faults))
    assert wrong == [], rule
    still_served(port, recorder)


@pytest.mark.parametrize("rule,before,behind,allowed,left_out", rules(byte_rules.ANSWERS))
def test_each_byte_of_an_answer(world, rule, before, behind, allowed, left_out):  # noqa: F811
    port, recorder = world
    wrong = []
    for byte in byte_rules.BYTES:
        if byte in left_out:
            continue
        recorder.answers[b"/case"] = (before + bytes([byte]) + behind, "close")
        got = converse(port, b"GET /case HTTP/1.1\r\nHost: h\r\n\r\n")
        answer, = split_answers(got, ["GET"])
        if byte in allowed:
            good = answer.status // 100 == 2 and answer.body == b"hello"
        else:
            good = answer.status == 502 and b"hello" not in got
        if not good:
            wrong.append((bytes([byte]), got[:60]))
    assert wrong == [], rule
    still_served(port, recorder)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_each_framing_of_a_request_with_each_other(world, version):  # noqa: F811
    port, recorder = world
    wrong = []
    for lines, verdict in framing_rules.pairs():
        text, expected = framing_rules.request(lines, verdict, version)
        recorder.clear()
        got = converse(port, text)
        if expected == BAD:
            good = is_refused(recorder, got)
        else:
            good = is_passed_on(recorder, got) and recorder.requests[0].body == expected
        if not good:
            wrong.append((lines, got[:40], recorder.faults))
    assert wrong == [], "RFC 9112 6.3"
    still_served(port, recorder)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_each_framing_of_an_answer_with_each_other(world, version):  # noqa: F811
    port, recorder = world
    wrong = []
    for lines, verdict in framing_rules.pairs():
        script, expected = framing_rules.answer(lines, verdict, version)
        recorder.answers[b"/case"] = (script, "close")
        got = converse(port, b"GET /case HTTP/1.1\r\nHost: h\r\n\r\n")
        answer, = split_answers(got, ["GET"])
        if expected == BAD:
            good = answer.status == 502 and b"hello" not in got
        else:
            good = (answer.status, answer.body) == (200, expected)
        if not good:
            wrong.append((lines, got[:60]))
    assert wrong == [], "RFC 9112 6.3"
    still_served(port, recorder)


@pytest.mark.parametrize("method,status", [("GET", 204), ("GET", 304), ("HEAD", 200), ("GET", 103)])
def test_each_framing_of_an_answer_without_a_body(world, method, status):  # noqa: F811
    port, recorder = world
    final = b"HTTP/1.1 204 X\r\n\r\n" if status < 200 else b""
    wrong = []
    for lines, verdict in framing_rules.pairs(both_orders=False):
        script, allowed = framing_rules.answer_without_body(lines, verdict, status)
        recorder.answers[b"/case"] = (script + final, "keep")
        got = converse(port, method.encode() + b" /case HTTP/1.1\r\nHost: h\r\n\r\n")
        answers = split_answers(got, [method])
        expected = [status] + [204] * (status < 200) if allowed else [502]
        if [a.status for a in answers] != expected:
            wrong.append((lines, got[:60]))
    assert wrong == [], "RFC 9112 6.3"
    still_served(port, recorder)


REQUEST = (b"POST /cut HTTP/1.1\r\nHost: h\r\nX: y\r\nTransfer-Encoding: chunked\r\n\r\n"
           b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n")
LENGTH = b"POST /cut HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello"


@pytest.mark.parametrize("text", [REQUEST, LENGTH], ids=["chunked", "length"])
def test_request_cut_at_each_byte_never_arrives_as_a_whole_one(world, text):  # noqa: F811
    """RFC 9112 8"""
    port, recorder = world
    for length in range(1, len(text)):
        recorder.clear()
        got = converse(port, text[:length])
        assert recorder.requests == [] and recorder.faults == [], text[:length]
        assert got == b"" or statuses(got) == [400], text[:length]
    still_served(port, recorder)


ANSWERS = [
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
]


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize("script", ANSWERS, ids=["length", "chunked"])
def test_answer_cut_at_each_byte_is_never_taken_for_a_whole_one(world, script, then):  # noqa: F811
    """RFC 9112 8"""
    port, recorder = world
    for length in range(1, len(script)):
        recorder.answers[b"/case"] = (script[:length], then)
        got = converse(port, b"GET /case HTTP/1.1\r\nHost: h\r\n\r\n")
        try:
            finals = [a.status for a in split_answers(got, ["GET"]) if a.status >= 200]
        except Cut:
            continue
        except Malformed as fault:
            pytest.fail(f"{fault} behind {script[:length]!r}")
        assert finals in ([], [502]), script[:length]
    still_served(port, recorder)
