"""Serves a tool of 2025-11-25 alone by the official Python package, which asks whoever calls it for more than arguments."""

import socket

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel
from starlette.responses import JSONResponse

server = MCPServer("sky")


class Day(BaseModel):
    """What is asked for."""

    day: str


@server.tool()
async def weather(city: str, context: Context) -> str:
    """Tells the weather."""
    asked = await context.elicit("Which day?", Day)
    return f"{city}: {asked.action}"


def of_former_revision(app):
    """Refuses requests of the present revision, as a server does that does not know it."""

    async def answer(scope, receive, send):
        headers = dict(scope.get("headers", []))
        if headers.get(b"mcp-protocol-version") == b"2026-07-28":
            await JSONResponse({"error": "unknown revision"}, 400)(scope, receive, send)
        else:
            await app(scope, receive, send)

    return answer


config = uvicorn.Config(of_former_revision(server.streamable_http_app()), log_level="warning", lifespan="on")
uvicorn.Server(config).run(sockets=[socket.socket(fileno=0)])
