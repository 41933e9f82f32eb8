// The page after a form that has taken effect names the form's draft, which has done its work (draft.js).
export function sent() {
  const here = new URL(location.href);
  const key = here.searchParams.get("sent");
  if (!key) return;
  for (const name of Object.keys(sessionStorage)) {
    if (name.startsWith("draft:") && JSON.parse(sessionStorage.getItem(name)).sent?.key === key) sessionStorage.removeItem(name);
  }
  here.searchParams.delete("sent");
  history.replaceState(history.state, "", here);
}
