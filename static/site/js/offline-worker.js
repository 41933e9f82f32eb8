// Answers for the server where it can’t be reached: with a page that says so, and what can still be read. That page is the
// same for everybody, and nothing of an account is kept.
const KEPT = "offline", PAGE = "/offline";
const files = ["site.css", "icon.svg"].map((name) => new URL(`../${name}`, self.location).href);

self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil((async () => {
    await caches.delete(KEPT);
    const kept = await caches.open(KEPT);
    await kept.addAll([new Request(PAGE, { credentials: "omit", cache: "reload" }), ...files]);
  })());
});
self.addEventListener("activate", (event) => { event.waitUntil(self.registration.navigationPreload?.enable()); });
self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && request.mode === "navigate") event.respondWith(page(event));
  else if (files.includes(request.url)) event.respondWith(fetch(request).catch(() => caches.match(request)));
});

async function page(event) {
  try { return (await event.preloadResponse) ?? (await fetch(event.request)); } catch (error) {
    const kept = await caches.match(PAGE, { ignoreVary: true });
    if (!kept) throw error;
    return kept;
  }
}
