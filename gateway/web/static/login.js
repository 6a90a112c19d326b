// Logging in. Nothing is kept but the user's name, for who comes back to a locked screen.

import { byId, show, text } from "./dom.js";

const WHY = {
  idle: "Locked, because nobody used this page for a while.",
  limit: "The longest time of a session is over.",
  account: "This account was changed. Log in again.",
  out: "You are logged out.",
};
const PATIENCE_MS = 15000;
const NAME = "lineside-user";

const form = byId("login");
let waiting = null;

const why = new URLSearchParams(location.search).get("why");
if (Object.hasOwn(WHY, why ?? "")) say("why", WHY[why]);
byId("user").value = sessionStorage.getItem(NAME) ?? "";
// The script alone says where the cursor starts: an autofocus attribute would race it, and who clicked first keeps the field.
if (document.activeElement === document.body) byId(byId("user").value ? "password" : "user").focus();

function say(id, words) {
  text(byId(id), words);
  show(byId(id), Boolean(words));
}

async function notice() {
  const reply = await fetch("/api/notice", { cache: "no-store" });
  if (!reply.ok) return;
  const told = await reply.json();
  if (!told.needed) location.replace("/");
  say("banner", told.banner);
}

function pause(seconds, words) {
  clearInterval(waiting);
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    byId("submit").disabled = left > 0;
    say("refused", left > 0 ? `${words} Wait ${left} s.` : "");
    if (left <= 0) clearInterval(waiting);
  };
  waiting = setInterval(tick, 250);
  tick();
}

async function logIn() {
  const body = JSON.stringify({ user: byId("user").value.trim(), password: byId("password").value });
  const headers = { "Content-Type": "application/json" };
  const reply = await fetch("/api/login", { method: "POST", headers, body, signal: AbortSignal.timeout(PATIENCE_MS) });
  if (reply.ok) {
    sessionStorage.setItem(NAME, byId("user").value.trim());
    location.replace("/");
    return;
  }
  byId("password").value = "";
  byId("password").focus();
  const after = Number(reply.headers.get("Retry-After"));
  if (after > 0) pause(after, reply.status === 429 ? "Too many attempts." : "The gateway is busy.");
  else say("refused", reply.status === 401 ? "User or password is wrong." : `The gateway refused: ${reply.status}.`);
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (byId("submit").disabled) return;
  byId("submit").disabled = true;
  say("refused", "");
  try {
    await logIn();
  } catch {
    say("refused", "No answer from the gateway.");
  }
  if (!byId("refused").textContent.includes("Wait")) byId("submit").disabled = false;
});

notice().catch(() => say("refused", "No answer from the gateway."));
