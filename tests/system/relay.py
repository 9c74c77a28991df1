"""A relay in front of the engine's socket that goes away, answers nonsense, is slow, loses answers and
keeps events to itself, as it is told."""
import http.client
import socket
import threading

from sluice import UnixConnection

HTML = b"<html><body><h1>500 Internal Server Error</h1></body></html>"


class Relay:
    def __init__(self, engine, path):
        self.upstream, self.path = engine.path, str(path)
        self.host = f"unix://{self.path}"
        self.rule = lambda method, path, body: None  # may wait, raise ConnectionError, or give (status, body)
        self.rewrite = lambda method, path, body: body  # of an answer
        self.event_pieces = lambda piece: piece  # what is passed on of a piece of the event stream
        self.muted = False  # events are read and kept
        self.requests = []  # (method, path)
        self.changed = threading.Condition()
        self._open = set()
        self._events = set()
        self._listener = None
        self.up()

    # --- what is done to it ------------------------------------------------------------------------

    def up(self):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def down(self):
        """No socket any more, and what was open is cut."""
        import os
        os.unlink(self.path)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut(self._open)

    def cut_events(self):
        self.cut(self._events)

    def cut(self, sockets):
        for each in list(sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait_requests(self, count, wanted=lambda method, path: True, timeout=20):
        """Until so many requests of this kind have come since it was made."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: sum(wanted(*request) for request in self.requests) >= count, timeout), "no such requests came"

    def close(self):
        try:
            self.down()
        except OSError:
            pass

    # --- what it does ------------------------------------------------------------------------------

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        self._open.add(client)
        try:
            stream = client.makefile("rb")
            while self._one(client, stream):
                pass
        except (OSError, http.client.HTTPException, ValueError):
            pass
        finally:
            self._open.discard(client)
            client.close()

    def _one(self, client, stream):
        line = stream.readline().decode()
        if not line:
            return False
        method, path, _ = line.split(" ", 2)
        headers = http.client.parse_headers(stream)
        body = stream.read(int(headers.get("Content-Length", 0)))
        with self.changed:
            self.requests.append((method, path))
            self.changed.notify_all()
        forged = self.rule(method, path, body)
        if forged:
            self._answer(client, *forged, "text/html")
        elif "/events" in path:
            self._stream_events(client, path)
            return False
        else:
            self._forward(client, method, path, headers, body)
        return True

    def _forward(self, client, method, path, headers, body):
        connection = UnixConnection(self.upstream, timeout=120)
        try:
            connection.request(method, path, body or None, {"Content-Type": headers.get("Content-Type", "")} if body else {})
            answer = connection.getresponse()
            text = self.rewrite(method, path, answer.read())
            self._answer(client, answer.status, text, answer.getheader("Content-Type", ""))
        finally:
            connection.close()

    def _answer(self, client, status, body, kind):
        head = f"HTTP/1.1 {status} Relayed\r\nContent-Type: {kind}\r\n"
        if status not in (204, 304):
            head += f"Content-Length: {len(body)}\r\n"
        client.sendall(head.encode() + b"\r\n" + (body if status not in (204, 304) else b""))

    def _stream_events(self, client, path):
        connection = UnixConnection(self.upstream, timeout=None)
        self._events.add(client)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            threading.Thread(target=self._watch, args=(client, connection.sock), daemon=True).start()
            while piece := answer.read1(65536):
                if not self.muted:
                    client.sendall(self.event_pieces(piece))
        finally:
            self._events.discard(client)
            connection.close()

    def _watch(self, client, upstream):
        """Ends the engine's stream when the client's has ended."""
        try:
            client.recv(1)
            upstream.shutdown(socket.SHUT_RDWR)
        except (OSError, AttributeError):
            pass
