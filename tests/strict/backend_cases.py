"""What backends answer: name, the rule, the method asked with, the bytes, what the backend does behind
them, and what the client must get: a status (502: the proxy's own, and the backend's bytes nowhere),
a status with its body, or CUT (an answer that shows that it is not whole)."""

CUT = "cut"
OK = b"HTTP/1.1 200 OK\r\n"


def length(body, fields=b"", line=OK):
    return line + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


def chunked(body, fields=b""):
    return OK + fields + b"Transfer-Encoding: chunked\r\n\r\n" + body


POISON = length(b"poison")

CASES = [
    # --- good ones ------------------------------------------------------------------------------
    ("length", "RFC 9112 6.3", "GET", length(b"hello"), "keep", (200, b"hello")),
    ("chunked", "RFC 9112 7.1", "GET", chunked(b"5\r\nhello\r\n0\r\n\r\n"), "keep", (200, b"hello")),
    ("until_close", "RFC 9112 6.3", "GET", OK + b"\r\nhello", "close", (200, b"hello")),
    ("http_1_0", "RFC 9112 6.3", "GET", b"HTTP/1.0 200 OK\r\n\r\nhello", "close", (200, b"hello")),
    ("http_1_0_with_length", "RFC 9112 6.3", "GET", length(b"hello", line=b"HTTP/1.0 200 OK\r\n"), "keep", (200, b"hello")),
    ("empty_reason", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 200 \r\n"), "keep", (200, b"hello")),
    ("obs_text_in_reason", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 200 \xe4\r\n"), "keep", (200, b"hello")),
    ("unknown_status", "RFC 9110 15", "GET", length(b"hello", line=b"HTTP/1.1 599 Odd\r\n"), "keep", (599, b"hello")),
    ("chunk_extension", "RFC 9112 7.1.1", "GET", chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"), "keep", (200, b"hello")),
    ("trailer", "RFC 9112 7.1.2", "GET", chunked(b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"), "keep", (200, b"hello")),
    ("head_with_length", "RFC 9110 9.3.2", "HEAD", OK + b"Content-Length: 5\r\n\r\n", "keep", (200, b"")),
    ("head_with_chunked", "RFC 9110 9.3.2", "HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", "keep", (200, b"")),
    ("head_without_framing", "RFC 9110 9.3.2", "HEAD", OK + b"\r\n", "keep", (200, b"")),
    ("204", "RFC 9110 15.3.5", "GET", b"HTTP/1.1 204 No Content\r\n\r\n", "keep", (204, b"")),
    ("204_with_length_0", "RFC 9110 8.6", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "keep", (204, b"")),
    ("304_with_length", "RFC 9110 15.4.5", "GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "keep", (304, b"")),
    ("304_with_chunked", "RFC 9112 6.3", "GET", b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", "keep", (304, b"")),
    ("interim_before", "RFC 9110 15.2", "GET", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + length(b"hello"), "keep", (200, b"hello")),
    ("interims_before", "RFC 9110 15.2", "GET", b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + length(b"hello"), "keep", (200, b"hello")),
    ("unasked_continue", "RFC 9110 15.2.1", "GET", b"HTTP/1.1 100 Continue\r\n\r\n" + length(b"hello"), "keep", (200, b"hello")),
    # --- more than asked for ----------------------------------------------------------------------
    ("second_answer_behind_length", "RFC 9112 9.2", "GET", length(b"hello") + POISON, "keep", (200, b"hello")),
    ("second_answer_behind_chunks", "RFC 9112 9.2", "GET", chunked(b"5\r\nhello\r\n0\r\n\r\n") + POISON, "keep", (200, b"hello")),
    ("body_behind_head", "RFC 9110 9.3.2", "HEAD", length(b"hello"), "keep", (200, b"")),
    ("body_behind_204", "RFC 9112 6.3", "GET", b"HTTP/1.1 204 No Content\r\n\r\nhello", "keep", (204, b"")),
    ("body_behind_304", "RFC 9112 6.3", "GET", b"HTTP/1.1 304 Not Modified\r\n\r\n" + POISON, "keep", (304, b"")),
    ("more_than_the_length", "RFC 9112 6.3", "GET", length(b"hello") + b"more", "keep", (200, b"hello")),
    # --- framing ----------------------------------------------------------------------------------
    ("length_and_chunked", "RFC 9112 6.1", "GET", chunked(b"5\r\nhello\r\n0\r\n\r\n", b"Content-Length: 5\r\n"), "keep", 502),
    ("two_lengths", "RFC 9112 6.3", "GET", length(b"hello", b"Content-Length: 6\r\n"), "keep", 502),
    ("two_equal_lengths", "RFC 9112 6.3", "GET", length(b"hello", b"Content-Length: 5\r\n"), "keep", 502),
    ("length_list", "RFC 9112 6.3", "GET", OK + b"Content-Length: 5, 5\r\n\r\nhello", "keep", 502),
    ("length_negative", "RFC 9110 8.6", "GET", OK + b"Content-Length: -1\r\n\r\n", "keep", 502),
    ("length_with_plus", "RFC 9110 8.6", "GET", OK + b"Content-Length: +5\r\n\r\nhello", "keep", 502),
    ("length_empty", "RFC 9110 8.6", "GET", OK + b"Content-Length:\r\n\r\n", "keep", 502),
    ("length_too_large", "RFC 9110 8.6", "GET", OK + b"Content-Length: 99999999999999999999\r\n\r\n", "keep", 502),
    ("gzip_chunked", "RFC 9112 6.1", "GET", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "keep", 502),
    ("chunked_twice", "RFC 9112 6.1", "GET", chunked(b"0\r\n\r\n", b"Transfer-Encoding: chunked\r\n"), "keep", 502),
    ("identity", "RFC 9112 6.1", "GET", OK + b"Transfer-Encoding: identity\r\n\r\nhello", "close", 502),
    ("encoding_in_http_1_0", "RFC 9112 6.1", "GET", b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "close", 502),
    ("204_with_length", "RFC 9110 8.6", "GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", "keep", 502),
    ("204_with_chunked", "RFC 9112 6.1", "GET", b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "keep", 502),
    ("103_with_length", "RFC 9110 8.6", "GET", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello" + length(b"hello"), "keep", 502),
    # --- heads ------------------------------------------------------------------------------------
    ("status_099", "RFC 9110 15", "GET", length(b"hello", line=b"HTTP/1.1 099 Low\r\n"), "keep", 502),
    ("status_000", "RFC 9110 15", "GET", length(b"hello", line=b"HTTP/1.1 000 None\r\n"), "keep", 502),
    ("status_600", "RFC 9110 15", "GET", length(b"hello", line=b"HTTP/1.1 600 High\r\n"), "keep", 502),
    ("status_1000", "RFC 9110 15", "GET", length(b"hello", line=b"HTTP/1.1 1000 Long\r\n"), "keep", 502),
    ("status_20", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 20 Short\r\n"), "keep", 502),
    ("status_of_letters", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 2xx OK\r\n"), "keep", 502),
    ("status_negative", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 -20 OK\r\n"), "keep", 502),
    ("two_spaces_before_status", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1  200 OK\r\n"), "keep", 502),
    ("http_2_0", "RFC 9112 2.3", "GET", length(b"hello", line=b"HTTP/2.0 200 OK\r\n"), "keep", 502),
    ("lower_case_http", "RFC 9112 2.3", "GET", length(b"hello", line=b"http/1.1 200 OK\r\n"), "keep", 502),
    ("http_0_9", "RFC 9112 Appendix C.1", "GET", b"<html>hello</html>", "close", 502),
    ("other_protocol", "RFC 9112 4", "GET", b"SSH-2.0-OpenSSH_9.2\r\n", "keep", 502),
    ("empty_line_before", "RFC 9112 4", "GET", b"\r\n" + length(b"hello"), "keep", 502),
    ("control_in_reason", "RFC 9112 4", "GET", length(b"hello", line=b"HTTP/1.1 200 \x1b[1m\r\n"), "keep", 502),
    ("bare_lf", "RFC 9112 2.2", "GET", b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", "close", 502),
    ("bare_cr_in_value", "RFC 9112 2.2", "GET", length(b"hello", b"X: a\rSet-Cookie: b\r\n"), "keep", 502),
    ("line_fold", "RFC 9112 5.2", "GET", length(b"hello", b"X: a\r\n b\r\n"), "keep", 502),
    ("space_before_colon", "RFC 9112 5.1", "GET", length(b"hello", b"X : a\r\n"), "keep", 502),
    ("empty_name", "RFC 9110 5.1", "GET", length(b"hello", b": a\r\n"), "keep", 502),
    ("no_colon", "RFC 9112 5", "GET", length(b"hello", b"nonsense\r\n"), "keep", 502),
    ("nul_in_value", "RFC 9110 5.5", "GET", length(b"hello", b"X: a\0b\r\n"), "keep", 502),
    ("control_in_value", "RFC 9110 5.5", "GET", length(b"hello", b"X: a\x08b\r\n"), "keep", 502),
    ("too_many_fields", "RFC 9110 5.4", "GET", length(b"hello", b"X: a\r\n" * 300), "keep", 502),
    ("endless_head", "RFC 9110 5.4", "GET", OK + b"X: " + b"a" * 100000, "keep", 502),
    # --- switching --------------------------------------------------------------------------------
    ("unasked_101", "RFC 9110 15.2.2", "GET", b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "keep", 502),
    ("bare_101", "RFC 9110 15.2.2", "GET", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", "keep", 502),
    ("interim_flood", "RFC 9110 15.2", "GET", b"HTTP/1.1 102 Processing\r\n\r\n" * 1000, "keep", 502),
    # --- cut and broken bodies ----------------------------------------------------------------------
    ("nothing", "RFC 9112 8", "GET", b"", "close", 502),
    ("reset_at_once", "RFC 9112 8", "GET", b"", "reset", 502),
    ("cut_status_line", "RFC 9112 8", "GET", b"HTTP/1.1 20", "close", 502),
    ("cut_head", "RFC 9112 8", "GET", OK + b"Content-Le", "close", 502),
    ("cut_behind_interim", "RFC 9112 8", "GET", b"HTTP/1.1 102 Processing\r\n\r\n", "close", 502),
    ("cut_length", "RFC 9112 8", "GET", OK + b"Content-Length: 9\r\n\r\nhello", "close", CUT),
    ("cut_length_by_reset", "RFC 9112 8", "GET", OK + b"Content-Length: 9\r\n\r\nhello", "reset", CUT),
    ("cut_chunk", "RFC 9112 8", "GET", chunked(b"9\r\nhello"), "close", CUT),
    ("cut_behind_chunk", "RFC 9112 8", "GET", chunked(b"5\r\nhello\r\n"), "close", CUT),
    ("cut_before_end_of_trailer", "RFC 9112 8", "GET", chunked(b"5\r\nhello\r\n0\r\n"), "close", CUT),
    ("reset_within_until_close", "RFC 9112 8", "GET", OK + b"\r\nhello", "reset", CUT),
    ("bad_chunk_size", "RFC 9112 7.1", "GET", chunked(b"xyz\r\nhello\r\n0\r\n\r\n"), "keep", 502),
    ("bad_second_chunk_size", "RFC 9112 7.1", "GET", chunked(b"5\r\nhello\r\nxyz\r\n\r\n"), "keep", 502),
    ("chunk_size_overflows", "RFC 9112 7.1", "GET", chunked(b"ffffffffffffffffff\r\nhello"), "keep", 502),
    ("chunk_with_space_behind_size", "RFC 9112 7.1", "GET", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), "keep", 502),
    ("chunk_line_ended_by_lf", "RFC 9112 7.1", "GET", chunked(b"5\nhello\r\n0\r\n\r\n"), "keep", 502),
    ("chunk_longer_than_said", "RFC 9112 7.1", "GET", chunked(b"4\r\nhello\r\n0\r\n\r\n"), "keep", 502),
    ("bare_semicolon_as_extension", "RFC 9112 7.1.1", "GET", chunked(b"5;\r\nhello\r\n0\r\n\r\n"), "keep", 502),
    ("endless_extension", "RFC 9112 7.1.1", "GET", chunked(b"5;" + b"a" * 5000), "keep", 502),
    ("bad_trailer", "RFC 9112 7.1.2", "GET", chunked(b"5\r\nhello\r\n0\r\nX : y\r\n\r\n"), "keep", 502),
]

# Fields of answers: name, rule, the backend's fields, values that must reach the client, names that
# must not.
HEADS = [
    ("fields_are_kept", "RFC 9110 7.6", b"X: a\r\nSet-Cookie: b\r\nSet-Cookie: c\r\n", {b"x": [b"a"], b"set-cookie": [b"b", b"c"]}, []),
    ("hop_by_hop_fields_are_dropped", "RFC 9110 7.6.1", b"Connection: X-A\r\nX-A: 1\r\nKeep-Alive: timeout=5\r\nProxy-Connection: x\r\nTrailer: X\r\n", {}, [b"connection", b"x-a", b"keep-alive", b"proxy-connection", b"trailer"]),
    ("date_is_added", "RFC 9110 6.6.1", b"", {}, []),
    ("date_is_kept", "RFC 9110 6.6.1", b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", {b"date": [b"Sun, 06 Nov 1994 08:49:37 GMT"]}, []),
    ("upgrade_is_dropped", "RFC 9110 7.8", b"Upgrade: h2c\r\n", {}, [b"upgrade"]),
    ("connection_cannot_drop_cookies", "RFC 9110 7.6.1", b"Connection: Set-Cookie\r\nSet-Cookie: a\r\n", {b"set-cookie": [b"a"]}, []),
]
