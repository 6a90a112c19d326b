// The machines: one card each, one line per tag with its value and its last minutes.

import { history } from "./api.js";
import { byId, el, list, mark, show, text } from "./dom.js";
import { clock, duration, number, plural, short, unit, words } from "./format.js";
import { openIncident, worstOf } from "./incidents.js";
import { strip, unmount } from "./plots.js";

const WINDOW_SECONDS = 180;
const LATE_SECONDS = 5; // values may arrive out of order by this much and are still asked for
const OLD_SECONDS = 15;
const ROWS_AT_FIRST = 8;
const SOUND = { good: [], late: ["late"], backfilled: ["read later"], gateway_time: ["time is the gateway's"], clock: ["time not sure"] };

let run = null; // the gateway, as it was told last

// Started anew, or its clock was set: what is drawn is not of it. The start is computed at each look, so it differs by microseconds.
function isAnother(gateway) {
  const before = run;
  run = gateway ?? run;
  if (!before || !gateway) return false;
  return gateway.uptime_seconds < before.uptime_seconds || Math.abs(gateway.started - before.started) > 1;
}

export function drawMachines(machines, status) {
  if (isAnother(status?.gateway)) for (const card of byId("cards").parts?.values() ?? []) card.forget();
  const sources = new Map((status?.sources ?? []).map((source) => [source.name, source]));
  list(byId("cards"), machines, (machine) => machine.name, (machine) => machineCard(machine.name));
  for (const machine of machines) byId("cards").parts.get(machine.name).link(sources.get(machine.name), status?.now);
  text(byId("machines-count"), machines.length || "");
  text(byId("machines-empty"), "No machines are configured.");
  show(byId("machines-empty"), machines.length === 0);
}

// Only what somebody can see is asked for.
export async function followHistory() {
  const cards = [...(byId("cards").parts?.values() ?? [])].filter((card) => card.visible);
  await Promise.all(cards.map((card) => card.follow()));
}

const seen = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => (target.card.visible = isIntersecting)), {
  rootMargin: "200px",
});

function machineCard(name) {
  const title = el("h3");
  const where = el("p", { class: "quiet where" });
  const state = el("span", { class: "state" });
  const fault = el("button", { type: "button", class: "severity", on: { click: () => openIncident(fault.incident.id) } });
  const why = el("p", { class: "why" });
  const rows = el("ul", { class: "tags" });
  const messages = el("p", { class: "quiet" });
  const [from, to] = [el("span"), el("span")];
  const times = el("p", { class: "times quiet" }, from, el("span", {}, `${WINDOW_SECONDS / 60} min`), to);
  const more = el("button", { type: "button", class: "more", on: { click: () => ((card.all = !card.all), card.update(card.machine)) } });
  const node = el("article", { class: "card" }, el("header", {}, title, fault, state, where), why, messages, rows, times, more);
  let trend = new Trend(name);
  text(title, name);
  const card = {
    node,
    visible: false,
    all: false,
    update(machine) {
      card.machine = machine;
      text(where, [machine.path, machine.asset].filter(Boolean).join("  ·  "));
      const tags = machine.tags ?? [];
      list(rows, card.all ? tags : tags.slice(0, ROWS_AT_FIRST), (tag) => tag.name, () => tagRow());
      show(more, tags.length > ROWS_AT_FIRST);
      text(more, card.all ? "Show fewer" : `Show all ${plural(tags.length, "tag")}`);
      mark(node, "data-state", machine.state);
      text(state, STATES[machine.state] ?? machine.state);
      fault.incident = worstOf(name);
      show(fault, fault.incident !== null);
      mark(fault, "data-severity", fault.incident?.severity);
      mark(fault, "title", fault.incident?.title);
      text(fault, fault.incident?.severity);
      card.draw();
    },
    link(source, now) {
      const lost = source && source.state !== "up" && source.state !== "ended" && source.why;
      show(why, Boolean(lost));
      show(messages, source !== undefined && (card.machine.tags ?? []).length === 0);
      if (source) text(messages, plural(source.readings, "message"));
      if (lost) text(why, `${source.kind}: ${source.why}, for ${duration(now - source.since)}`);
    },
    async follow() {
      await trend.follow();
      card.draw();
    },
    forget: () => (trend = new Trend(name)), // the gateway was started anew: its history too
    draw() {
      const end = trend.end;
      show(times, end > 0);
      if (end > 0) {
        text(from, clock(end - WINDOW_SECONDS));
        text(to, clock(end));
      }
      for (const [tag, row] of rows.parts ?? []) row.draw(trend.tags.get(tag), end);
    },
    gone: () => {
      seen.unobserve(node);
      for (const row of rows.parts?.values() ?? []) row.gone();
    },
  };
  node.card = card;
  seen.observe(node);
  return card;
}

