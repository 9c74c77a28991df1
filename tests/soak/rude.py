"""Clients that do what they should not: they must hurt nobody, and leave nothing behind."""
import asyncio
import os
import random

from traffic import Broken, Http, must

HEAD = b"Host: soak.test\r\n"


async def aborts_in_head(connection):
    await connection.send(b"GET / HTTP/1.1\r\nHost: so")


async def aborts_in_body(connection):
    await connection.send(b"POST /upload HTTP/1.1\r\n" + HEAD + b"Content-Length: 1000000\r\n\r\n" + bytes(random.randrange(9999)))
    await asyncio.sleep(random.random() / 10)


async def aborts_in_answer(connection):
    await connection.send(b"GET /bytes?n=3000000 HTTP/1.1\r\n" + HEAD + b"\r\n")
    await connection.reader.read(1000)


async def never_reads(connection):
    connection.writer.transport.pause_reading()
    await connection.send(b"GET /bytes?n=8000000 HTTP/1.1\r\n" + HEAD + b"\r\n")
    await asyncio.sleep(2)


async def leaves_while_it_waits(connection):
    await connection.send(b"GET /slow?ms=1000 HTTP/1.1\r\n" + HEAD + b"\r\n")
    await asyncio.sleep(random.random() / 5)


async def is_idle(connection):
    await asyncio.sleep(2)


async def trickles(connection):
    for byte in b"GET / HTTP/1.1\r\n":
        await connection.send(bytes([byte]))
        await asyncio.sleep(0.1)


async def upgrades_and_goes(connection):
    await connection.send(b"GET /ws HTTP/1.1\r\n" + HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                          b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n")
    await connection.reader.read(10)


# Those below wait for what Sluice says to it.

async def half_closes(connection):
    await connection.send(b"GET /slow?ms=300 HTTP/1.1\r\n" + HEAD + b"\r\n")
    connection.writer.write_eof()
    status, fields = await connection.head()
    must(status == 200, f"status {status}")
    await connection.body(fields)


async def refused(connection, data):
    await connection.send(data)
    got = await connection.reader.read(-1)
    must(got == b"" or got.startswith(b"HTTP/1.1 400 "), f"wrong answer to garbage: {got[:100]!r}")


async def sends_garbage(connection):
    await refused(connection, b"\x16\x03" + os.urandom(random.randrange(1, 300)) + b"\r\n\r\n")


async def smuggles(connection):
    await refused(connection, b"POST / HTTP/1.1\r\n" + HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


async def breaks_its_chunks(connection):
    await refused(connection, b"POST /upload HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")


GOING = [aborts_in_head, aborts_in_body, aborts_in_answer, never_reads, leaves_while_it_waits, is_idle, trickles,
         upgrades_and_goes]
ASKING = [half_closes, sends_garbage, smuggles, breaks_its_chunks]


async def one(ledger, address, tls):
    """One of them. Those that only go are counted; those that ask are judged like any other."""
    work = random.choice(GOING + (ASKING if tls is None else ASKING[1:]))  # TLS has no half-close here
    connection = Http(address, tls)
    exchange = ledger.begin(("tls rude: " if tls else "rude: ") + work.__name__.replace("_", " "))
    try:
        await connection.open()
        await asyncio.wait_for(work(connection), 10)
        exchange.done()
    except (Broken, OSError, EOFError, asyncio.TimeoutError) as error:
        if work in GOING:
            exchange.done()  # cut off by Sluice, which it may
        elif isinstance(error, ConnectionResetError) and work is not half_closes:
            exchange.done()  # refused and closed while more was on its way
        else:
            exchange.failed(str(error) if isinstance(error, Broken) else repr(error))
    finally:
        connection.close(abruptly=work in GOING and random.random() < 0.7)
