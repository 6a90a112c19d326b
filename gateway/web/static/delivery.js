// Where events go, what waits, and the vital signs in the head of the page.

import { byId, el, list, mark, show, text } from "./dom.js";
import { bytes, duration, moment, number, plural, words } from "./format.js";

const STATES = { up: "connected", down: "not connected", connecting: "connecting", ended: "ended", gone: "removed" };

export function drawStatus(status) {
  const { gateway = {}, outbox = {}, pipeline = {}, clock = {}, storage = {}, security = {}, destinations = [] } = status;
  text(byId("gateway"), gateway.name ?? "Lineside");
  text(byId("site"), [gateway.enterprise, gateway.site].filter(Boolean).join("  ·  "));
  list(byId("vitals"), vitals(status), (vital) => vital.name, vitalPart);
  drawOutbox(outbox, storage);
  text(byId("delivery-empty"), "No destination is configured: events stay here.");
  show(byId("delivery-empty"), destinations.length === 0);
  list(byId("destinations"), [...destinations, ...orphans(outbox)], (each) => each.name, destinationRow);
  for (const part of byId("destinations").parts.values()) part.age(status.now);
  text(
    byId("footer"),
    [
      `Lineside ${gateway.version ?? ""}`.trim(),
      `up ${duration(gateway.uptime_seconds)}`,
      typeof pipeline.readings_per_second === "number" ? `${number(Math.round(pipeline.readings_per_second), "counter")} readings/s` : null,
      pipeline.queue ? `${pipeline.queue} in the queue` : null,
      clock.trusted === false ? `clock not trusted: ${clock.why}` : null,
      wear(storage.wear),
      ...doors(security),
    ]
      .filter(Boolean)
      .join("  ·  "),
  );
}

// What somebody should look after who may.
function doors({ audit = "sound", listens, wanted }) {
  return [
    audit === "sound" ? null : `the audit is not sound: ${audit}`,
    !listens || listens === wanted ? null : `listens on ${listens} only: nobody could log in`,
  ];
}

// What waits for a destination that the configuration does not name any more would wait for ever, unseen.
function orphans({ orphaned = {} }) {
  const why = (name) => `events wait for it; send them elsewhere: lineside outbox move ${name} NEW`;
  return Object.entries(orphaned).map(([name, backlog]) => ({ name, state: "gone", backlog, why: why(name) }));
}

function wear({ disk_bytes_per_day: disk, gateway_bytes_per_day: own, lasts_years: years } = {}) {
  const rate = disk ?? own;
  if (typeof rate !== "number") return null;
  return `${bytes(rate)} a day to the disk${typeof years === "number" ? `, which bears it ${number(Math.floor(years), "counter")} years` : ""}`;
}

function isRefusing({ state = "storing" }) {
  return state !== "storing";
}

function vitals({ sources = [], destinations = [], outbox = {}, storage = {}, incidents = {}, pipeline = {} }) {
  const live = sources.filter((source) => source.state !== "ended");
  const up = live.filter((source) => source.state === "up").length;
  const away = destinations.filter((each) => each.state === "down" || (each.breaker && each.breaker !== "closed"));
  const stalled = pipeline.last_progress_seconds > 10;
  return [
    { name: "health", value: stalled ? "stalled" : "running", level: stalled ? "error" : "good" },
    { name: "machines", value: live.length ? `${up} of ${live.length}` : "none", note: live.length ? "connected" : "", level: up < live.length ? "warning" : null },
    { name: "incidents", value: `${incidents.open ?? 0}`, note: incidents.flood ? "open, alarm flood" : "open", level: incidents.flood ? "error" : incidents.open ? "warning" : null },
    {
      name: "uplink",
      value: destinations.length === 0 ? "none" : away.length === 0 ? "connected" : away.length < destinations.length ? `${away[0].name} away` : "away",
      level: away.length ? "warning" : null,
    },
    {
      name: "outbox",
      value: number(outbox.events ?? 0, "counter"),
      note: isRefusing(storage) ? "waiting, nothing new is stored" : outbox.events ? `waiting, oldest ${duration(outbox.oldest_seconds)}` : "waiting",
      level: isRefusing(storage) || (outbox.max_bytes && outbox.bytes > 0.8 * outbox.max_bytes) ? "error" : null,
    },
  ];
}

function vitalPart({ name }) {
  const value = el("strong");
  const note = el("span", { class: "quiet" });
  const node = el("div", { class: "vital", "data-vital": name }, el("dt", {}, name), el("dd", {}, value, " ", note));
  return {
    node,
    update(vital) {
      text(value, vital.value);
      text(note, vital.note ?? "");
      mark(node, "data-level", vital.level);
    },
  };
}

function drawOutbox({ events = 0, bytes: used, max_bytes: most, oldest_seconds: oldest }, storage) {
  const host = byId("outbox");
  if (!host.bar) {
    host.line = el("p");
    host.bar = el("progress", { "aria-label": "outbox, bytes used" });
    host.append(host.line, host.bar);
  }
  const waiting = events ? `${plural(events, "event")} in the outbox, oldest ${duration(oldest)}` : "The outbox is empty";
  const full = most ? `${waiting}  ·  ${bytes(used ?? 0)} of ${bytes(most)}` : waiting;
  text(host.line, isRefusing(storage) ? `Nothing new is stored: ${storage.why}; ${storage.remedy}` : full);
  show(host.bar, Boolean(most));
  if (most) [host.bar.max, host.bar.value] = [most, used ?? 0];
  mark(host, "data-level", isRefusing(storage) || (most && used > 0.8 * most) ? "error" : null);
}

function destinationRow() {
  const name = el("span", { class: "title" });
  const state = el("span", { class: "state" });
  const facts = el("span", { class: "facts quiet" });
  const why = el("span", { class: "why" });
  const node = el("li", {}, el("div", { class: "row" }, state, name, facts, why));
  let shown = null;
  return {
    node,
    update(each) {
      shown = each;
      text(name, [each.name, each.kind].filter(Boolean).join("  ·  "));
      mark(node, "data-state", each.state);
      text(
        facts,
        [
          each.delivered === undefined ? null : `${number(each.delivered, "counter")} delivered`,
          `${number(each.backlog ?? 0, "counter")} waiting`,
          each.parked ? `${number(each.parked, "counter")} parked` : null,
          each.lost ? `${number(each.lost, "counter")} lost` : null,
          each.breaker && each.breaker !== "closed" ? `breaker ${words(each.breaker)}` : null,
        ]
          .filter(Boolean)
          .join("  ·  "),
      );
      show(why, Boolean(each.why));
    },
    age(now) {
      const since = moment(shown.since);
      text(state, STATES[shown.state] ?? shown.state);
      if (shown.why) text(why, since === null ? shown.why : `${shown.why}, for ${duration(now - since)}`);
    },
  };
}