const STATES = { up: "connected", down: "lost", ended: "ended", connecting: "connecting" };

function tagRow() {
  const name = el("span", { class: "name" });
  const value = el("span", { class: "value" });
  const unitName = el("span", { class: "unit" });
  const note = el("span", { class: "note" });
  const host = el("div", { class: "strip" });
  const at = el("span", { class: "at quiet" });
  const node = el("li", {}, name, el("span", { class: "reading" }, value, " ", unitName), note, el("div", { class: "plot" }, host, at));
  let plot = null;
  let tag = null;
  let drawn = "";
  const onCursor = (time, shown) => text(at, time === null ? "" : `${number(shown, tag.kind)} ${unit(tag.unit)} at ${clock(time)}`);
  return {
    node,
    update(given) {
      tag = given;
      text(name, words(tag.name));
      mark(name, "title", tag.name);
      text(value, number(tag.value, tag.kind));
      mark(value, "data-long", value.textContent.length > 9 ? "" : null);
      text(unitName, tag.value === null ? "" : unit(tag.unit));
      const beyond = exceeded(tag);
      mark(node, "data-alarm", beyond?.name);
      mark(node, "data-quality", (tag.quality ?? "good") in SOUND ? null : tag.quality === "uncertain" ? "uncertain" : "bad");
      mark(node, "data-old", tag.age_seconds > OLD_SECONDS ? "" : null);
      text(note, notes(tag, beyond));
    },
    draw(series, end) {
      if (!series?.t.length) return show(host.parentElement, false);
      show(host.parentElement, true);
      plot ??= strip(host, { kind: tag.kind, withTime: false, onCursor });
      const version = `${end} ${series.t.length} ${series.t.at(-1)} ${JSON.stringify(tag.limits ?? null)}`;
      if (version === drawn) return undefined;
      drawn = version;
      return plot.update(series, { limits: tag.limits ?? [], window: [end - WINDOW_SECONDS, end] });
    },
    gone: () => unmount(host),
  };
}

function exceeded({ value, limits = [] }) {
  if (typeof value !== "number") return null;
  const passed = limits.filter(({ name, value: limit }) => (name.startsWith("low") ? value < limit : name.startsWith("high") && value > limit));
  return passed.at(-1) ?? null; // high before high_high: the last one passed says most
}

function notes({ value, quality = "good", age_seconds: age, kind }, beyond) {
  const found = [];
  if (age === null || age === undefined) return "no value yet";
  if (quality in SOUND) found.push(...SOUND[quality]);
  else found.push(quality === "bad" || quality === "uncertain" ? quality : `bad: ${words(quality)}`);
  if (beyond) found.push(`${beyond.name.startsWith("low") ? "below" : "above"} ${words(beyond.name)} ${short(beyond.value)}`);
  if (age > OLD_SECONDS) found.push(`${duration(age)} old`);
  if (kind === "waveform" && value !== null && found.length === 0) found.push("rms");
  return found.join(", ");
}

// The last minutes of one machine, fetched piece by piece.
class Trend {
  constructor(machine) {
    this.machine = machine;
    this.tags = new Map();
    this.end = 0;
    this.busy = false;
  }

  async follow() {
    if (this.busy) return;
    this.busy = true;
    try {
      const { tags } = await history(this.machine, this.end - LATE_SECONDS);
      for (const [name, series] of Object.entries(tags)) this.take(name, series);
      this.forget();
    } finally {
      this.busy = false;
    }
  }

  take(name, { t, v }) {
    if (!this.tags.has(name)) this.tags.set(name, { t: [], v: [] });
    const known = this.tags.get(name);
    const last = known.t.at(-1) ?? -Infinity;
    for (let i = 0; i < t.length; i++) {
      if (t[i] > last && (known.t.length === 0 || t[i] > known.t.at(-1))) {
        known.t.push(t[i]);
        known.v.push(v[i]);
      }
    }
    if (known.t.length) this.end = Math.max(this.end, known.t.at(-1));
  }

  // One point before the window stays, so that a line enters from the left edge.
  forget() {
    const start = this.end - WINDOW_SECONDS;
    for (const series of this.tags.values()) {
      let keep = 0;
      while (keep + 1 < series.t.length && series.t[keep + 1] < start) keep++;
      if (keep > 0) [series.t, series.v] = [series.t.slice(keep), series.v.slice(keep)];
    }
  }
}
