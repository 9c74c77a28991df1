"""python3-websockets at both ends."""
import asyncio
import os
import threading

import pytest
import websockets

from sluice import Sluice


class Server:
    """Echoes; "close N" makes it close with that code."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.codes = []  # what its connections were closed with
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        assert self.ready.wait(20)

    async def _serve(self, channel, *_):
        try:
            async for message in channel:
                if isinstance(message, str) and message.startswith("close "):
                    await channel.close(int(message[6:]), "as asked")
                else:
                    await channel.send(message)
        finally:
            self.codes.append(channel.close_code)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(websockets.serve(self._serve, "127.0.0.1", 0, max_size=8 << 20,
                                                               subprotocols=["chat"]))
        self.address = "127.0.0.1:%d" % server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()
        server.close()
        self.loop.run_until_complete(server.wait_closed())
        self.loop.close()

    def close(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(20)


@pytest.fixture
def served(tmp_path):
    server = Server()
    sluice = Sluice(tmp_path, {"listeners": {"web": {"address": "127.0.0.1:0"}},
                               "services": {"web": {"backends": [server.address]}}, "workers": 2})
    sluice.server = server
    sluice.url = "ws://127.0.0.1:%d/chat" % sluice.address("web")[1]
    yield sluice
    sluice.close()
    server.close()
    sluice.stop()


def active(sluice):
    return sum(backend["active"] for backend in sluice.service("web")["groups"]["stable"]["backends"])


def talk(work):
    asyncio.run(asyncio.wait_for(work, 30))


def test_messages_of_every_kind_come_back(served):
    async def work():
        async with websockets.connect(served.url, max_size=8 << 20, subprotocols=["chat"]) as channel:
            assert channel.subprotocol == "chat"
            for message in ("text", "ä" * 1000, b"", os.urandom(1 << 20), "x" * (4 << 20)):
                await channel.send(message)
                assert await channel.recv() == message
            await (await channel.ping())
            assert active(served) == 1
    talk(work())
    served.wait_until(lambda: active(served) == 0 and served.server.codes == [1000])


def test_without_compression_too(served):
    async def work():
        async with websockets.connect(served.url, compression=None) as channel:
            for i in range(200):
                await channel.send(os.urandom(i))
                assert len(await channel.recv()) == i
    talk(work())


@pytest.mark.parametrize("code", [1000, 1001, 3999])
def test_a_close_by_the_server_reaches_the_client(served, code):
    async def work():
        async with websockets.connect(served.url) as channel:
            await channel.send(f"close {code}")
            await channel.wait_closed()
            assert (channel.close_code, channel.close_reason) == (code, "as asked")
    talk(work())
    served.wait_until(lambda: active(served) == 0)


def test_a_close_by_the_client_reaches_the_server(served):
    async def work():
        channel = await websockets.connect(served.url)
        await channel.close(4001, "enough")
    talk(work())
    served.wait_until(lambda: served.server.codes == [4001] and active(served) == 0)


def test_fifty_at_once(served):
    async def one(i):
        async with websockets.connect(served.url) as channel:
            for k in range(20):
                await channel.send(f"{i} {k}")
                assert await channel.recv() == f"{i} {k}"

    async def work():
        await asyncio.gather(*(one(i) for i in range(50)))
    talk(work())
    served.wait_until(lambda: active(served) == 0 and len(served.server.codes) == 50)
    assert set(served.server.codes) == {1000}
