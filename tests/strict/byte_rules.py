"""Every byte in every position class of a request and of an answer: name, the rule, the text before
and behind the byte, which bytes are allowed there, and which are left out (they end or split what they
stand in, and other cases cover that). The sets are written from the grammars."""

DIGIT = b"0123456789"
ALPHA = bytes(range(0x41, 0x5b)) + bytes(range(0x61, 0x7b))
HEX = DIGIT + b"abcdefABCDEF"
TOKEN = b"!#$%&'*+-.^_`|~" + DIGIT + ALPHA            # RFC 9110 5.6.2
TEXT = b"\t" + bytes(range(0x20, 0x7f)) + bytes(range(0x80, 0x100))  # RFC 9110 5.5, with obs-text
UNRESERVED, SUB_DELIMS = ALPHA + DIGIT + b"-._~", b"!$&'()*+,;="
PATH = UNRESERVED + SUB_DELIMS + b":@/" + b"[]|"      # pchar, and what browsers send raw
QUERY = PATH + b"?" + b"\\^`{}"
HOST = UNRESERVED + SUB_DELIMS                        # reg-name

# All that is not alone in its class: of letters, digits and high bytes some stand for the others.
BYTES = bytes(b for b in range(0x80) if b not in ALPHA + DIGIT) + b"0159AFGPZafghnz\x80\x85\xa0\xc3\xe2\xff"

GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(before, behind):
    return GET + before, behind + b"\r\n\r\n"


def target(before, behind):
    return b"GET " + before, behind + b" HTTP/1.1\r\nHost: h\r\n\r\n"


