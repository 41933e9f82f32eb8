// Talks with an agent by the official JavaScript client: node client.mjs <url of the agent> <token> <url of the keys>
import assert from "node:assert/strict";
import { ListTasksRequest, Role, TaskState, verifyAgentCardSignature } from "@a2a-js/sdk";
import { ClientFactory, JsonRpcTransportFactory } from "@a2a-js/sdk/client";
import { TaskNotCancelableError, TaskNotFoundError } from "@a2a-js/sdk/errors";

const [url, token, keys] = process.argv.slice(2);
const authorized = (input, init = {}) =>
  fetch(input, { ...init, headers: { ...init.headers, Authorization: `Bearer ${token}` } });
const factory = new ClientFactory({ transports: [new JsonRpcTransportFactory({ fetchImpl: authorized })] });

const ask = (messageId, text, contextId = "") => ({
  message: { messageId, contextId, role: Role.ROLE_USER, parts: [{ content: { $case: "text", value: text } }] },
});
const all = async (events) => {
  const seen = [];
  for await (const { payload } of events) seen.push(payload);
  return seen;
};
const text = (artifact) => artifact.parts.map((part) => part.content.value).join("");

// The card and its signature, which is verified over the card as it was sent: what the client makes of it has lost its
// security schemes.
const get = async (from) => (await fetch(from)).json();
const client = await factory.createFromUrl(`${url}/`);
const card = await client.getAgentCard();
assert.equal(card.name, "bot");
assert.equal(client.protocolVersion, "1.0");
const { keys: published } = await get(keys);
const verify = verifyAgentCardSignature(async (kid) => published.find((key) => key.kid === kid));
const sent = await get(`${url}/.well-known/agent-card.json`);
await verify(sent);
await assert.rejects(verify({ ...sent, name: "other" }), /No valid signatures/);

// A whole answer.
const task = await client.sendMessage(ask("m1", "Hello?"));
assert.equal(task.status.state, TaskState.TASK_STATE_COMPLETED);
assert.equal(text(task.artifacts[0]), "Hello, client.");
const again = await client.sendMessage(ask("m1", "Hello?"));
assert.equal(again.id, task.id, "the same message is the same task");

// A stream, in the same context.
const events = await all(client.sendMessageStream(ask("m2", "And again?", task.contextId)));
assert.equal(events[0].$case, "task");
assert.equal(events[0].value.contextId, task.contextId);
// Whoever is quick gets the whole of it at once.
if (events.length > 1) {
  const last = events.at(-1);
  assert.equal(last.$case, "statusUpdate");
  assert.equal(last.value.status.state, TaskState.TASK_STATE_COMPLETED);
  const said = events.filter((event) => event.$case === "artifactUpdate").at(-1).value;
  assert.ok(said.lastChunk);
  assert.equal(text(said.artifact), "Hello, client.");
}

// A task that is cancelled while it is streamed, once its first words are there.
let story;
const told = [];
for await (const { payload } of client.sendMessageStream(ask("m3", "Tell a long story."))) {
  told.push(payload);
  story ??= payload.value.id;
  if (payload.$case === "artifactUpdate" && !payload.value.lastChunk) {
    assert.equal(text(payload.value.artifact), "Once upon");
    const gone = await client.cancelTask({ id: story });
    assert.equal(gone.status.state, TaskState.TASK_STATE_CANCELED);
  }
}
assert.equal(told.at(-1).$case, "statusUpdate");
assert.equal(told.at(-1).value.status.state, TaskState.TASK_STATE_CANCELED);

// What there was.
const found = await client.getTask({ id: task.id });
assert.equal(found.history[0].messageId, "m1");
const listed = await client.listTasks(ListTasksRequest.fromJSON({ pageSize: 2 }));
assert.equal(listed.totalSize, 3);
assert.equal(listed.tasks.length, 2);
const rest = await client.listTasks(ListTasksRequest.fromJSON({ pageSize: 2, pageToken: listed.nextPageToken }));
assert.deepEqual(rest.tasks.map((one) => one.id), [task.id]);
await assert.rejects(client.getTask({ id: "00000000-0000-7000-8000-000000000000" }), TaskNotFoundError);
await assert.rejects(client.cancelTask({ id: task.id }), TaskNotCancelableError);
console.log("all is well");
