// Times: relative to the reader's clock, absolute in the reader's zone.
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const UNITS = [[31536000, "y"], [2592000, "mo"], [86400, "d"], [3600, "h"], [60, "min"]];

export function relative(seconds) {
  const size = Math.abs(seconds);
  if (size < 45) return "just now";
  const [length, unit] = UNITS.find(([length]) => size >= length * 0.75) ?? UNITS.at(-1);
  const count = Math.max(1, Math.round(size / length));
  return seconds < 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
}

export function tell(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const text = relative((Date.now() - at) / 1000);
    if (time.textContent !== text) time.textContent = text;
    const title = absolute.format(at);
    if (time.title !== title) time.title = title;
  }
}

export function times() {
  tell(document);
  setInterval(() => { if (!document.hidden) tell(document); }, 30000);
  document.addEventListener("htmx:after:swap", () => tell(document));
}
