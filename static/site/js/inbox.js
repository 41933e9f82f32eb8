// The inbox by keys: `e` archives the row that has the focus. A row that is opened is read.
import { isTyping } from "./keys.js";

document.addEventListener("keydown", (event) => {
  if (event.key !== "e" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || isTyping(event.target)) return;
  const row = document.activeElement?.closest?.(".inbox > li");
  const button = row?.querySelector("[data-archive]");
  if (button) { event.preventDefault(); button.click(); }
});
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("[data-opens]");
  const row = link?.closest("li");
  if (!row || row.dataset.unread !== "true") return;
  fetch("/api/inbox/read", {
    method: "POST", keepalive: true, body: JSON.stringify({ ids: [link.dataset.opens] }),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": row.querySelector("input[name=csrf]").value },
  }).catch(() => {});
});
