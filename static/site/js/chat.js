// A channel's page, live. Events ring the bell; what they are about is asked for as the page itself shows it.
import { fragment } from "./fragment.js";
import { live } from "./live.js";
import { Log } from "./chat/log.js";
import { composer } from "./chat/composer.js";

const CAUGHT_UP_MS = 4000, READ_MS = 400;
const root = document.querySelector(".chat");
const { channel, path, member } = root.dataset;
const account = document.body.dataset.account;
const log = new Log();
const [bar, away, typing] = ["connection", "away", "typing"].map((id) => document.getElementById(id));
const csrf = document.querySelector("#react input[name=csrf]")?.value ?? "";
let newBelow = 0, wasLive = false, wasDown = false, readSeq = 0, catching, barTimer;

const items = (body) => [...body.querySelectorAll("li.message")];
const own = (body) => {
  // Another account has signed in in this browser: this page is not theirs.
  const list = body.querySelector("ol");
  if (list && list.dataset.account !== account) location.reload();
  return list;
};
const name = (id) => document.querySelector(`[data-account-id="${CSS.escape(id)}"]`)?.dataset.name
  ?? document.querySelector(`.message[data-author="${CSS.escape(id)}"]`)?.dataset.name ?? "Somebody";

// What has come since the last message that is shown.
async function catchUp() {
  if (log.hasLater) { newBelow += 1; return showAway(); }
  catching ??= (async () => {
    let fresh = [], list;
    do {
      const body = await fragment(`/parts/channels/${channel}/messages?after=${log.lastSeq}`);
      list = own(body);
      fresh = fresh.concat(log.put(items(body)));
    } while (list?.dataset.later === "true");
    return fresh;
  })().finally(() => { catching = undefined; });
  const fresh = await catching;
  if (fresh.length) {
    announce(fresh);
    if (!isLooked()) log.mark(fresh[0]);
    if (!log.isAtEnd) newBelow += fresh.length;
  }
  showAway();
  look();
  return fresh.length;
}

async function refresh(id) {
  const body = await fragment(`/parts/channels/${channel}/messages/${id}`).catch(() => undefined);
  if (body && own(body)) log.put(items(body));
}

// A new message is read aloud once; what is changed or comes from history is not.
const spoken = document.createElement("p");
spoken.className = "hidden";
spoken.setAttribute("role", "status");
root.append(spoken);
log.list.closest("[role=log]").setAttribute("aria-live", "off");
function announce(fresh) {
  const said = fresh.slice(-3).map((one) => `${one.dataset.name}: ${one.querySelector(".text")?.textContent.trim().slice(0, 300) ?? ""}`);
  spoken.textContent = said.join(". ");
}

// History, above and below.
let loading = false;
async function more(direction) {
  const edge = direction === "before" ? log.first : log.last;
  const has = direction === "before" ? log.hasEarlier : log.hasLater;
  if (loading || !edge || !has) return;
  loading = true;
  try {
    const body = await fragment(`/parts/channels/${channel}/messages?${direction}=${edge.dataset.id}`);
    const list = own(body);
    log.put(items(body));
    if (direction === "before") log.list.dataset.earlier = list.dataset.earlier;
    else { log.list.dataset.later = list.dataset.later; if (!log.hasLater) newBelow = 0; }
    document.querySelector(".earlier")?.toggleAttribute("hidden", !log.hasEarlier);
    document.querySelector(".later")?.toggleAttribute("hidden", !log.hasLater);
    showAway();
  } catch { /* The link stays, and works as one. */ } finally { loading = false; }
}
const seen = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) more(entry.target.classList.contains("earlier") ? "before" : "after");
}, { root: log.scroller, rootMargin: "200px" });
for (const edge of document.querySelectorAll(".earlier, .later")) seen.observe(edge);

