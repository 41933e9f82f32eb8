// Hands htmx the only way by which HTML reaches the browser's parser: answers of this site. Runs before htmx begins.
(() => {
  const same = (text) => text;
  const refuse = () => { throw new TypeError("a script in an answer"); };
  const policy = window.trustedTypes?.createPolicy("gather", { createHTML: same, createScript: refuse })
    ?? { createHTML: same, createScript: refuse };
  window.htmx?.registerExtension("trusted", {
    init: (api) => api.initSecurity(policy, refuse, refuse),
  });
})();
