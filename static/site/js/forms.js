// Forms: sent once however often the button is pressed, and back to life when the page is shown again.
import { toast } from "./toast.js";

export function forms() {
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method === "get" || form.method === "dialog") return;
    if (form.dataset.sending) { event.preventDefault(); return; }
    if (!navigator.onLine) { event.preventDefault(); return toast("You are offline: nothing was sent, and nothing was lost."); }
    form.dataset.sending = "true";
    event.submitter?.setAttribute("aria-busy", "true");
  });
  const revive = () => {
    for (const form of document.querySelectorAll("form[data-sending]")) {
      delete form.dataset.sending;
      for (const button of form.querySelectorAll("[aria-busy]")) button.removeAttribute("aria-busy");
    }
  };
  window.addEventListener("pageshow", revive);
  document.addEventListener("htmx:after:request", revive);
  document.addEventListener("htmx:error", () => { revive(); toast("The server can’t be reached. Nothing was lost; try again."); });
  // Ctrl-Enter sends from a text of several lines.
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
    if (event.target instanceof HTMLTextAreaElement) { event.preventDefault(); event.target.form?.requestSubmit(); }
  });
}
