// Drafts of texts. A draft survives a reload or a crash of the tab, belongs to one account, is kept for
// this tab's session only, and goes when it is sent or the account signs out.
const PAUSE_MS = 400;
const account = document.body.dataset.account ?? "";
const key = (form) => `draft:${account}:${form.dataset.draft}`;

// What another account left in this tab is nobody's business.
for (const name of Object.keys(sessionStorage)) {
  if (name.startsWith("draft:") && !name.startsWith(`draft:${account}:`)) sessionStorage.removeItem(name);
}

for (const form of account ? document.querySelectorAll("form[data-draft]") : []) {
  const texts = [...form.querySelectorAll("textarea, input[type=text]")];
  const kept = JSON.parse(sessionStorage.getItem(key(form)) ?? "{}");
  for (const text of texts) {
    if (!text.value && kept[text.name]) text.value = kept[text.name];
    text.addEventListener("input", () => {
      sessionStorage.setItem(key(form), JSON.stringify(Object.fromEntries(texts.map((one) => [one.name, one.value]))));
    });
  }
  form.addEventListener("submit", () => sessionStorage.removeItem(key(form)));
}
