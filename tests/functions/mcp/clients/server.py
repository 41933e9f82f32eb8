"""Serves tools by the official Python package, on the socket that is its input: python server.py <what `weather` says of
itself>. Prints each call."""

import socket
import sys

import uvicorn
from mcp.server import MCPServer

server = MCPServer("sky")


@server.tool(description=sys.argv[1])
def weather(city: str) -> str:
    print(f"weather in {city}", flush=True)
    return f"Rain in {city}."


@server.tool()
def sunrise(city: str) -> str:
    """Tells when the sun rises."""
    print(f"sunrise in {city}", flush=True)
    return f"At six in {city}."


config = uvicorn.Config(server.streamable_http_app(), log_level="warning")
uvicorn.Server(config).run(sockets=[socket.socket(fileno=0)])
