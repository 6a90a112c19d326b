// Asking the gateway, and knowing whether it answers.

import { asked, leave } from "./session.js";

const PATIENCE_MS = 4000;

export class Refused extends Error {}

// Raises Refused when the peer answered with an error, something else when it did not answer.
export async function ask(url) {
  const response = await fetch(url, { cache: "no-store", headers: asked(), signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.status === 401) leave((await response.json()).ended);
  if (!response.ok) throw new Refused(`${response.status} ${response.statusText}`.trim());
  return response.json();
}

export const history = (machine, since) =>
  ask(`/api/history?machine=${encodeURIComponent(machine)}&since=${BigInt(Math.max(0, Math.floor(since * 1000))) * 1000000n}`);

export const incident = (id) => ask(`/api/incidents/${encodeURIComponent(id)}`);

// The inbox of the demo comes through the demo's own address, beside the page: a path of this origin and nothing else.
export function inboxAddress(search) {
  const given = new URLSearchParams(search).get("inbox");
  return given && /^\/[a-z]+$/.test(given) ? given : null;
}
