// Verifies what a receiver was sent: node verify.mjs <file of {secrets, requests: [{headers, body}]}>
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const { secrets, requests } = JSON.parse(readFileSync(process.argv[2]));
assert.ok(secrets.length > 0 && requests.length > 0);
for (const { headers, body } of requests) {
  for (const secret of secrets) {
    assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
    assert.throws(() => new Webhook(secret).verify(`${body} `, headers));
    assert.throws(() => new Webhook(secret).verify(body, { ...headers, "webhook-id": "another" }));
  }
  assert.throws(() => new Webhook("whsec_AAAA").verify(body, headers));
}
console.log(`${requests.length} verified`);
