// Parts of a page that follow events: `data-follows` names their topics, `data-part` the address at which a part is asked for
// again. A part that names no topic has come to its end.
import { fragment } from "./fragment.js";
import { live } from "./live.js";
import { tell } from "./times.js";

const SOON_MS = 300, SLOW_MS = 5000;
let timer, isBusy = false;

const parts = () => [...document.querySelectorAll("[data-follows]")];

// Puts the new part in the place of the old one. What has the focus keeps it, and what was scrolled, opened or typed stays so.
function replace(old, fresh) {
  const focused = old.contains(document.activeElement) ? document.activeElement.id : "";
  const states = [...old.querySelectorAll("[id]")].map((one) => [one.id, one.scrollLeft, one.scrollTop, one.open, one.value]);
  old.replaceWith(document.adoptNode(fresh));
  for (const [id, left, top, open, value] of states) {
    const one = document.getElementById(id);
    if (!one) continue;
    if (open !== undefined) one.open = open;
    if (one.matches("input, textarea, select")) one.value = value;
    one.scrollLeft = left;
    one.scrollTop = top;
  }
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  tell(fresh);
}

async function refresh() {
  if (isBusy) return soon();
  isBusy = true;
  for (const part of parts()) {
    const body = await fragment(part.dataset.part).catch(() => undefined);
    const fresh = body?.querySelector("[data-part]");
    // A form that is being sent leads to another page.
    if (fresh && part.isConnected && !part.querySelector("[data-sending]")) replace(part, fresh);
  }
  isBusy = false;
}

function soon() { timer ??= setTimeout(() => { timer = undefined; refresh(); }, SOON_MS); }

const topics = [...new Set(parts().flatMap((part) => part.dataset.follows.split(" ")))];
if (live && topics.length) {
  // The first frame is the subscription’s own: what came between the page and it is asked for then.
  live.follow(topics, (frame) => { if (frame.type !== "gone" && frame.type !== "denied") soon(); });
  live.onState((state) => { if (state === "poll") refresh(); });
} else if (topics.length) {
  setInterval(refresh, SLOW_MS);
}
