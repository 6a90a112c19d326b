// Who is logged in, logging out, and what counts as use: a session nobody touches is locked by the gateway.

import { byId, show, text } from "./dom.js";

let touched = true; // since the last question
for (const event of ["pointerdown", "pointermove", "keydown", "wheel", "touchstart"]) {
  addEventListener(event, () => (touched = true), { passive: true });
}

// Headers of a question; the page's own once a second do not keep a session alive.
export function asked() {
  const headers = touched ? { "X-Lineside-Active": "1" } : {};
  touched = false;
  return headers;
}

let leaving = false;

// The session is over: nothing of the plant stays on the screen. Several questions learn it at once; the first leads away.
export function leave(why) {
  if (leaving) return;
  leaving = true;
  document.body.hidden = true;
  location.replace(why ? `/login?why=${encodeURIComponent(why)}` : "/login");
}

export async function followSession() {
  const reply = await fetch("/api/me", { cache: "no-store", headers: asked() });
  if (!reply.ok) return;
  const me = await reply.json();
  show(byId("me"), me.kind === "user");
  text(byId("me-name"), `${me.name} · ${me.role}`);
}

byId("logout").addEventListener("click", async () => {
  const reply = await fetch("/api/logout", { method: "POST", headers: { "Content-Type": "application/json" } }).catch(() => null);
  if (reply?.ok || reply?.status === 401) leave("out"); // else the session is still there, and the page says that nobody answers
});
