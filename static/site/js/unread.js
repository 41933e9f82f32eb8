// How much is unread: in the rail, in the title of every tab, and, if the visitor allows it, as notices of the browser.
// What a tab has stored goes when the visitor signs out, in all tabs.
import { live } from "./live.js";

const account = document.body.dataset.account;
const bare = document.title.replace(/^\(\d+\) /, "");
let timer;

function show(unread) {
  document.title = unread ? `(${unread}) ${bare}` : bare;
  for (const link of document.querySelectorAll('.rail a[href="/inbox"]')) {
    let count = link.querySelector(".count");
    if (!unread) { count?.remove(); continue; }
    if (!count) { count = document.createElement("span"); count.className = "count"; link.append(count); }
    count.textContent = String(unread);
  }
}

async function ask() {
  const answer = await fetch("/api/inbox/count").catch(() => undefined);
  if (answer?.ok) show((await answer.json()).unread);
}

// One tab gives the notice: whoever gets the lock of this item first.
function notice(item) {
  if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
  navigator.locks?.request(`gather-notice-${item.id}`, { ifAvailable: true }, async (lock) => {
    if (!lock) return;
    new Notification(item.title ?? "Gather", { tag: item.id });
    await new Promise((done) => setTimeout(done, 5000));
  });
}

export function unread() {
  document.addEventListener("submit", (event) => {
    if (event.target.getAttribute("action") === "/sign-out") sessionStorage.clear();
  });
  const button = document.querySelector("[data-notify]");
  button?.addEventListener("click", async () => {
    const answer = "Notification" in window ? await Notification.requestPermission() : "denied";
    button.replaceWith(answer === "granted" ? "This browser tells you of news." : "The browser does not allow notices here.");
  });
  if (!live) return;
  live.follow([`account:${account}`], (frame) => {
    if (!frame.type?.startsWith("inbox.")) return;
    clearTimeout(timer);
    timer = setTimeout(ask, 200);
    if (frame.type === "inbox.created" && frame.data?.id) notice(frame.data);
  });
  live.onState((state) => {
    if (state === "poll") ask();
    // Another session, or none: nothing of this page's account stays on the screen.
    if (state === "ended" || state === "other") location.reload();
  });
}
