// Search as you type: places of the rail at once, content from the server after a pause. Arrows, Enter, Escape.
const PAUSE_MS = 150;

export function palette() {
  const input = document.getElementById("search");
  const form = input?.form;
  if (!form) return;
  const list = document.createElement("ul");
  list.className = "found";
  list.id = "found";
  list.hidden = true;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Found");
  form.append(list);
  for (const [name, value] of [["role", "combobox"], ["aria-controls", "found"], ["aria-expanded", "false"], ["aria-autocomplete", "list"]]) {
    input.setAttribute(name, value);
  }
  let chosen = -1, timer = 0, asked;

  const options = () => [...list.querySelectorAll("[role=option]")];
  const show = (is) => { list.hidden = !is; input.setAttribute("aria-expanded", String(is)); if (!is) choose(-1); };
  const choose = (at) => {
    const all = options();
    chosen = at >= all.length ? -1 : at < -1 ? all.length - 1 : at;
    all.forEach((option, index) => option.setAttribute("aria-selected", String(index === chosen)));
    if (chosen >= 0) { input.setAttribute("aria-activedescendant", all[chosen].id); all[chosen].scrollIntoView({ block: "nearest" }); }
    else input.removeAttribute("aria-activedescendant");
  };
  const option = (href, title, kind, index) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.href = href;
    link.id = `found-${index}`;
    link.tabIndex = -1;
    link.setAttribute("role", "option");
    link.setAttribute("aria-selected", "false");
    item.setAttribute("role", "presentation");
    const name = document.createElement("bdi");
    name.textContent = title;
    const meta = document.createElement("span");
    meta.className = "meta";
    meta.textContent = kind;
    link.append(name, meta);
    item.append(link);
    return item;
  };
  const places = (query) => [...document.querySelectorAll(".rail [data-go], .sheet > a")]
    .map((link) => [link.getAttribute("href"), (link.querySelector("span") ?? link).textContent.trim(), "place"])
    .filter(([href, title], index, all) => title.toLowerCase().includes(query) && all.findIndex(([other]) => other === href) === index);

  const find = async () => {
    const query = input.value.trim().toLowerCase();
    if (!query) return show(false);
    const own = places(query).slice(0, 5);
    const render = (found) => {
      // What was chosen among the first results stays chosen when more come.
      const kept = options()[chosen]?.getAttribute("href");
      list.replaceChildren(...found.map((one, index) => option(...one, index)));
      show(found.length > 0);
      choose(found.findIndex(([href]) => href === kept));
    };
    render(own);
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`/api/search?limit=8&query=${encodeURIComponent(input.value.trim())}`, { signal: asked.signal });
      if (!answer.ok) return;
      const { items } = await answer.json();
      // Only paths of this site are offered.
      const found = items.filter((item) => /^\/(?!\/)/.test(item.url)).map((item) => [item.url, item.title, item.type]);
      render([...own, ...found]);
    } catch { /* A newer question, or no connection: Enter still opens the page. */ }
  };
  input.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(find, PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    const all = options();
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (list.hidden || !all.length) return;
      event.preventDefault();
      choose(event.key === "ArrowDown" ? chosen + 1 : chosen - 1);
    } else if (event.key === "Enter" && chosen >= 0 && !list.hidden) {
      event.preventDefault();
      all[chosen].click();
    } else if (event.key === "Escape") {
      if (!list.hidden) show(false); else input.blur();
      event.stopPropagation();
    }
  });
  form.addEventListener("focusout", (event) => { if (!form.contains(event.relatedTarget)) show(false); });
}
