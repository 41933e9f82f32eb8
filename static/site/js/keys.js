// Keys: `g` and a letter goes places, `/` and Ctrl-K search, `?` lists all, `j` and `k` walk through a list.
const GO_MS = 1500;

export const isTyping = (target) =>
  target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));

export function keys() {
  let goUntil = 0;
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229 || event.altKey) return;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") return focusSearch(event);
    if (event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") return close();
    if (isTyping(event.target)) return;
    if (performance.now() < goUntil) {
      goUntil = 0;
      const place = document.querySelector(`.rail [data-go="${CSS.escape(event.key)}"]`);
      if (place) { event.preventDefault(); place.click(); }
      return;
    }
    switch (event.key) {
      case "g": goUntil = performance.now() + GO_MS; break;
      case "/": focusSearch(event); break;
      case "?": document.getElementById("keys")?.showModal(); break;
      case "j": walk(event, 1); break;
      case "k": walk(event, -1); break;
    }
  });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.menu[open], details.more[open]")) {
      if (!open.contains(event.target)) open.open = false;
    }
  });
}

function focusSearch(event) {
  event.preventDefault();
  const search = document.getElementById("search");
  search?.focus();
  search?.select();
}

function close() {
  for (const open of document.querySelectorAll("details.menu[open], details.more[open]")) {
    open.open = false;
    open.querySelector("summary").focus();
  }
}

// The rows of a list are walked by their first links.
function walk(event, step) {
  const links = [...document.querySelectorAll(".rows > li")].map((row) => row.querySelector("a")).filter(Boolean);
  if (!links.length) return;
  event.preventDefault();
  const at = links.findIndex((link) => link.closest("li").contains(document.activeElement));
  const next = at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1);
  links[next].focus();
}
