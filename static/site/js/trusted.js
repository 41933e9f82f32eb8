// The only ways in which text reaches the browser’s parser, answers of this site, and by which a worker begins. Runs before
// htmx begins.
(() => {
  const same = (text) => text;
  const refuse = () => { throw new TypeError("a script in an answer"); };
  const worker = new URL("offline-worker.js", document.currentScript.src).pathname;
  const own = (url) => (url === worker ? url : refuse());
  const rules = { createHTML: same, createScript: refuse, createScriptURL: own };
  const policy = window.trustedTypes?.createPolicy("gather", rules) ?? rules;
  window.htmx?.registerExtension("trusted", {
    init: (api) => api.initSecurity(policy, refuse, refuse),
  });
  // Browsers without it, or without an encrypted connection, show their own page where the server can’t be reached.
  window.addEventListener("load", () => {
    navigator.serviceWorker?.register(policy.createScriptURL(worker), { scope: "/" }).catch(() => {});
  });
})();
