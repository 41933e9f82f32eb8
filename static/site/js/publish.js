// Publishing by drag and drop: the component and its manifest go to the API, and the page follows the review.
const form = document.getElementById("publish");
const drop = form.querySelector(".drop");
const files = document.getElementById("files");
const manifest = document.getElementById("manifest");
const chosen = document.getElementById("chosen");
const refused = document.getElementById("refused");
const MAX_BYTES = 32 * 1024 * 1024;
// The same upload sent again is the same version.
let component, readme, key = crypto.randomUUID();

async function take(list) {
  for (const file of list) {
    if (file.name.endsWith(".wasm")) component = file;
    else if (file.name.endsWith(".json")) manifest.value = await file.text();
    else if (file.name.toLowerCase() === "readme.md") readme = await file.text();
  }
  key = crypto.randomUUID();
  chosen.textContent = component ? `${component.name}, ${Math.ceil(component.size / 1024)} KiB` : "No component yet. At most 32 MiB.";
}

function refuse(...lines) {
  refused.replaceChildren();
  if (!lines.length) return;
  const box = document.createElement("div");
  box.className = "alert";
  const list = document.createElement("ul");
  for (const line of lines) list.append(Object.assign(document.createElement("li"), { textContent: line }));
  box.append(list);
  refused.append(box);
}

async function send() {
  let parsed;
  try { parsed = JSON.parse(manifest.value); } catch (error) { return refuse(`The manifest is not JSON: ${error.message}`); }
  if (!component) return refuse("The component is missing: a file that ends in .wasm.");
  if (component.size > MAX_BYTES) return refuse("The component is larger than 32 MiB.");
  if (readme && !parsed.readme) parsed.readme = readme;
  const body = new FormData();
  body.append("manifest", new Blob([JSON.stringify(parsed)], { type: "application/json" }));
  body.append("component", component.slice(0, component.size, "application/wasm"), "component.wasm");
  const answer = await fetch("/api/skills", {
    method: "POST", body, headers: { "X-CSRF-Token": form.dataset.csrf, "Idempotency-Key": key },
  });
  const said = await answer.json();
  if (answer.ok) {
    location.assign(`/publish/${encodeURIComponent(said.skill)}/${encodeURIComponent(said.version)}`);
    return;
  }
  const errors = (said.errors ?? []).map(({ field, detail }) => `${field} ${detail}`);
  refuse(said.detail, ...errors);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (form.dataset.busy) return;
  form.dataset.busy = "true";
  const button = event.submitter ?? form.querySelector("button");
  button.setAttribute("aria-busy", "true");
  refuse();
  try { await send(); } catch { refuse("The server can’t be reached. Nothing was lost; try again."); }
  button.removeAttribute("aria-busy");
  delete form.dataset.busy;
});
manifest.addEventListener("input", () => { key = crypto.randomUUID(); });
files.addEventListener("change", () => take(files.files));
for (const type of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(type, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", type === "dragover");
    if (type === "drop") take(event.dataTransfer.files);
  });
}
