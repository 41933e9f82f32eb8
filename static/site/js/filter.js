// Filters a list by the words that are typed.
for (const input of document.querySelectorAll("[data-filter]")) {
  const items = [...document.querySelectorAll(input.dataset.filter)].map((item) => [item, item.textContent.toLowerCase()]);
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const [item, text] of items) item.hidden = !words.every((word) => text.includes(word));
    for (const group of document.querySelectorAll(".operations")) group.hidden = ![...group.querySelectorAll("li")].some((item) => !item.hidden);
  });
}
