// Incidents: the list, open ones first, and one incident in full.

import { incident, Refused } from "./api.js";
import { byId, el, list, mark, show, text } from "./dom.js";
import { drawEvidence } from "./evidence.js";
import { duration, moment, number, plural, when, words } from "./format.js";

const ORDER = { open: 0, pending: 1, closed: 2 };
const SEVERITY = { critical: 0, error: 1, warning: 2, info: 3 };

const MOST_LISTED = 100;

let sorted = [];
let latest = Date.now() / 1000; // the gateway's time, as soon as it is known

// The worst open incident of a machine, null when there is none.
export const worstOf = (machine) => sorted.find((each) => each.machine === machine && each.state === "open") ?? null;

// `total`: how many are open; the list has the latest hundred.
export function drawIncidents(incidents, now, total = 0) {
  latest = now;
  const began = (each) => moment(each.raised) ?? moment(each.since) ?? 0;
  sorted = [...incidents].sort(
    (a, b) =>
      (ORDER[a.state] ?? 3) - (ORDER[b.state] ?? 3) ||
      (a.state === "open" ? (SEVERITY[a.severity] ?? 4) - (SEVERITY[b.severity] ?? 4) : 0) ||
      began(b) - began(a),
  );
  list(byId("incident-rows"), sorted, (each) => each.id, (each) => incidentRow(each.id));
  for (const part of byId("incident-rows").parts.values()) part.age(now);
  const open = incidents.filter((each) => each.state === "open").length;
  const more = incidents.length >= MOST_LISTED && total > open;
  text(byId("incidents-count"), more ? `${total} open, the latest ${open} here` : open ? `${open} open` : "");
  text(byId("incidents-empty"), "None. Nothing has been noticed.");
  show(byId("incidents-empty"), incidents.length === 0);
  refresh(sorted, now);
}

function incidentRow(id) {
  const severity = el("span", { class: "severity" });
  const title = el("span", { class: "title" });
  const facts = el("span", { class: "facts quiet" });
  const button = el("button", { type: "button", class: "row", on: { click: () => openIncident(id) } }, severity, title, facts);
  let shown = null;
  return {
    node: el("li", {}, button),
    update(given) {
      shown = given;
      mark(button, "data-state", given.state);
      mark(severity, "data-severity", given.severity);
      text(severity, given.severity);
      text(title, given.title || words(given.condition));
    },
    age: (now) => text(facts, summary(shown, now)),
  };
}

function summary({ machine, state, since, cleared, updates }, now) {
  const from = moment(since);
  const lasted = from === null ? null : duration((moment(cleared) ?? now) - from);
  const time = state === "closed" ? `${when(since, now)}, lasted ${lasted}` : `since ${when(since, now)}, ${lasted}`;
  return [machine, state === "open" ? null : state, time, updates ? plural(updates, "update") : null].filter(Boolean).join("  ·  ");
}

let opened = null; // {id, seen: what the list said when it was last fetched, body}

export async function openIncident(id) {
  opened = { id, seen: null, body: "" };
  text(byId("detail-title"), "…");
  byId("detail-body").replaceChildren();
  byId("detail").showModal();
  await fetchDetail(latest);
}

byId("detail-close").addEventListener("click", () => byId("detail").close());
byId("detail").addEventListener("click", (event) => event.target === byId("detail") && byId("detail").close());
byId("detail").addEventListener("close", () => {
  opened = null;
  drawEvidence(byId("detail-body"), null);
});

// While an incident is shown, fetch it again when the list says that it has changed.
function refresh(incidents, now) {
  const listed = opened && incidents.find((each) => each.id === opened.id);
  if (!listed) return;
  const seen = JSON.stringify(listed);
  if (opened.seen !== null && opened.seen !== seen) fetchDetail(now);
  opened.seen = seen;
}

async function fetchDetail(now) {
  const { id } = opened;
  try {
    const found = await incident(id);
    const body = JSON.stringify(found);
    if (opened?.id !== id || opened.body === body) return;
    opened.body = body;
    text(byId("detail-title"), found.title || words(found.condition));
    drawDetail(byId("detail-body"), found, now);
  } catch (error) {
    if (opened?.id !== id) return;
    text(byId("detail-title"), "Not available");
    byId("detail-body").replaceChildren(el("p", { class: "empty" }, error instanceof Refused ? error.message : "The gateway does not answer."));
  }
}

function drawDetail(body, found, now) {
  const badge = el("span", { class: "severity", "data-severity": found.severity }, found.severity ?? "");
  const facts = {
    machine: found.machine,
    asset: found.asset,
    condition: found.condition,
    detector: found.detector,
    since: when(found.since, now),
    raised: when(found.raised, now),
    cleared: found.cleared ? when(found.cleared, now) : null,
    events: found.events,
    incident: found.id,
  };
  drawEvidence(body, null);
  body.replaceChildren(
    el("p", { class: "headline", "data-state": found.state }, badge, ` ${found.state}`),
    table(facts),
    ...(Object.keys(found.explanation ?? {}).length ? [el("h3", {}, "Explanation"), table(found.explanation)] : []),
  );
  drawEvidence(body, found.evidence, { raised: moment(found.raised), since: moment(found.since) });
}

export function table(facts) {
  const rows = [...flat(facts)].map(([name, value]) => el("tr", {}, el("th", { scope: "row" }, words(name)), el("td", {}, value)));
  return el("table", { class: "facts" }, el("tbody", {}, ...rows));
}

function* flat(facts, before = "") {
  for (const [name, value] of Object.entries(facts ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    if (typeof value === "object" && !Array.isArray(value)) yield* flat(value, `${before}${name} · `);
    else yield [before + name, told(value)];
  }
}

function told(value) {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : number(value);
  if (Array.isArray(value)) {
    const facts = value.some((each) => each !== null && typeof each === "object");
    const few = value.slice(0, 12).map((each) => (each !== null && typeof each === "object" ? one(each) : told(each)));
    return few.join(facts ? "\n" : ", ") + (value.length > 12 ? ` … (${value.length})` : "");
  }
  return String(value);
}

// {name: "BPFO", hz: 107.4, order: 3.58} -> "BPFO: 107.4 Hz, order 3.580"
function one({ name, ...facts }) {
  const parts = Object.entries(facts).map(([key, value]) => {
    const text = Array.isArray(value) || typeof value !== "object" ? told(value) : JSON.stringify(value);
    return key === "hz" ? `${text} Hz` : `${words(key)} ${text}`;
  });
  return (name === undefined ? "" : `${name}: `) + parts.join(", ");
}
