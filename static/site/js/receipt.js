// Verifies signed statements in the browser, with the platform's public keys: what a seal says is checked here.
const TYPE = "application/vnd.in-toto+json";
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const fromUrl = (text) => bytes(text.replace(/-/g, "+").replace(/_/g, "/"));

let keys;
async function key(id) {
  keys ??= fetch("/.well-known/jwks.json").then((answer) => answer.json());
  const found = (await keys).keys.find((one) => one.kid === id && one.crv === "Ed25519");
  return found && crypto.subtle.importKey("raw", fromUrl(found.x), { name: "Ed25519" }, false, ["verify"]);
}

// What DSSE signs: the type and the payload, each with its length.
function signed(type, payload) {
  const head = new TextEncoder().encode(`DSSEv1 ${type.length} ${type} ${payload.length} `);
  const all = new Uint8Array(head.length + payload.length);
  all.set(head);
  all.set(payload, head.length);
  return all;
}

async function verify(envelope) {
  if (envelope.payloadType !== TYPE) throw new Error("it is not an in-toto statement");
  const payload = bytes(envelope.payload);
  for (const { keyid, sig } of envelope.signatures) {
    const known = await key(keyid);
    if (known && await crypto.subtle.verify("Ed25519", known, bytes(sig), signed(TYPE, payload))) {
      return JSON.parse(new TextDecoder().decode(payload));
    }
  }
  throw new Error("no key of this platform has signed it");
}

function tell(box, statement) {
  const list = document.createElement("dl");
  const line = (name, value) => {
    const [term, text] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    text.textContent = typeof value === "object" ? JSON.stringify(value) : String(value);
    list.append(term, text);
  };
  for (const { name, digest } of statement.subject ?? []) line(name, `sha256:${digest?.sha256}`);
  line("says", statement.predicateType);
  for (const [name, value] of Object.entries(statement.predicate ?? {})) line(name.replaceAll("_", " "), value);
  box.querySelector(".statement").replaceChildren(list);
}

async function check(box) {
  if (box.dataset.checked) return;
  box.dataset.checked = "true";
  const verdict = box.querySelector(".verdict");
  try {
    const statement = await verify(JSON.parse(box.dataset.envelope));
    tell(box, statement);
    verdict.textContent = "verified in this browser";
    box.dataset.verdict = "good";
  } catch (error) {
    const missing = error instanceof DOMException && error.name === "NotSupportedError" || !globalThis.crypto?.subtle;
    verdict.textContent = missing ? "this browser can’t verify it here; the statement is below" : `not verified: ${error.message}`;
    box.dataset.verdict = missing ? "unknown" : "bad";
  }
}

const all = () => document.querySelectorAll("details.receipt").forEach(check);
all();
document.addEventListener("htmx:after:swap", all);