// Away from the end.
function showAway() {
  const isAway = log.hasLater || !log.isAtEnd;
  if (!isAway) newBelow = 0;
  away.hidden = !isAway;
  away.firstElementChild.textContent = newBelow ? `Jump to latest, ${newBelow} new` : "Jump to latest";
}
away.addEventListener("click", () => { if (log.hasLater) location.assign(path); else { log.toEnd(); showAway(); look(); } });
log.scroller.addEventListener("scroll", () => { showAway(); look(); }, { passive: true });

// A message is read when it is on the screen of a tab that is looked at.
const isLooked = () => document.visibilityState === "visible" && document.hasFocus();
let lookTimer;
function look() {
  clearTimeout(lookTimer);
  if (member !== "true" || !isLooked() || !log.isAtEnd || log.hasLater || log.lastSeq <= readSeq) return;
  lookTimer = setTimeout(async () => {
    if (!isLooked() || !log.isAtEnd || !log.last) return;
    const [seq, id] = [log.lastSeq, log.last.dataset.id];
    const answer = await fetch(`/api/channels/${channel}/read`, {
      method: "PUT", body: JSON.stringify({ message_id: id }),
      headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf },
    }).catch(() => undefined);
    if (answer?.ok) { readSeq = seq; for (const gone of document.querySelectorAll(".to-unread, form.mark")) gone.remove(); }
  }, READ_MS);
}
for (const event of ["focus", "visibilitychange"]) { window.addEventListener(event, look); document.addEventListener(event, look); }

// Who has read to here.
let seenTimer;
function showSeen() {
  for (const old of document.querySelectorAll(".read-by")) old.remove();
  const by = new Map();
  for (const one of document.querySelectorAll("#seen li")) by.set(one.dataset.message, [...(by.get(one.dataset.message) ?? []), one.textContent]);
  for (const [id, names] of by) {
    const message = log.of(id);
    if (!message) continue;
    const line = document.createElement("p");
    line.className = "read-by meta";
    line.textContent = `Read by ${names.slice(0, 5).join(", ")}${names.length > 5 ? ` and ${names.length - 5} more` : ""}`;
    message.append(line);
  }
}
function askSeen() {
  clearTimeout(seenTimer);
  seenTimer = setTimeout(async () => {
    const body = await fragment(`/parts/channels/${channel}/seen`).catch(() => undefined);
    const list = body?.querySelector("#seen");
    if (list) { document.getElementById("seen")?.replaceWith(document.adoptNode(list)); log.keep(showSeen); }
  }, 500);
}

// Who types, and who is there. Both end by themselves.
const typers = new Map(), present = new Map();
function showTyping() {
  for (const [id, until] of typers) if (until < Date.now()) typers.delete(id);
  const names = [...typers.keys()].map(name);
  typing.textContent = names.length ? `${names.slice(0, 3).join(", ")} ${names.length > 1 ? "are" : "is"} typing …` : "";
}
function showPresence() {
  for (const row of document.querySelectorAll("[data-account-id]")) {
    const one = present.get(row.dataset.accountId);
    const state = one && one.until > Date.now() ? one.state : "offline";
    row.dataset.presence = state;
    row.querySelector(".there").textContent = state === "offline" ? "" : `, ${state}`;
  }
}
// Who has joined since the page was loaded. Somebody who is there need not be in the list: it is of the first hundred, and
// others read a public channel too.
let membersTimer;
function askMembers() {
  clearTimeout(membersTimer);
  membersTimer = setTimeout(async () => {
    const body = await fragment(`/parts/channels/${channel}/members`).catch(() => undefined);
    const list = body?.querySelector("#members");
    if (list) { document.getElementById("members")?.replaceWith(document.adoptNode(list)); showPresence(); }
  }, 500);
}
setInterval(() => { showTyping(); showPresence(); }, 1500);
fetch(`/api/channels/${channel}/presence`).then((answer) => (answer.ok ? answer.json() : [])).then((all) => {
  for (const { account: id, state, until } of all) present.set(id, { state, until: Date.parse(until) });
  showPresence();
}).catch(() => {});

