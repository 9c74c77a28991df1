"""A backend of its own process, so that a crowd on it does not slow down the test that measures: prints its
port, then answers every request. /large answers with argv[1] bytes."""

import asyncio
import sys

LARGE = b"z" * int(sys.argv[1])


async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            if "transfer-encoding: chunked" in head:
                while await reader.readuntil(b"\r\n") != b"0\r\n":
                    pass
                await reader.readline()
            elif "content-length: " in head:
                await reader.readexactly(int(head.split("content-length: ")[1].split("\r\n")[0]))
            body = LARGE if "/large " in head.split("\r\n")[0] else b"victim"
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            if not head.startswith("head "):
                writer.write(body)
            await writer.drain()
    except (OSError, EOFError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())
