// Passkeys: signing in with one, offered beside the fields too, and adding one. One ceremony at a time; an offer is
// renewed before its challenge ends, and what the visitor cancels is not an error.
const OFFER_MS = 240000;
// Browsers keep sessions and have passkeys for encrypted connections and their own machine only, and for names only.
const isNumber = /^(127\.|\[)/.test(location.hostname);
for (const warning of document.querySelectorAll("[data-insecure]")) if (!window.isSecureContext) warning.hidden = false;
for (const hint of document.querySelectorAll("[data-number]")) hint.hidden = !isNumber;
if (isNumber || !window.isSecureContext) for (const part of document.querySelectorAll(".passkey")) part.remove();
const box = document.querySelector("[data-passkey-sign-in]");
const adding = document.querySelector("form[data-passkey-add]");
const isPossible = "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;
let running;

async function post(path, body, csrf) {
  const headers = { "Content-Type": "application/json", ...(csrf && { "X-CSRF-Token": csrf }) };
  const answer = await fetch(path, { method: "POST", headers, ...(body && { body: JSON.stringify(body) }) });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const error = content.errors?.[0];
    throw Object.assign(new Error(error ? `The ${error.field.replaceAll("_", " ")} ${error.detail}.` : content.detail ?? "The server refused."), { code: content.code });
  }
  return content;
}

function say(within, text) {
  const line = within.querySelector(".error[role=alert]");
  line.textContent = text;
  line.hidden = !text;
}

// Whether the visitor or the browser ended the ceremony: then there is nothing to say.
const isSilent = (error) => ["AbortError", "NotAllowedError"].includes(error.name);

async function signIn(mediation) {
  running?.abort();
  const ceremony = running = new AbortController();
  const { options, state } = await post("/api/sessions/passkey/options");
  if (ceremony.signal.aborted) return false;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const credential = await navigator.credentials.get({ publicKey, mediation, signal: ceremony.signal });
  await post("/api/sessions/passkey", { state, credential: credential.toJSON() });
  location.assign(box.dataset.passkeySignIn);
  return true;
}

// Offers passkeys in the fields. The offer ends before its challenge does, and begins anew.
async function offer() {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  let waits = true;
  const end = setTimeout(() => { if (waits) { running?.abort(); if (!document.hidden) offer(); } }, OFFER_MS);
  try { await signIn("conditional"); } catch (error) { if (!isSilent(error)) say(box, error.message); } finally { waits = false; clearTimeout(end); }
}

if (box && !isPossible) box.remove();
if (box && isPossible) {
  const button = box.querySelector("button");
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    say(box, "");
    try { await signIn("optional"); } catch (error) {
      if (!isSilent(error)) say(box, error.code === "passkeys-unavailable" ? "This server’s address has no passkeys. Use your password." : error.message);
    } finally { button.removeAttribute("aria-busy"); }
  });
  offer().catch(() => {});
}

if (adding && !isPossible) adding.replaceWith("This browser has no passkeys.");
adding?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { csrf, name, password, code } = adding.elements;
  const button = adding.querySelector("button");
  if (button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  say(adding, "");
  try {
    const proof = { password: password.value || undefined, code: code?.value || undefined };
    const { options, state } = await post("/api/users/me/passkeys/options", proof, csrf.value);
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
    const credential = await navigator.credentials.create({ publicKey });
    await post("/api/users/me/passkeys", { name: name.value, state, credential: credential.toJSON() }, csrf.value);
    location.reload();
  } catch (error) {
    if (error.name === "InvalidStateError") say(adding, "This device has a passkey for your account already.");
    else if (!isSilent(error)) say(adding, error.message);
  } finally { button.removeAttribute("aria-busy"); }
});
