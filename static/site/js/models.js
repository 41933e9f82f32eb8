// A talk with a model: the answer streams in while it is made. Without this, the form brings it with the next page.
const form = document.getElementById("try");
const talk = document.getElementById("talk");
const refused = document.getElementById("refused");
const prompt = document.getElementById("prompt");

function turn(role, text) {
  const item = document.createElement("li");
  item.dataset.role = role;
  const who = Object.assign(document.createElement("strong"), { textContent: role === "user" ? "You" : "The model" });
  const said = Object.assign(document.createElement("p"), { className: "kept-text", dir: "auto", textContent: text });
  item.append(who, said);
  talk.append(item);
  return said;
}

// What both said goes with the next request, by script or not, in its order.
function keep(role, text) {
  const input = Object.assign(document.createElement("input"), { type: "hidden", name: role, value: text });
  form.querySelector(".field").before(input);
}

function refuse(text) {
  refused.replaceChildren();
  if (!text) return;
  const box = Object.assign(document.createElement("div"), { className: "alert" });
  box.append(Object.assign(document.createElement("p"), { textContent: text }));
  refused.append(box);
}

function messages() {
  const said = [...form.querySelectorAll('input[name="user"], input[name="assistant"]')];
  const before = said.map((input) => ({ role: input.name, content: input.value }));
  const system = form.elements.system.value.trim();
  return [...(system ? [{ role: "system", content: system }] : []), ...before, { role: "user", content: prompt.value }];
}

// The events of a stream, as they come.
async function* events(body) {
  const decoder = new TextDecoder();
  const reader = body.getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += decoder.decode(value, { stream: !done });
    const lines = rest.split(/\r\n|\n|\r/);
    rest = done ? "" : lines.pop();
    for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    if (done) return;
  }
}

async function ask() {
  const body = { model: form.elements.model.value, stream: true, messages: messages() };
  const answer = await fetch("/v1/chat/completions", {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-CSRF-Token": form.elements.csrf.value },
  });
  if (!answer.ok) {
    const { error } = await answer.json();
    throw Object.assign(new Error(error?.message ?? `The server answered ${answer.status}.`), { isAnswer: true });
  }
  const asked = prompt.value;
  turn("user", asked);
  const said = turn("assistant", "");
  prompt.value = "";
  for await (const data of events(answer.body)) {
    if (data === "[DONE]") break;
    const chunk = JSON.parse(data);
    if (chunk.error) { refuse(chunk.error.message); break; }
    said.textContent += chunk.choices?.[0]?.delta?.content ?? "";
  }
  keep("user", asked);
  keep("assistant", said.textContent);
}

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.dataset.busy) return;
  form.dataset.busy = "true";
  const button = form.querySelector(".actions button");
  button.setAttribute("aria-busy", "true");
  refuse();
  try { await ask(); } catch (error) { refuse(error.isAnswer ? error.message : "The server can’t be reached, or the answer broke off."); }
  button.removeAttribute("aria-busy");
  delete form.dataset.busy;
  prompt.focus();
});
