// Sends GitHub's examples to a hook, signed by GitHub's library: node github.mjs <url> <secret>
// Prints what was sent and answered as JSON: [{kind, delivery, digest, status, answer}]
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import { sign } from "@octokit/webhooks-methods";

const examples = createRequire(import.meta.url)("@octokit/webhooks-examples");
const [url, secret] = process.argv.slice(2);
const all = examples.flatMap(({ name, examples }) => examples.map((payload) => ({ kind: name, payload })));
const send = async ({ kind, payload }, number) => {
  const delivery = `delivery-${number}`;
  const form = number % 4 === 3;
  const json = JSON.stringify(payload);
  const body = form ? new URLSearchParams({ payload: json }).toString() : json;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "content-type": form ? "application/x-www-form-urlencoded" : "application/json",
      "user-agent": "GitHub-Hookshot/044aadd",
      "x-github-delivery": delivery,
      "x-github-event": kind,
      "x-hub-signature-256": await sign(secret, body),
    },
    body,
  });
  const digest = createHash("sha256").update(body).digest("hex");
  return { kind, delivery, digest, status: response.status, answer: await response.json() };
};
const sent = [];
for (const [number, example] of all.entries()) sent.push(await send(example, number));
console.log(JSON.stringify(sent));
