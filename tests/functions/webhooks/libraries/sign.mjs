// Sends signed requests to a hook: node sign.mjs <url> <secret>
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";

const [url, secret] = process.argv.slice(2);
const send = async (id, body, { at = new Date(), signed = body, by = secret } = {}) => {
  const signature = new Webhook(by).sign(id, at, signed);
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
      "webhook-signature": signature,
    },
    body,
  });
  return [response.status, await response.json()];
};

const body = JSON.stringify({ from: "npm", text: "Grüße 🐙\n" });
const [status, received] = await send("npm-1", body);
assert.equal(status, 202);
assert.ok(received.event);
assert.deepEqual(await send("npm-1", body), [202, { event: null }]);
for (const changes of [
  { signed: "{}" },
  { by: "whsec_AAAA" },
  { at: new Date(Date.now() - 600_000) },
  { at: new Date(Date.now() + 600_000) },
]) {
  const [status, problem] = await send("npm-2", body, changes);
  assert.deepEqual([status, problem.code], [401, "hook-refused"]);
}
console.log("all is well");
