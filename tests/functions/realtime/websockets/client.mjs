// Talks to the gateway with ws: node client.mjs <url> <token>
import assert from "node:assert/strict";
import { once } from "node:events";
import WebSocket from "ws";

const [url, token] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const LIMIT = 65536;

const next = async (socket) => JSON.parse((await once(socket, "message"))[0]);
const open = async (options = { headers }) => {
  const socket = new WebSocket(url, options);
  const first = next(socket);
  await once(socket, "open");
  return [socket, first];
};
const code = async (socket) => (await once(socket, "close"))[0];
const ping = (bytes) => {
  const frame = JSON.stringify({ type: "ping", padding: "" });
  return frame.replace('""', `"${"x".repeat(bytes - frame.length)}"`);
};

// It offers compression, and does without.
let [socket, first] = await open();
assert.equal(socket.extensions, "");
assert.equal((await first).type, "authenticated");

// In fragments, with a ping of the protocol between them.
const subscribe = JSON.stringify({ type: "subscribe", topics: ["account:me"] });
const pong = once(socket, "pong");
const subscribed = next(socket);
socket.send(subscribe.slice(0, 10), { fin: false });
socket.ping("between");
socket.send(subscribe.slice(10, 11), { fin: false });
socket.send(subscribe.slice(11), { fin: true });
assert.equal((await pong)[0].toString(), "between");
assert.equal((await subscribed).type, "subscribed");

// As large as it may be, whole and in fragments.
for (const parts of [1, 16]) {
  const frame = ping(LIMIT);
  assert.equal(frame.length, LIMIT);
  const told = next(socket);
  for (let part = 0; part < parts; part += 1) {
    const size = LIMIT / parts;
    socket.send(frame.slice(part * size, (part + 1) * size), { fin: part === parts - 1 });
  }
  assert.deepEqual(await told, { type: "pong" });
}

// It leaves, and is answered in kind.
let closed = code(socket);
socket.close(1000);
assert.equal(await closed, 1000);

const ends = async (expected, act, options) => {
  const [socket, first] = await open(options);
  if (options === undefined) await first;
  const closed = code(socket);
  act(socket);
  assert.equal(await closed, expected, act.toString());
};
await ends(4413, (socket) => socket.send(ping(LIMIT + 1)));
await ends(4413, (socket) => {
  const half = ping(LIMIT + 1);
  socket.send(half.slice(0, 40000), { fin: false });
  socket.send(half.slice(40000), { fin: true });
});
await ends(4413, (socket) => socket.send(ping(5_000_000)));
await ends(1003, (socket) => socket.send(Buffer.from("{}")));
await ends(4401, (socket) => socket.send(JSON.stringify({ type: "authenticate", token: "nonsense" })), {});
await ends(4401, () => {}, {});

const refused = new WebSocket(url, { headers: { Authorization: "Bearer nonsense" } });
const [, answer] = await once(refused, "unexpected-response");
assert.equal(answer.statusCode, 401);
refused.on("error", () => {});
refused.terminate();
console.log("all is well");
