// Buttons that copy what stands beside them.
import { toast } from "./toast.js";

export function copying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    try {
      await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
      toast("Copied");
    } catch {
      toast("The browser does not allow copying here; select the text instead.");
    }
  });
}
