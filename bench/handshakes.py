#!/usr/bin/python3
"""A client that makes TLS 1.3 connections one after the other, each for one request: what a handshake costs its server.

    bench/handshakes.py PORT SECONDS full|resumed      prints one line of JSON with every connection's microseconds
"""
import json
import socket
import ssl
import sys
import time

REQUEST = b"GET /100 HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n"


def connect(context, port, session):
    with socket.create_connection(("127.0.0.1", port), 10) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(plain, server_hostname="bench.example", session=session) as secure:
            secure.sendall(REQUEST)
            answer = b""
            while data := secure.recv(16384):
                answer += data
            if not answer.startswith(b"HTTP/1.1 200 "):
                raise ConnectionError(f"answered {answer[:100]!r}")
            return secure.session, secure.session_reused


def main():
    port, seconds, resume = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "resumed"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the server's cost is measured, not the client's
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    session, times, failed = None, [], 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start = time.monotonic()
        try:
            found, reused = connect(context, port, session)
        except OSError as error:
            failed += 1
            print(f"handshakes: {error}", file=sys.stderr)
            continue
        if reused != (resume and session is not None):
            sys.exit(f"handshakes: the session was {'' if reused else 'not '}resumed")
        session = found if resume else None
        times.append(round((time.monotonic() - start) * 1e6))
    print(json.dumps({"times_us": times, "failed": failed}))


if __name__ == "__main__":
    main()
