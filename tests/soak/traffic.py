"""Clients of the soak: each a loop at a fixed rate that checks every answer and tells the ledger."""
import asyncio
import hashlib
import os
import random

import websockets

PATIENCE = 15  # seconds: past it an exchange has failed


class Broken(Exception):
    pass


class Http:
    """One connection, raw: what a client library would mend by itself must show."""

    def __init__(self, address, tls=None):
        self.address, self.tls = address, tls
        self.reader = self.writer = None
        self.closes = False

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(
            *self.address, ssl=self.tls, server_hostname="soak.test" if self.tls else None, limit=1 << 20)

    def close(self, abruptly=False):
        if self.writer is not None:
            if abruptly:
                self.writer.transport.abort()
            else:
                self.writer.close()
        self.writer = None

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def head(self):
        try:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError as error:
            raise Broken(f"closed behind {len(error.partial)} bytes of an answer's head") from None
        status, *lines = head[:-4].split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        self.closes = fields.get("connection") == "close"
        return int(status.split(" ")[1]), fields

    async def body(self, fields):
        try:
            if fields.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readexactly(2)
                return body
            return await self.reader.readexactly(int(fields["content-length"]))
        except asyncio.IncompleteReadError:
            raise Broken("cut in its body") from None

    async def get(self, path, more=""):
        await self.send(f"GET {path} HTTP/1.1\r\nHost: soak.test\r\n{more}\r\n".encode())
        status, fields = await self.head()
        return status, fields, await self.body(fields)


def must(condition, detail):
    if not condition:
        raise Broken(detail)


async def judged(ledger, kind, work):
    """Runs one exchange and writes down what came of it. Returns whether it was done."""
    exchange = ledger.begin(kind)
    try:
        await asyncio.wait_for(work, PATIENCE)
    except (Broken, OSError, EOFError, ValueError, KeyError, asyncio.TimeoutError, websockets.WebSocketException) as error:
        exchange.failed(str(error) if isinstance(error, Broken) else repr(error))
        return False
    exchange.done()
    return True


async def at_rate(rate, work):
    """Starts `work` so often, whatever becomes of it; no two at once."""
    loop = asyncio.get_running_loop()
    due = loop.time() + random.random() / rate
    while True:
        await asyncio.sleep(max(0, due - loop.time()))
        due = max(due + 1 / rate, loop.time())
        await work()


# --- what an exchange is --------------------------------------------------------------------------

async def index(connection):
    status, fields, body = await connection.get("/")
    must(status == 200, f"status {status}")
    must(body.decode().startswith(fields.get("x-version", "-") + " "), f"wrong body {body!r}")


async def download(connection):
    status, fields, body = await connection.get(f"/bytes?n={random.randrange(1, 300_000)}&seed={random.randrange(99)}"
                                                f"&chunked={random.randrange(2)}")
    must(status == 200, f"status {status}")
    must(hashlib.sha256(body).hexdigest() == fields["x-sha256"], "wrong body")


async def upload(connection):
    body = os.urandom(random.randrange(1, 200_000))
    await connection.send(b"POST /upload HTTP/1.1\r\nHost: soak.test\r\nTransfer-Encoding: chunked\r\n\r\n")
    at = 0
    while at < len(body):
        piece = body[at:at + random.randrange(1, 50_000)]
        await connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        at += len(piece)
    await connection.send(b"0\r\n\r\n")
    status, fields = await connection.head()
    answer = await connection.body(fields)
    must(status == 200, f"status {status}")
    must(answer.decode() == f"{hashlib.sha256(body).hexdigest()} {len(body)}\n", f"wrong sum {answer!r}")


async def slow(connection):
    status, _, _ = await connection.get("/slow?ms=1500")
    must(status == 200, f"status {status}")


async def sse(connection):
    """Events come as they are sent, none late by much, all of them."""
    await connection.send(b"GET /stream?n=20&ms=100 HTTP/1.1\r\nHost: soak.test\r\nAccept: text/event-stream\r\n\r\n")
    status, fields = await connection.head()
    must(status == 200, f"status {status}")
    body = await connection.body(fields)
    must(body == b"".join(b"data: %d\n\n" % i for i in range(20)), f"wrong events {body!r}")


async def pipelined(connection):
    """Five at once. A server that has said that it closes (a worker that retires) may leave the rest unanswered, and they are sent
    again on another connection (RFC 9112, 9.3.2 and 9.6); one that has not said so may not."""
    left = 5
    while left > 0:
        await connection.send(b"GET / HTTP/1.1\r\nHost: soak.test\r\n\r\n" * left)
        connection.closes = False
        while left > 0 and not connection.closes:
            status, fields = await connection.head()
            must(status == 200, f"status {status}")
            await connection.body(fields)
            left -= 1
        if left > 0:
            connection.close()
            await connection.open()


async def once(address, tls, work):
    connection = Http(address, tls)
    try:
        await connection.open()
        await work(connection)
    finally:
        connection.close()


# --- clients that live as long as the run ---------------------------------------------------------

class KeepAlive:
    """One connection, opened anew where it was closed as announced or broke."""

    def __init__(self, ledger, kind, address, tls, work):
        self.ledger, self.kind, self.address, self.tls, self.work = ledger, kind, address, tls, work
        self.connection = None

    async def exchange(self):
        if self.connection is None:
            self.connection = Http(self.address, self.tls)
            await self.connection.open()
        await self.work(self.connection)

    async def __call__(self):
        idle = self.connection
        if idle is not None and idle.reader.at_eof():  # closed while idle: any server may
            self.close()
        good = await judged(self.ledger, self.kind, self.exchange())
        if self.connection is not None and (not good or self.connection.closes):
            self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


async def websocket(ledger, address, tls):
    """A WebSocket for some seconds, by Debian's python3-websockets."""
    async def talk():
        scheme = "wss" if tls else "ws"
        more = {"ssl": tls, "server_hostname": "soak.test"} if tls else {}
        async with websockets.connect(f"{scheme}://{address[0]}:{address[1]}/ws", ping_interval=None, **more) as channel:
            for i in range(random.randrange(1, 20)):
                await channel.send(f"message {i}")
                answer = await channel.recv()
                must(f"message {i}" in str(answer), f"wrong echo {answer!r}")
                await asyncio.sleep(0.4)
    await judged(ledger, "tls websocket" if tls else "websocket", talk())


async def tcp(ledger, address):
    """A TCP connection for some seconds: lines, then a half-close; all of it must come back."""
    async def talk():
        reader, writer = await asyncio.open_connection(*address)
        try:
            sent = b""
            for _ in range(random.randrange(1, 20)):
                line = os.urandom(random.randrange(1, 5000))
                sent += line
                writer.write(line)
                await writer.drain()
                await asyncio.sleep(0.3)
            writer.write_eof()
            got = await reader.read(-1)
            must(len(got) == len(sent), f"{len(got)} of {len(sent)} bytes came back")
            must(got == sent, "wrong bytes")
        finally:
            writer.close()
    await judged(ledger, "tcp", talk())