// Reactions, in place.
document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.reaction");
  if (button) {
    event.preventDefault();
    if (button.getAttribute("aria-busy")) return;
    button.setAttribute("aria-busy", "true");
    const id = button.closest(".message").dataset.id;
    const url = `/api/channels/${channel}/messages/${id}/reactions/${encodeURIComponent(button.value)}`;
    await fetch(url, { method: button.name === "add" ? "PUT" : "DELETE", headers: { "X-CSRF-Token": csrf } }).catch(() => {});
    button.removeAttribute("aria-busy");
    return refresh(id);
  }
  const link = event.target.closest?.("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (link.dataset.reply && writer) {
    event.preventDefault();
    const message = link.closest(".message");
    writer.reply(link.dataset.reply, `${message.dataset.name}: ${message.querySelector(".text")?.textContent.trim().slice(0, 80) ?? ""}`);
  } else if (link.closest(".earlier, .later") && link.rel) {
    event.preventDefault();
    more(link.rel === "prev" ? "before" : "after");
  } else if (link.origin === location.origin && link.pathname === path) {
    const around = new URL(link.href).searchParams.get("around");
    if (around) jump(event, around);
  }
});
function jump(event, id) {
  const message = log.of(id);
  if (!message) return;
  event.preventDefault();
  for (const old of log.list.querySelectorAll("[aria-current]")) old.removeAttribute("aria-current");
  message.setAttribute("aria-current", "true");
  message.tabIndex = -1;
  message.scrollIntoView({ block: "center" });
  message.focus({ preventScroll: true });
}

const writer = composer(channel, async (id) => { if (log.hasLater) location.assign(`${path}#m-${id}`); else { await catchUp(); log.toEnd(); } });

// The connection.
function tell(text, goes) {
  clearTimeout(barTimer);
  bar.textContent = text;
  bar.hidden = !text;
  if (goes) barTimer = setTimeout(() => { bar.hidden = true; }, CAUGHT_UP_MS);
}
live?.follow([`channel:${channel}`], (frame) => {
  const id = frame.data?.id;
  switch (frame.type) {
    case "subscribed": askMembers(); catchUp().then((count) => {
      if (wasDown) tell(count ? `Caught up, ${count} new` : "Caught up", true);
      wasDown = false;
    }).catch(() => {}); break;
    case "gone": case "denied": case "channel.deleted": location.reload(); break;
    case "access.changed": if (!frame.data?.account || frame.data.account === account) location.reload(); break;
    case "message.created":
      typers.delete(frame.data?.author?.id);
      showTyping();
      if (frame.data?.seq > log.lastSeq) catchUp().catch(() => {});
      else if (frame.data?.seq > Number(log.first?.dataset.seq) && !log.of(id)) refresh(id);
      break;
    case "message.updated": case "message.deleted": case "message.reaction": case "message.pinned":
      if (log.of(id)) refresh(id);
      break;
    case "channel.read": askSeen(); break;
    case "typing": if (frame.account !== account) { typers.set(frame.account, Date.parse(frame.until)); showTyping(); } break;
    case "presence":
      present.set(frame.account, { state: frame.state, until: Date.parse(frame.until) });
      showPresence();
      break;
    case "channel.member.joined": case "channel.member.updated": case "channel.member.left": askMembers(); break;
  }
});
live?.onState((state) => {
  if (state === "down" && wasLive) { wasDown = true; tell("Connection lost. Trying again …"); }
  else if (state === "live") { wasLive = true; tell(""); }
  else if (state === "polling") { wasLive = true; wasDown = false; tell("Nothing comes live through this network: new messages show within seconds."); }
  else if (state === "poll") catchUp().catch(() => {});
});
setTimeout(() => { if (!wasLive) tell("Not connected yet. Messages can be written all the same."); }, 5000);
// What came between the server's answer and this line.
catchUp().catch(() => {});

log.of(new URLSearchParams(location.search).get("around"))?.scrollIntoView({ block: "center" });
showSeen();
showAway();
look();
