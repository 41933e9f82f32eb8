// The composer: drafts are kept, Enter sends unless it ends a composition, and what could not be sent stays with its
// reason, to be sent again or discarded. What is kept belongs to one account, in this tab only.
import { live } from "../live.js";

const TYPING_MS = 2000, AFTER_COMPOSITION_MS = 50;
const account = document.body.dataset.account ?? "";
const read = (key, otherwise) => { try { return JSON.parse(sessionStorage.getItem(key)) ?? otherwise; } catch { return otherwise; } };
const write = (key, value) => { try { sessionStorage.setItem(key, JSON.stringify(value)); } catch { /* It is full: the text is still on the page. */ } };

for (const name of Object.keys(sessionStorage)) {
  if (/^(draft|unsent):/.test(name) && name.split(":")[1] !== account) sessionStorage.removeItem(name);
}

export function composer(channel, sent) {
  const form = document.getElementById("composer");
  if (!form) return;
  const [text, outbox, replying] = [form.elements.body, document.getElementById("outbox"), document.getElementById("replying")];
  const [draft, unsent] = [`draft:${account}:${form.dataset.draft}`, `unsent:${account}:${channel}`];
  let composedAt = -Infinity, typedAt = 0;

  if (!text.value) text.value = read(draft, {}).body ?? "";
  text.addEventListener("input", () => {
    if (text.value) write(draft, { body: text.value }); else sessionStorage.removeItem(draft);
    if (text.value && Date.now() - typedAt > TYPING_MS) { typedAt = Date.now(); live?.send({ type: "typing", channel }); }
  });
  text.addEventListener("compositionend", (event) => { composedAt = event.timeStamp; });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && form.elements.reply_to.value) return reply("", "");
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    if (event.timeStamp - composedAt < AFTER_COMPOSITION_MS) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = text.value.trim();
    if (!body) return;
    const message = { body, client_id: crypto.randomUUID(), reply_to: form.elements.reply_to.value || undefined };
    text.value = "";
    sessionStorage.removeItem(draft);
    reply("", "");
    write(unsent, [...read(unsent, []), message]);
    deliver(message);
    text.focus();
  });
  replying.querySelector("a").addEventListener("click", (event) => { event.preventDefault(); reply("", ""); text.focus(); });

  function reply(id, excerpt) {
    form.elements.reply_to.value = id;
    replying.hidden = !id;
    replying.querySelector("span").textContent = excerpt;
    if (id) text.focus();
  }

  function forget(message, row) {
    const left = read(unsent, []).filter((one) => one.client_id !== message.client_id);
    if (left.length) write(unsent, left); else sessionStorage.removeItem(unsent);
    row?.remove();
  }

  // A message in the outbox: on its way, or not sent, with the reason and what can be done.
  function row(message) {
    const item = document.createElement("li");
    const [body, state] = [document.createElement("p"), document.createElement("p")];
    body.textContent = message.body;
    body.dir = "auto";
    state.className = "meta";
    item.append(body, state);
    outbox.append(item);
    return { item, state };
  }

  async function deliver(message, shown = row(message)) {
    shown.state.replaceChildren("Sending …");
    let reason;
    try {
      const answer = await fetch(`/api/channels/${channel}/messages`, {
        method: "POST", body: JSON.stringify(message),
        headers: { "Content-Type": "application/json", "X-CSRF-Token": form.elements.csrf.value },
      });
      if (answer.ok) {
        const { id } = await answer.json();
        await sent(id).catch(() => {});
        return forget(message, shown.item);
      }
      reason = await why(answer);
    } catch { reason = "The server can’t be reached."; }
    const button = (label, act) => {
      const one = document.createElement("button");
      one.type = "button";
      one.className = "link";
      one.textContent = label;
      one.addEventListener("click", act);
      return one;
    };
    shown.state.replaceChildren(`Not sent. ${reason} `, button("Retry", () => deliver(message, shown)), " ", button("Discard", () => forget(message, shown.item)));
    shown.item.setAttribute("role", "alert");
  }

  for (const message of read(unsent, [])) deliver(message);
  return { reply };
}

async function why(answer) {
  const problem = await answer.json().catch(() => ({}));
  const after = answer.headers.get("retry-after");
  const reason = problem.errors?.[0] ? `The ${problem.errors[0].field} ${problem.errors[0].detail}.` : problem.detail ?? "";
  if (answer.status === 401) return "Your session has ended: sign in in another tab, then retry.";
  return after ? `${reason} Try again in ${after} s.` : reason;
}
