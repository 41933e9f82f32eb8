// The log of a channel: messages in the order of their numbers, days in the reader's zone, one head for what an author
// writes in a row, and a reader's place that stays where it is whatever is inserted.
const NEAR_PX = 40, FOLLOWS_MS = 600000;
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long", year: "numeric" });

export class Log {
  constructor() {
    this.list = document.getElementById("log");
    this.scroller = document.getElementById("scroller");
    this.account = document.body.dataset.account;
    this.arrange();
  }

  get messages() { return [...this.list.querySelectorAll(":scope > .message")]; }
  get first() { return this.messages[0]; }
  get last() { return this.messages.at(-1); }
  get lastSeq() { return Number(this.last?.dataset.seq ?? 0); }
  // The scroller grows upward, so its end is 0.
  get isAtEnd() { return Math.abs(this.scroller.scrollTop) < NEAR_PX; }
  get hasEarlier() { return this.list.dataset.earlier === "true"; }
  get hasLater() { return this.list.dataset.later === "true"; }
  of(id) { return document.getElementById(`m-${id}`); }
  toEnd() { this.scroller.scrollTop = 0; }

  // Changes the log, while the message that is read keeps its place on the screen.
  keep(change) {
    const wasAtEnd = this.isAtEnd && !this.hasLater;
    const top = this.scroller.getBoundingClientRect().top;
    const anchor = this.messages.find((message) => message.getBoundingClientRect().bottom > top);
    const before = anchor?.getBoundingClientRect().top;
    const focus = document.activeElement?.closest?.(".message");
    const control = focus && path(document.activeElement, focus);
    change();
    this.arrange();
    const kept = anchor && (anchor.isConnected ? anchor : this.of(anchor.dataset.id));
    if (wasAtEnd) this.toEnd();
    else if (kept) this.scroller.scrollTop += kept.getBoundingClientRect().top - before;
    if (focus && !focus.isConnected) this.#successor(this.of(focus.dataset.id), control).focus({ preventScroll: true });
  }

  // The control of a message that takes the place of one that is gone. Some can't be seen until something is opened.
  #successor(message, control) {
    const same = message ? [...message.querySelectorAll(control)] : [];
    return same.find((one) => one.checkVisibility()) ?? message?.querySelector(".quick summary") ?? this.scroller;
  }

  // Puts messages where they belong; those that are there already are replaced. Returns the new ones of others.
  put(items) {
    const fresh = [];
    this.keep(() => {
      for (const item of items) {
        const node = document.adoptNode(item);
        const present = this.of(node.dataset.id);
        if (present) { present.replaceWith(node); continue; }
        const after = this.messages.findLast((message) => Number(message.dataset.seq) < Number(node.dataset.seq));
        if (after) after.after(node); else this.list.prepend(node);
        if (node.dataset.author && node.dataset.author !== this.account) fresh.push(node);
      }
    });
    if (this.messages.length) document.querySelector(".pages > .empty")?.remove();
    return fresh;
  }

  // A line above what has come while nobody looked.
  mark(first) {
    if (document.getElementById("unread-line") || !first) return;
    const line = document.createElement("li");
    line.className = "unread-line";
    line.id = "unread-line";
    line.textContent = "Unread";
    this.keep(() => first.before(line));
  }

  arrange() {
    for (const old of this.list.querySelectorAll(":scope > .day")) old.remove();
    let before;
    for (const message of this.messages) {
      const at = new Date(message.dataset.at);
      const isOtherDay = before?.at.toDateString() !== at.toDateString();
      if (isOtherDay) this.#ofDay(message, at);
      const follows = !isOtherDay && message.dataset.author && message.dataset.author === before.author
        && at - before.at < FOLLOWS_MS && !message.dataset.answers && message.previousElementSibling?.classList.contains("message");
      message.classList.toggle("follows", Boolean(follows));
      before = { at, author: message.dataset.author };
    }
  }

  #ofDay(message, at) {
    const item = document.createElement("li");
    const time = document.createElement("span");
    item.className = "day";
    time.textContent = at.toDateString() === new Date().toDateString() ? "Today" : day.format(at);
    item.append(time);
    message.before(item);
  }
}

// A selector that finds the same control in the message's successor.
function path(control, within) {
  for (const name of ["formaction", "href"]) {
    const value = control.getAttribute?.(name);
    if (value && within.contains(control)) {
      const text = control.getAttribute("value");
      return `[${name}="${CSS.escape(value)}"]${text ? `[value="${CSS.escape(text)}"]` : ""}`;
    }
  }
  return "a";
}
