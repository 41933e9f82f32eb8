"""Talks with an agent by the official Python client: python client.py <url of the agent> <token> <url of the keys>"""

import asyncio
import sys

import httpx
from a2a.client import ClientConfig, ClientFactory
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTasksRequest,
    Message,
    Part,
    Role,
    SendMessageRequest,
    TaskState,
)
from a2a.utils.errors import TaskNotCancelableError, TaskNotFoundError
from a2a.utils.signing import create_signature_verifier
from jwt import PyJWK


def ask(number: int, text: str, context: str = "") -> SendMessageRequest:
    part = Part(text=text)
    message = Message(message_id=f"m{number}", context_id=context, role=Role.ROLE_USER, parts=[part])
    return SendMessageRequest(message=message)


async def refused(error: type, call) -> None:
    try:
        await call
    except error:
        return
    raise AssertionError(f"not refused with {error.__name__}")


async def main(url: str, token: str, keys: str) -> None:
    http = httpx.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
    published = (await http.get(keys)).json()["keys"]
    by_id = {key["kid"]: PyJWK(key, algorithm="EdDSA") for key in published if key.get("crv") == "Ed25519"}
    verifier = create_signature_verifier(lambda kid, jku: by_id[kid], ["EdDSA"])

    # A whole answer.
    config = ClientConfig(httpx_client=http, streaming=False)
    client = await ClientFactory(config).create_from_url(url, signature_verifier=verifier)
    answers = [answer async for answer in client.send_message(ask(1, "Hello?"))]
    task = answers[0].task
    assert task.status.state == TaskState.TASK_STATE_COMPLETED, task
    assert task.artifacts[0].parts[0].text == "Hello, client.", task
    again = [answer async for answer in client.send_message(ask(1, "Hello?"))]
    assert again[0].task.id == task.id, "the same message is the same task"

    # A stream, in the same context.
    streaming = await ClientFactory(ClientConfig(httpx_client=http)).create_from_url(url)
    events = [event async for event in streaming.send_message(ask(2, "And again?", task.context_id))]
    assert events[0].HasField("task") and events[0].task.context_id == task.context_id, events
    # Whoever is quick gets the whole of it at once.
    if len(events) > 1:
        assert events[-1].status_update.status.state == TaskState.TASK_STATE_COMPLETED, events
        said = [event.artifact_update for event in events if event.HasField("artifact_update")]
        assert said[-1].last_chunk and said[-1].artifact.parts[0].text == "Hello, client.", said

    # What there was.
    found = await client.get_task(GetTaskRequest(id=task.id))
    assert found.history[0].message_id == "m1", found
    listed = await client.list_tasks(ListTasksRequest(page_size=1))
    assert listed.total_size == 2 and len(listed.tasks) == 1 and listed.next_page_token, listed
    rest = await client.list_tasks(ListTasksRequest(page_size=1, page_token=listed.next_page_token))
    assert rest.tasks[0].id == task.id, rest
    await refused(TaskNotFoundError, client.get_task(GetTaskRequest(id="00000000-0000-7000-8000-000000000000")))
    await refused(TaskNotCancelableError, client.cancel_task(CancelTaskRequest(id=task.id)))
    print("all is well")


asyncio.run(main(*sys.argv[1:4]))
