// Says when there is no connection, and what can still be read.
export function offline() {
  const said = document.createElement("p");
  said.textContent = "You are offline. What is open can still be read, and what you write is kept.";
  const show = () => { if (navigator.onLine) said.remove(); else document.getElementById("toasts")?.append(said); };
  window.addEventListener("online", show);
  window.addEventListener("offline", show);
  show();
  // The page that stands in for one that could not be loaded.
  if (document.querySelector("main .offline")) window.addEventListener("online", () => location.reload());
}
