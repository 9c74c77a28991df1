"""The judge: a raw backend that records what reaches it and holds every byte of it against the
grammar (RFC 9112), and a reader of answers that is no more forgiving. Both are written from the
RFC and share nothing with the proxy or with Python's own HTTP."""

import re
import socket
import threading

TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
REQUEST_LINE = re.compile(rb"(%s) ((?:/|\*$)?[!$%%&'()*+,\-./0-9:;=?@A-Z\[\]\\^_`a-z{|}~]*) HTTP/1\.1" % TOKEN)
FIELD = re.compile(rb"(%s): (%s)" % (TOKEN, TEXT))
STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) (%s)" % TEXT)
HOP_BY_HOP = {b"keep-alive", b"proxy-connection", b"te", b"trailer", b"proxy-authorization",
              b"proxy-authenticate", b"http2-settings"}


class Malformed(Exception):
    pass


class Cut(Exception):
    """The bytes ended within a message."""


def split_head(data):
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise Cut
    lines = data[:end].split(b"\r\n")
    fields = []
    for line in lines[1:]:
        match = FIELD.fullmatch(line)
        if not match or match[2] != match[2].strip(b" \t"):
            raise Malformed(f"field {line!r}")
        fields.append((match[1].lower(), match[2]))
    return lines[0], fields, data[end + 4:]


def values(fields, name):
    return [v for n, v in fields if n == name]


def split_chunked(data):
    body = b""
    while True:
        line, found, data = data.partition(b"\r\n")
        if not found:
            raise Cut
        if not re.fullmatch(rb"[0-9a-f]{1,16}", line):
            raise Malformed(f"chunk size {line!r}")
        size = int(line, 16)
        if size == 0:
            if len(data) < 2:
                raise Cut
            if not data.startswith(b"\r\n"):
                raise Malformed("trailer")
            return body, data[2:]
        if len(data) < size + 2:
            raise Cut
        if data[size:size + 2] != b"\r\n":
            raise Malformed("chunk end")
        body += data[:size]
        data = data[size + 2:]


def split_body(fields, data, until_end=False):
    lengths, encodings = values(fields, b"content-length"), values(fields, b"transfer-encoding")
    if len(lengths) + len(encodings) > 1:
        raise Malformed(f"two framings {fields}")
    if encodings:
        if encodings != [b"chunked"]:
            raise Malformed(f"transfer-encoding {encodings}")
        return split_chunked(data)
    if lengths:
        if not re.fullmatch(rb"[0-9]{1,18}", lengths[0]):
            raise Malformed(f"content-length {lengths}")
        length = int(lengths[0])
        if len(data) < length:
            raise Cut
        return data[:length], data[length:]
    return (data, b"") if until_end else (b"", data)


class Request:
    def __init__(self, line, fields, body):
        match = REQUEST_LINE.fullmatch(line)
        if not match or not match[2]:
            raise Malformed(f"request line {line!r}")
        self.method, self.target = match[1], match[2]
        self.fields, self.body = fields, body
        if len(values(fields, b"host")) != 1:
            raise Malformed(f"host {fields}")
        if HOP_BY_HOP & {n for n, _ in fields}:
            raise Malformed(f"hop-by-hop field in {fields}")
        upgrade = values(fields, b"upgrade")
        if values(fields, b"connection") != ([b"upgrade"] if upgrade else []):
            raise Malformed(f"connection {fields}")

    def values(self, name):
        return values(self.fields, name)


def split_request(data):
    """The first request of `data` and what is behind it."""
    line, fields, rest = split_head(data)
    body, rest = split_body(fields, rest)
    return Request(line, fields, body), rest


class Answer:
    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    def values(self, name):
        return values(self.fields, name)


def split_answers(data, methods):
    """All answers in `data`, to requests of these methods; a cut one at the end raises Cut with the
    whole ones before it."""
    answers = []
    pending = list(methods)
    while data:
        line, fields, data = split_head(data)
        match = STATUS_LINE.fullmatch(line)
        if not match:
            raise Malformed(f"status line {line!r}")
        status = int(match[1])
        method = pending[0] if pending else "GET"
        if status < 200 or status in (204, 304) or method == "HEAD":
            if status < 200 or status == 204:
                if values(fields, b"content-length") or values(fields, b"transfer-encoding"):
                    raise Malformed(f"framing with {status}")
            body = b""
        else:
            body, data = split_body(fields, data, until_end=True)
        answers.append(Answer(status, match[2], fields, body))
        if status >= 200 and pending:
            pending.pop(0)
    return answers


class Recorder:
    """Answers each request it could read with `answers[target]`, or with "ok". A script is bytes, or
    bytes and what to do behind them: "close", "reset" or "keep"."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.answers = {}
        self.clear()
        threading.Thread(target=self._accept, daemon=True).start()

    def clear(self):
        with self.lock:
            self.requests, self.faults = [], []

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        data = b""
        try:
            while True:
                got = sock.recv(65536)
                if not got:
                    break
                data += got
                while data:
                    try:
                        request, data = split_request(data)
                    except Cut:
                        break
                    with self.lock:
                        self.requests.append(request)
                        if data:  # the proxy asks no second time before the answer
                            self.faults.append(f"bytes behind a request: {data!r}")
                    if not self._answer(sock, request):
                        return
        except Malformed as fault:
            with self.lock:
                self.faults.append(f"{fault} in {data!r}")
        except OSError:
            pass
        finally:
            sock.close()

    def _answer(self, sock, request):
        script = self.answers.get(request.target, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" +
                                  (b"" if request.method == b"HEAD" else b"ok"))
        script, then = script if isinstance(script, tuple) else (script, "keep")
        sock.sendall(script)
        if then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return then == "keep"

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def converse(port, text, pieces=False, end=True):
    """Sends `text`, ends the sending side and returns all that comes back until the close."""
    got = b""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for i in range(0, len(text), 1 if pieces else len(text)):
                sock.sendall(text[i:i + 1] if pieces else text)
            if end:
                sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused while it was still sending
        try:
            while True:
                data = sock.recv(65536)
                if not data:
                    return got
                got += data
        except ConnectionResetError:
            return got
