// The joined channels in the rail: their unread counts follow the one event stream.
import { live } from "./live.js";

const NEWS = new Set(["message.created", "message.deleted", "channel.read"]);
let timer;

function show(counts) {
  for (const link of document.querySelectorAll(".rail [data-channel]")) {
    const unread = counts.find(({ channel }) => channel === link.dataset.channel)?.unread;
    // The channels that were written in last are counted; others have not changed.
    if (unread === undefined) continue;
    let count = link.querySelector(".count");
    if (!unread) { count?.remove(); continue; }
    if (!count) { count = document.createElement("span"); count.className = "count"; link.append(count); }
    count.textContent = String(unread);
    const said = document.createElement("span");
    said.className = "hidden";
    said.textContent = " unread";
    count.append(said);
  }
}

async function ask() {
  const answer = await fetch("/api/channels/unread?limit=8").catch(() => undefined);
  if (answer?.ok) show(await answer.json());
}

export function rail() {
  const links = [...document.querySelectorAll(".rail [data-channel]")];
  if (!live || !links.length) return;
  const soon = () => { clearTimeout(timer); timer = setTimeout(ask, 300); };
  live.follow(links.map((link) => `channel:${link.dataset.channel}`), (frame) => { if (NEWS.has(frame.type)) soon(); });
  live.onState((state) => { if (state === "poll") ask(); });
}
