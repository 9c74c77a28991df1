"""Every framing with every other, in both orders and versions: lines, and what they say by RFC 9112 6
read strictly. A value is a number or "chunked" where the line says it, IGNORED where the line is another
field's, and BAD where nobody may go on."""

BAD, IGNORED = "bad", "ignored"

LENGTHS = [
    (b"", None),
    (b"Content-Length: 5\r\n", 5),
    (b"content-length:0005\r\n", 5),
    (b"CONTENT-LENGTH: \t5 \r\n", 5),
    (b"Content-Length: 0\r\n", 0),
    (b"Content-Length: 5\r\nContent-Length: 5\r\n", BAD),
    (b"Content-Length: 5\r\nContent-Length: 6\r\n", BAD),
    (b"Content-Length: 5, 5\r\n", BAD),
    (b"Content-Length: 5,\r\n", BAD),
    (b"Content-Length: +5\r\n", BAD),
    (b"Content-Length: -5\r\n", BAD),
    (b"Content-Length: 0x5\r\n", BAD),
    (b"Content-Length: 5.0\r\n", BAD),
    (b"Content-Length: 5e0\r\n", BAD),
    (b"Content-Length: 5 0\r\n", BAD),
    (b"Content-Length: \xd9\xa5\r\n", BAD),
    (b"Content-Length:\r\n", BAD),
    (b"Content-Length: 9223372036854775813\r\n", BAD),
    (b"Content-Length: 18446744073709551621\r\n", BAD),
    (b"Content-Length : 5\r\n", BAD),
    (b"Content-Length\t: 5\r\n", BAD),
    (b" Content-Length: 5\r\n", BAD),
    (b"X: y\r\n Content-Length: 5\r\n", BAD),
    (b"Content-Length: 5\r\r\n", BAD),
    (b"Content-Length: 5\n", BAD),
    (b"Content_Length: 5\r\n", IGNORED),
    (b"Content-Length-: 5\r\n", IGNORED),
]

ENCODINGS = [
    (b"", None),
    (b"Transfer-Encoding: chunked\r\n", "chunked"),
    (b"transfer-encoding:ChunKed\t\r\n", "chunked"),
    (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked, chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked, identity\r\n", BAD),
    (b"Transfer-Encoding: identity, chunked\r\n", BAD),
    (b"Transfer-Encoding: identity\r\n", BAD),
    (b"Transfer-Encoding: gzip, chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked, gzip\r\n", BAD),
    (b"Transfer-Encoding: gzip\r\n", BAD),
    (b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked,\r\n", BAD),
    (b"Transfer-Encoding: ,chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked;q=1\r\n", BAD),
    (b'Transfer-Encoding: "chunked"\r\n', BAD),
    (b"Transfer-Encoding: 'chunked'\r\n", BAD),
    (b"Transfer-Encoding: xchunked\r\n", BAD),
    (b"Transfer-Encoding: chunkedx\r\n", BAD),
    (b"Transfer-Encoding: chun ked\r\n", BAD),
    (b"Transfer-Encoding: \x0bchunked\r\n", BAD),
    (b"Transfer-Encoding: chunked\x0b\r\n", BAD),
    (b"Transfer-Encoding: \x85chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked\0\r\n", BAD),
    (b"Transfer-Encoding:\r\n", BAD),
    (b"Transfer-Encoding : chunked\r\n", BAD),
    (b"Transfer-Encoding\r\n", BAD),
    (b"Transfer-Encoding: x\r\n chunked\r\n", BAD),
    (b"Transfer\r\n-Encoding: chunked\r\n", BAD),
    (b"Transfer-Encoding: chunked\n", BAD),
    (b"Transfer_Encoding: chunked\r\n", IGNORED),
    (b"X-Transfer-Encoding: chunked\r\n", IGNORED),
    (b"Transfer-Encodin: chunked\r\n", IGNORED),
]

CHUNKS = b"5\r\nhello\r\n0\r\n\r\n"


def pairs(both_orders=True):
    """Lines, and what they say together: BAD, None, a number or "chunked"."""
    for length_lines, length in LENGTHS:
        for encoding_lines, encoding in ENCODINGS:
            said = [v for v in (length, encoding) if v not in (None, IGNORED)]
            verdict = BAD if BAD in said or len(said) > 1 else said[0] if said else None
            for lines in {length_lines + encoding_lines, encoding_lines + length_lines} if both_orders else {length_lines + encoding_lines}:
                # a fold's first line belongs to whatever is before it, which changes nothing
                yield lines, verdict


def request(lines, verdict, version):
    """The text, and what must reach the backend: BAD or a body."""
    if verdict == "chunked" and version == b"1.0":
        verdict = BAD
    body = {None: b"", "chunked": CHUNKS, BAD: CHUNKS}.get(verdict, b"hello"[:verdict] if isinstance(verdict, int) else b"")
    text = b"POST / HTTP/%s\r\nHost: h\r\n%s\r\n%s" % (version, lines, body)
    return text, BAD if verdict == BAD else b"hello" if verdict in ("chunked", 5) else b""


def answer(lines, verdict, version):
    """The script, and the body that must reach the client: BAD or a body."""
    if verdict == "chunked" and version == b"1.0":
        verdict = BAD
    body = CHUNKS if verdict in ("chunked", BAD) else b"" if verdict == 0 else b"hello"
    script = b"HTTP/%s 200 OK\r\n%s\r\n%s" % (version, lines, body)
    return script, BAD if verdict == BAD else b"" if verdict == 0 else b"hello"


def answer_without_body(lines, verdict, status):
    """The script of an answer that has no body whatever it says, and whether it may be sent on: 1xx and
    204 have no framing at all (RFC 9110 8.6; a 204 of length 0 says the same as none), a HEAD's and a 304's
    answer may tell what they would have."""
    script = b"HTTP/1.1 %d X\r\n%s\r\n" % (status, lines)
    allowed = {204: (None, 0), 103: (None,)}.get(status)
    return script, verdict != BAD and (allowed is None or verdict in allowed)
