// Drafts of texts. A draft survives a reload or a crash of the tab, belongs to one account, is kept for this tab's session
// only, and goes when it has been sent, which only the page after the form can tell (sent.js), or the account signs out.
const account = document.body.dataset.account ?? "";
const read = (name) => { try { return JSON.parse(sessionStorage.getItem(name)) ?? {}; } catch { return {}; } };
const write = (name, draft) => { try { sessionStorage.setItem(name, JSON.stringify(draft)); } catch { /* It is full: the text is still on the page. */ } };

// What another account left in this tab is nobody's business. Whoever is signed out for now finds it after signing in.
for (const name of account ? Object.keys(sessionStorage) : []) {
  if (name.startsWith("draft:") && !name.startsWith(`draft:${account}:`)) sessionStorage.removeItem(name);
}

for (const form of account ? document.querySelectorAll("form[data-draft]") : []) keep(form);

function keep(form) {
  const name = `draft:${account}:${form.dataset.draft}`;
  const texts = [...form.querySelectorAll("textarea, input[type=text]")];
  const values = () => Object.fromEntries(texts.map((text) => [text.name, text.value]));
  const is = (one, other) => Boolean(other) && texts.every(({ name }) => one[name] === other[name]);
  const given = values();
  let draft = read(name);
  if (draft.to && (is(given, draft.from) || texts.every((text) => !text.value))) {
    for (const text of texts) text.value = draft.to[text.name] ?? "";
  } else if (!is(given, draft.to)) draft = { from: given };

  const save = (more) => write(name, draft = { ...draft, ...more, to: values() });
  form.addEventListener("input", () => save());

  const mark = document.createElement("input");
  Object.assign(mark, { type: "hidden", name: "draft" });
  form.append(mark);
  form.addEventListener("submit", () => {
    const { key } = form.elements;
    // The same text once more, because no answer came: by the same key it takes effect once.
    if (is(values(), draft.sent?.to)) key.value = draft.sent.key;
    mark.value = key.value;
    save({ sent: { key: key.value, to: values() } });
  });
}
