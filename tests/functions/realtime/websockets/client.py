"""Talks to the gateway with websockets: python client.py <url> <token>"""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

URL, TOKEN = sys.argv[1:]
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
LIMIT = 65536


def ping(size):
    frame = json.dumps({"type": "ping", "padding": ""})
    return frame.replace('""', '"' + "x" * (size - len(frame)) + '"')


async def told(socket):
    return json.loads(await socket.recv())


async def close_code(socket):
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code


async def ends(expected, *sent, headers=HEADERS):
    async with connect(URL, additional_headers=headers) as socket:
        if headers:
            await told(socket)
        for one in sent:
            try:
                await socket.send(one)
            except ConnectionClosed:
                pass
        assert await close_code(socket) == expected, (expected, str(sent)[:80])


async def main():
    # It offers compression, and does without; its own pings are answered.
    async with connect(URL, additional_headers=HEADERS, ping_interval=0.5) as socket:
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        assert (await told(socket))["type"] == "authenticated"
        subscribe = json.dumps({"type": "subscribe", "topics": ["account:me"]})
        await socket.send([subscribe[:10], subscribe[10:11], subscribe[11:]])
        assert (await told(socket))["type"] == "subscribed"
        await asyncio.wait_for(await socket.ping(), 30)
        await asyncio.sleep(2)
        size = LIMIT // 16
        for frame in [ping(LIMIT), [ping(LIMIT)[part * size : (part + 1) * size] for part in range(16)]]:
            await socket.send(frame)
            assert await told(socket) == {"type": "pong"}
        await socket.close(1000)
        assert socket.protocol.close_rcvd.code == 1000
    await ends(4413, ping(LIMIT + 1))
    await ends(4413, [ping(LIMIT + 1)[:40000], ping(LIMIT + 1)[40000:]])
    await ends(1003, b"{}")
    await ends(4401, json.dumps({"type": "authenticate", "token": "nonsense"}), headers={})
    await ends(4401, headers={})
    try:
        async with connect(URL, additional_headers={"Authorization": "Bearer nonsense"}):
            raise AssertionError("a bad token must be refused at the door")
    except InvalidStatus as refused:
        assert refused.response.status_code == 401
    print("all is well")


asyncio.run(main())