REQUESTS = [
    ("method", "RFC 9110 9.1", b"GE", b"T / HTTP/1.1\r\nHost: h\r\n\r\n", TOKEN, b""),
    ("method_begin", "RFC 9112 3", b"", b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", TOKEN, b""),
    ("path", "RFC 3986 3.3", *target(b"/a", b"b"), PATH, b"?%"),
    ("path_begin", "RFC 9112 3.2.1", *target(b"", b"/a"), b"/", b""),
    ("query", "RFC 3986 3.4", *target(b"/a?b", b"c"), QUERY, b"%"),
    ("first_digit_of_percent", "RFC 3986 2.1", *target(b"/%", b"1"), HEX, b""),
    ("second_digit_of_percent", "RFC 3986 2.1", *target(b"/%1", b""), HEX, b""),
    ("version_name", "RFC 9112 2.3", b"GET / HTT", b"/1.1\r\nHost: h\r\n\r\n", b"P", b""),
    ("version_slash", "RFC 9112 2.3", b"GET / HTTP", b"1.1\r\nHost: h\r\n\r\n", b"/", b""),
    ("version_dot", "RFC 9112 2.3", b"GET / HTTP/1", b"1\r\nHost: h\r\n\r\n", b".", b""),
    ("version_minor", "RFC 9112 2.3", b"GET / HTTP/1.", b"\r\nHost: h\r\n\r\n", b"01", b""),
    ("behind_version", "RFC 9112 3", b"GET / HTTP/1.1", b"\r\nHost: h\r\n\r\n", b"", b""),
    ("request_line_cr", "RFC 9112 2.2", b"GET / HTTP/1.1", b"\nHost: h\r\n\r\n", b"\r", b""),
    ("request_line_lf", "RFC 9112 2.2", b"GET / HTTP/1.1\r", b"Host: h\r\n\r\n", b"\n", b""),
    ("field_name", "RFC 9112 5", *get(b"X", b"Y: z"), TOKEN, b":"),
    ("field_name_begin", "RFC 9112 5", *get(b"", b"X: z"), TOKEN, b""),
    ("field_colon", "RFC 9112 5.1", *get(b"X", b" z"), b":", b""),
    ("field_value", "RFC 9110 5.5", *get(b"X: a", b"b"), TEXT, b""),
    ("field_value_begin", "RFC 9110 5.5", *get(b"X:", b"a"), TEXT, b""),
    ("field_value_end", "RFC 9110 5.5", *get(b"X: a", b""), TEXT, b""),
    ("field_value_alone", "RFC 9110 5.5", *get(b"X: ", b""), TEXT, b""),
    ("field_value_deep", "RFC 9110 5.5", *get(b"X: " + b"a" * 37, b"b" * 29), TEXT, b""),
    ("field_line_cr", "RFC 9112 2.2", GET + b"X: a", b"\nY: b\r\n\r\n", b"\r", b""),
    ("field_line_lf", "RFC 9112 2.2", GET + b"X: a\r", b"Y: b\r\n\r\n", b"\n", b""),
    ("head_cr", "RFC 9112 2.2", GET + b"X: a\r\n", b"\n", b"\r", TOKEN),  # of a token: no end yet
    ("head_lf", "RFC 9112 2.2", GET + b"X: a\r\n\r", b"", b"\n", b""),
    ("host", "RFC 3986 3.2.2", b"GET / HTTP/1.1\r\nHost: a", b"b\r\n\r\n", HOST, b"%:"),
    ("host_port", "RFC 3986 3.2.3", b"GET / HTTP/1.1\r\nHost: a:1", b"2\r\n\r\n", DIGIT, b""),
    ("host_literal", "RFC 3986 3.2.2", b"GET / HTTP/1.1\r\nHost: [::1", b"]\r\n\r\n", HEX, b":"),
    ("authority", "RFC 9112 3.2.2", b"GET http://a", b"b/ HTTP/1.1\r\nHost: h\r\n\r\n", b"", b""),
    ("length", "RFC 9110 8.6", *get(b"Content-Length: 0", b"0"), b"0", b"123456789"),
    ("length_begin", "RFC 9110 8.6", *get(b"Content-Length:", b"0"), b"0 \t", b"123456789"),
    ("length_end", "RFC 9110 8.6", *get(b"Content-Length: 0", b""), b"0 \t", b"123456789"),
    ("connection_option", "RFC 9110 7.6.1", *get(b"Connection: a", b"b"), TOKEN + b",", b""),
    ("chunk_size", "RFC 9112 7.1", CHUNKED + b"0", b"5\r\nhello\r\n0\r\n\r\n", b"0", HEX + b";"),
    ("chunk_size_begin", "RFC 9112 7.1", CHUNKED, b"5\r\nhello\r\n0\r\n\r\n", b"0", HEX),
    ("behind_chunk_size", "RFC 9112 7.1", CHUNKED + b"5", b"\r\nhello\r\n0\r\n\r\n", b"", HEX),
    ("chunk_size_cr", "RFC 9112 7.1", CHUNKED + b"5", b"\nhello\r\n0\r\n\r\n", b"\r", b""),
    ("chunk_size_lf", "RFC 9112 7.1", CHUNKED + b"5\r", b"hello\r\n0\r\n\r\n", b"\n", b""),
    ("extension_name", "RFC 9112 7.1.1", CHUNKED + b"5;a", b"b\r\nhello\r\n0\r\n\r\n", TOKEN + b"=;", b""),
    ("extension_value", "RFC 9112 7.1.1", CHUNKED + b"5;a=b", b"c\r\nhello\r\n0\r\n\r\n", TOKEN + b";", b""),
    ("extension_quoted", "RFC 9112 7.1.1", CHUNKED + b'5;a="b', b'c"\r\nhello\r\n0\r\n\r\n', TEXT, b'"\\'),
    ("extension_escaped", "RFC 9112 7.1.1", CHUNKED + b'5;a="b\\', b'c"\r\nhello\r\n0\r\n\r\n', TEXT, b""),
    ("behind_quoted", "RFC 9112 7.1.1", CHUNKED + b'5;a="b"', b"\r\nhello\r\n0\r\n\r\n", b"", b""),
    ("chunk_data", "RFC 9112 7.1", CHUNKED + b"5\r\nhe", b"lo\r\n0\r\n\r\n", bytes(range(256)), b""),
    ("chunk_data_cr", "RFC 9112 7.1", CHUNKED + b"5\r\nhello", b"\n0\r\n\r\n", b"\r", b""),
    ("chunk_data_lf", "RFC 9112 7.1", CHUNKED + b"5\r\nhello\r", b"0\r\n\r\n", b"\n", b""),
    ("trailer_name", "RFC 9112 7.1.2", CHUNKED + b"0\r\nX", b"Y: z\r\n\r\n", TOKEN + b":", b""),
    ("trailer_name_begin", "RFC 9112 7.1.2", CHUNKED + b"0\r\n", b"X: z\r\n\r\n", TOKEN, b""),
    ("trailer_value", "RFC 9112 7.1.2", CHUNKED + b"0\r\nX: y", b"z\r\n\r\n", TEXT, b""),
    ("trailer_cr", "RFC 9112 7.1.2", CHUNKED + b"0\r\nX: y", b"\n\r\n", b"\r", b""),
    ("last_cr", "RFC 9112 7.1.2", CHUNKED + b"0\r\n", b"\n", b"\r", TOKEN),
    ("last_lf", "RFC 9112 7.1.2", CHUNKED + b"0\r\n\r", b"", b"\n", b""),
]

OK = b"HTTP/1.1 200 OK\r\n"
BODY = b"Content-Length: 5\r\n\r\nhello"
ENCODED = OK + b"Transfer-Encoding: chunked\r\n\r\n"

ANSWERS = [
    ("version", "RFC 9112 4", b"HTTP", b"1.1 200 OK\r\n" + BODY, b"/", b""),
    ("status_space", "RFC 9112 4", b"HTTP/1.1", b"200 OK\r\n" + BODY, b" ", b""),
    ("status_digit", "RFC 9112 4", b"HTTP/1.1 20", b" OK\r\n" + BODY, DIGIT, b"4"),  # 204: no body
    ("behind_status", "RFC 9112 4", b"HTTP/1.1 200", b"OK\r\n" + BODY, b" ", b""),
    ("reason", "RFC 9112 4", b"HTTP/1.1 200 O", b"K\r\n" + BODY, TEXT, b""),
    ("status_line_cr", "RFC 9112 2.2", b"HTTP/1.1 200 OK", b"\n" + BODY, b"\r", b""),
    ("status_line_lf", "RFC 9112 2.2", b"HTTP/1.1 200 OK\r", BODY, b"\n", b""),
    ("field_name", "RFC 9112 5", OK + b"X", b"Y: z\r\n" + BODY, TOKEN, b":"),
    ("field_name_begin", "RFC 9112 5", OK, b"X: z\r\n" + BODY, TOKEN, b""),
    ("field_colon", "RFC 9112 5.1", OK + b"X", b" z\r\n" + BODY, b":", b""),
    ("field_value", "RFC 9110 5.5", OK + b"X: a", b"b\r\n" + BODY, TEXT, b""),
    ("field_line_cr", "RFC 9112 2.2", OK + b"X: a", b"\n" + BODY, b"\r", b""),
    ("field_line_lf", "RFC 9112 2.2", OK + b"X: a\r", BODY, b"\n", b""),
    ("length", "RFC 9110 8.6", OK + b"Content-Length: 0", b"5\r\n\r\nhello", b"0", b"123456789"),
    ("length_end", "RFC 9110 8.6", OK + b"Content-Length: 5", b"\r\n\r\nhello", b" \t", DIGIT),
    ("chunk_size_begin", "RFC 9112 7.1", ENCODED, b"5\r\nhello\r\n0\r\n\r\n", b"0", HEX),
    ("behind_chunk_size", "RFC 9112 7.1", ENCODED + b"5", b"\r\nhello\r\n0\r\n\r\n", b"", HEX),
    ("extension_quoted", "RFC 9112 7.1.1", ENCODED + b'5;a="b', b'c"\r\nhello\r\n0\r\n\r\n', TEXT, b'"\\'),
    ("chunk_data_cr", "RFC 9112 7.1", ENCODED + b"5\r\nhello", b"\n0\r\n\r\n", b"\r", b""),
    ("trailer_value", "RFC 9112 7.1.2", ENCODED + b"5\r\nhello\r\n0\r\nX: y", b"z\r\n\r\n", TEXT, b""),
]
