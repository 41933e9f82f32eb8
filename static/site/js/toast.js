// Short messages that are read aloud and go by themselves.
export function toast(text) {
  const box = document.createElement("p");
  box.textContent = text;
  box.className = "new";
  document.getElementById("toasts")?.append(box);
  setTimeout(() => box.remove(), 6000);
}
