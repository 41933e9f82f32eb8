"""Lists and calls with the official Python client: python client.py <url> <token>"""

import asyncio
import sys

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client


async def main(url: str, token: str) -> None:
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"})
    async with Client(streamable_http_client(url, http_client=http)) as client:
        listed = await client.list_tools()
        assert any(tool.name == "adder__add" for tool in listed.tools), "adder__add is not listed"
        total = await client.call_tool("adder__add", {"a": 40, "b": 2})
        print(f"adder__add: {total.structured_content['result']}")
        failed = await client.call_tool("adder__greet", {"name": ""})
        if failed.is_error:
            print("adder__greet is an error")


asyncio.run(main(*sys.argv[1:3]))
