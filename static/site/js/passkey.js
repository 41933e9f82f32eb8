// Passkeys: signing in with one, offered beside the fields too, and adding one. One ceremony at a time, which ends before
// its challenge does; an offer is then made anew, and what the visitor cancels is not an error.
const PART_OF_TIME = 0.8;
// Browsers keep sessions and have passkeys for encrypted connections and their own machine only, and for names only.
const isNumber = /^(127\.|\[)/.test(location.hostname);
for (const warning of document.querySelectorAll("[data-insecure]")) if (!window.isSecureContext) warning.hidden = false;
for (const hint of document.querySelectorAll("[data-number]")) hint.hidden = !isNumber;
if (isNumber || !window.isSecureContext) for (const part of document.querySelectorAll(".passkey")) part.remove();
const box = document.querySelector("[data-passkey-sign-in]");
const adding = document.querySelector("form[data-passkey-add]");
const isPossible = "PublicKeyCredential" in window && "parseRequestOptionsFromJSON" in PublicKeyCredential;
let running;
let isEntering = false;

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

// The part of the challenge's time that a prompt may take, so that the answer still gets there.
const inTime = (publicKey) => AbortSignal.timeout(publicKey.timeout * PART_OF_TIME);
const isOver = (error) => error.name === "TimeoutError";
const OVER = "The prompt has ended, since its time was over. Try again.";

async function signIn(mediation) {
  // A device has answered already: a second session would end the first.
  if (isEntering) return;
  running?.abort();
  const ceremony = running = new AbortController();
  const { options, state } = await post("/api/sessions/passkey/options");
  ceremony.signal.throwIfAborted();
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const signal = AbortSignal.any([ceremony.signal, inTime(publicKey)]);
  const credential = await navigator.credentials.get({ publicKey, mediation, signal });
  ceremony.signal.throwIfAborted();
  isEntering = true;
  try { await post("/api/sessions/passkey", { state, credential: credential.toJSON() }); } catch (error) { isEntering = false; throw error; }
  location.assign(box.dataset.passkeySignIn);
}

const looked = () => new Promise((done) => {
  if (!document.hidden) return done();
  document.addEventListener("visibilitychange", () => done(), { once: true });
});

// Offers passkeys in the fields, each time with a new challenge. Nobody has asked for it, so nothing is said if it fails.
async function offer() {
  if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
  for (let isRenewed = true; isRenewed;) {
    await looked();
    try { await signIn("conditional"); isRenewed = false; } catch (error) { isRenewed = isOver(error); }
  }
}

if (box && !isPossible) box.remove();
if (box && isPossible) {
  const button = box.querySelector("button");
  button.addEventListener("click", async () => {
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    say(box, "");
    try { await signIn("optional"); } catch (error) {
      if (isOver(error)) say(box, OVER);
      else if (!isSilent(error)) say(box, error.code === "passkeys-unavailable" ? "This server’s address has no passkeys. Use your password." : error.message);
      // The button has ended the offer in the fields.
      offer();
    } finally { button.removeAttribute("aria-busy"); }
  });
  offer();
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
    const credential = await navigator.credentials.create({ publicKey, signal: inTime(publicKey) });
    await post("/api/users/me/passkeys", { name: name.value, state, credential: credential.toJSON() }, csrf.value);
    location.reload();
  } catch (error) {
    if (isOver(error)) say(adding, OVER);
    else if (error.name === "InvalidStateError") say(adding, "This device has a passkey for your account already.");
    else say(adding, isSilent(error) ? "No passkey was added: the prompt was closed, or this device can’t keep one." : error.message);
  } finally { button.removeAttribute("aria-busy"); }
});
