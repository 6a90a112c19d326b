// Asking the gateway, and knowing whether it answers.

const PATIENCE_MS = 4000;

export class Refused extends Error {}

// Raises Refused when the peer answered with an error, something else when it did not answer.
export async function ask(url) {
  const response = await fetch(url, { cache: "no-store", credentials: "omit", signal: AbortSignal.timeout(PATIENCE_MS) });
  if (!response.ok) throw new Refused(`${response.status} ${response.statusText}`.trim());
  return response.json();
}

export const history = (machine, since) =>
  ask(`/api/history?machine=${encodeURIComponent(machine)}&since=${BigInt(Math.max(0, Math.floor(since * 1000))) * 1000000n}`);

export const incident = (id) => ask(`/api/incidents/${encodeURIComponent(id)}`);

// The inbox of the demo runs beside the gateway: plain HTTP on 127.0.0.1 and nothing else is accepted.
export function inboxAddress(search) {
  const given = new URLSearchParams(search).get("inbox");
  if (!given) return null;
  try {
    const url = new URL(given);
    const fine = url.protocol === "http:" && url.hostname === "127.0.0.1" && !url.username && !url.password;
    return fine ? url.origin + url.pathname.replace(/\/+$/, "") : null;
  } catch {
    return null;
  }
}
