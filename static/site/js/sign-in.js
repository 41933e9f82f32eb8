// Signing in with the password, without losing what was typed when a code is asked for.
const form = document.querySelector("form[data-sign-in]");

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { email, password, code } = form.elements;
  const button = form.querySelector(".actions button");
  if (button.getAttribute("aria-busy")) return;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch("/api/sessions", {
      method: "POST", headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ email: email.value, password: password.value, code: code.value || undefined }),
    });
    if (answer.ok) return location.assign(form.dataset.signIn);
    const problem = await answer.json().catch(() => ({}));
    const after = answer.headers.get("retry-after");
    if (problem.code === "second-factor-required") {
      form.querySelector("details.code").open = true;
      say("The password is right. Now the code of your second factor.");
      return code.focus();
    }
    say(`${problem.errors?.[0]?.detail ?? problem.detail ?? "The server refused."}${after ? ` Try again in ${after} s.` : ""}`);
  } catch { say("The server can’t be reached. Nothing was lost; try again."); } finally { button.removeAttribute("aria-busy"); }
});

function say(text) {
  let alert = form.querySelector(".alert");
  if (!alert) {
    alert = document.createElement("div");
    alert.className = "alert";
    alert.setAttribute("role", "alert");
    form.prepend(alert);
  }
  alert.textContent = text;
}
