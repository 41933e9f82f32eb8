// The one event stream of a browser, shared by its tabs. The tab that holds a lock leads: it keeps the socket, and hands
// what arrives to the others. A leader that answers no more, because it is frozen or gone, is replaced. Where no socket
// gets through an event stream is tried, and where that does not either, pages ask every few seconds.
const ASK_MS = 2000, PATIENCE_MS = 3500, PING_MS = 25000, SILENCE_MS = 40000, POLL_MS = 4000, AGAIN_MS = 60000, HERE_MS = 15000;

class Live {
  #account; #channel; #name; #leads = false; #heard = Date.now(); #handlers = new Set(); #states = new Set();
  #wants = new Map(); #state = "down"; #transport;

  constructor(account) {
    this.#account = account;
    this.#name = `gather-live-${account}`;
    this.#channel = new BroadcastChannel(this.#name);
    this.#channel.onmessage = ({ data }) => this.#hear(data);
    this.#queue({});
    setInterval(() => this.#watch(), ASK_MS);
    setInterval(() => this.#here(), HERE_MS);
    document.addEventListener("visibilitychange", () => { this.#heard = Date.now(); this.#watch(); this.#here(); });
    window.addEventListener("online", () => this.#transport?.hurry());
    window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  // Calls the handler with each frame of these topics.
  follow(topics, handler) {
    this.#handlers.add({ topics: new Set(topics), handler });
    for (const topic of topics) if (!this.#wants.has(topic)) this.#wants.set(topic, undefined);
    this.#want();
    this.#here();
  }

  // Calls the handler with each state: live, down, polling, poll (look for news now), ended, other.
  onState(handler) { this.#states.add(handler); handler(this.#state); }

  // Sends a frame, such as typing. It is not important enough to be kept.
  send(frame) { if (this.#leads) this.#transport?.send(frame); else this.#say({ kind: "send", frame }); }

  #say(message) { this.#channel.postMessage(message); }
  #want() {
    const topics = [...this.#wants];
    if (this.#leads) this.#transport?.want(topics); else this.#say({ kind: "want", topics });
  }
  #here() { if (!document.hidden && this.#wants.size) this.send({ type: "presence", state: "online" }); }

  #hear(message) {
    if (message.kind === "pong" || message.kind === "frame" || message.kind === "state") this.#heard = Date.now();
    switch (message.kind) {
      case "frame": return this.#deliver(message.frame);
      case "state": case "pong": return this.#change(message.state);
      case "who": return this.#want();
    }
    if (!this.#leads) return;
    switch (message.kind) {
      case "ping": return this.#say({ kind: "pong", state: this.#state });
      case "want": return this.#transport?.want(message.topics);
      case "send": return this.#transport?.send(message.frame);
    }
  }

  #deliver(frame) {
    if (frame.topic && frame.position && this.#wants.has(frame.topic)) this.#wants.set(frame.topic, frame.position);
    const topic = frame.topic ?? (frame.channel && `channel:${frame.channel}`);
    // Presence holds for the channels that the socket reads: it is said as soon as it reads one.
    if (frame.type === "subscribed" && topic?.startsWith("channel:")) this.#here();
    for (const { topics, handler } of this.#handlers) if (topics.has(topic)) handler(frame);
  }

  #change(state) {
    if (state === this.#state && state !== "poll") return;
    if (state !== "poll") this.#state = state;
    for (const handler of this.#states) handler(state);
  }

  // Waits for the lock, or takes it from a leader that answers no more.
  #queue(options) {
    if (!navigator.locks) return this.#lead();
    const held = () => { this.#lead(); return new Promise(() => {}); };
    navigator.locks.request(this.#name, options, held).catch(() => {
      this.#leads = false;
      this.#transport?.stop();
      this.#transport = undefined;
      this.#queue({});
    });
  }

  #watch() {
    if (this.#leads || document.hidden) return;
    if (Date.now() - this.#heard > PATIENCE_MS) {
      this.#heard = Date.now();
      this.#queue({ steal: true });
    } else this.#say({ kind: "ping" });
  }

  #lead() {
    this.#leads = true;
    const tell = (frame) => { this.#say({ kind: "frame", frame }); this.#deliver(frame); };
    const change = (state) => { this.#say({ kind: "state", state }); this.#change(state); };
    this.#transport = new Transport(this.#account, tell, change);
    this.#transport.want([...this.#wants]);
    this.#say({ kind: "who" });
  }
}

// What carries the events of the leader.
class Transport {
  #account; #tell; #change; #wants = new Map(); #asked = new Set(); #socket; #stream; #timer; #pinger; #retry = 1000; #failures = 0; #heard = 0; #stopped = false;

  constructor(account, tell, change) {
    [this.#account, this.#tell, this.#change] = [account, tell, change];
    this.#open();
  }

  want(topics) {
    let isNew = false;
    for (const [topic, since] of topics) {
      if (this.#wants.has(topic)) continue;
      this.#wants.set(topic, since);
      isNew = true;
    }
    if (!isNew) return;
    if (this.#stream) this.#listen(); else this.#subscribe();
  }

  send(frame) { if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame)); }
  hurry() { if (!this.#socket && !this.#stream && !this.#stopped) { clearTimeout(this.#timer); this.#open(); } }

  stop() {
    this.#stopped = true;
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    this.#socket?.close();
    this.#stream?.close();
  }

  #open() {
    const url = new URL("/ws", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    let socket, isIn = false;
    try { socket = new WebSocket(url); } catch { return this.#failed(); }
    this.#socket = socket;
    this.#asked.clear();
    socket.onmessage = ({ data }) => {
      this.#heard = Date.now();
      const frame = JSON.parse(data);
      if (frame.type === "authenticated") {
        if (frame.account !== this.#account) { this.#end("other"); return; }
        isIn = true;
        this.#failures = 0;
        this.#retry = frame.retry_after_ms;
        this.#subscribe();
        this.#change("live");
      } else if (frame.type === "closing") this.#retry = frame.retry_after_ms;
      else this.#pass(frame);
    };
    socket.onclose = ({ code }) => {
      if (this.#socket !== socket || this.#stopped) return;
      this.#socket = undefined;
      clearInterval(this.#pinger);
      if (code === 4401) return this.#end("ended");
      if (isIn && code !== 4409) { this.#change("down"); this.#timer = setTimeout(() => this.#open(), this.#retry); }
      else this.#failed();
    };
    clearInterval(this.#pinger);
    this.#pinger = setInterval(() => {
      if (isIn && Date.now() - this.#heard > SILENCE_MS) socket.close();
      else this.send({ type: "ping" });
    }, PING_MS);
  }

  // A server that starts again refuses for a moment; a network that lets no socket through refuses always.
  #failed() {
    this.#failures += 1;
    if (this.#failures < 3) {
      this.#change("down");
      this.#timer = setTimeout(() => this.#open(), this.#retry * this.#failures + Math.random() * 1000);
    } else this.#listen();
  }

  #listen() {
    this.#stream?.close();
    if (!this.#wants.size) return this.#poll();
    const since = [...this.#wants.values()].filter(Boolean);
    const query = new URLSearchParams({ topics: [...this.#wants.keys()].join(",") });
    if (since.length === 1) query.set("since", since[0]);
    const stream = new EventSource(`/api/events/stream?${query}`);
    this.#stream = stream;
    stream.onopen = () => { clearInterval(this.#timer); this.#change("live"); };
    stream.onmessage = ({ data }) => this.#pass(JSON.parse(data));
    stream.onerror = () => {
      this.#change("down");
      if (stream.readyState === EventSource.CLOSED) { this.#stream = undefined; this.#poll(); }
    };
  }

  #poll() {
    this.#change("polling");
    const begun = Date.now();
    clearInterval(this.#timer);
    this.#timer = setInterval(async () => {
      if (Date.now() - begun > AGAIN_MS) { clearInterval(this.#timer); this.#failures = 0; this.#open(); return; }
      const answer = await fetch("/api/inbox/count").catch(() => undefined);
      if (answer?.status === 401) this.#end("ended"); else if (answer) this.#change("poll"); else this.#change("down");
    }, POLL_MS);
  }

  #end(state) { this.stop(); this.#change(state); }

  #pass(frame) {
    if (frame.topic && frame.position && this.#wants.has(frame.topic)) this.#wants.set(frame.topic, frame.position);
    this.#tell(frame);
  }

  // Each topic resumes at its own position.
  #subscribe() {
    for (const [topic, since] of this.#wants) {
      if (this.#asked.has(topic) || this.#socket?.readyState !== WebSocket.OPEN) continue;
      this.#asked.add(topic);
      this.send({ type: "subscribe", topics: [topic], ...(since && { since }) });
    }
  }
}

const account = document.body.dataset.account;
// The stream of the visitor's account; none for strangers.
export const live = account && "BroadcastChannel" in window ? new Live(account) : undefined;
