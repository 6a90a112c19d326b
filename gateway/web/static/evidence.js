// Evidence of an incident: whatever in it is a series or a spectrum is drawn.

import { el } from "./dom.js";
import { words } from "./format.js";
import { readout, spectrum, strip, unmount, waveform } from "./plots.js";

const MOST_SERIES = 12;

// Draws below what `body` has already; null takes away what was drawn before.
export function drawEvidence(body, evidence, { raised = null, since = null } = {}) {
  for (const host of body.querySelectorAll(".evidence .strip")) unmount(host);
  body.querySelectorAll(".evidence").forEach((node) => node.remove());
  const found = [...plots(evidence ?? {})];
  if (found.length === 0) return;
  const place = el("div", { class: "evidence" }, el("h3", {}, "Evidence"));
  body.append(place);
  const series = found.filter((each) => each.series).slice(0, MOST_SERIES);
  const bounds = series.filter((each) => !each.own).flatMap(({ series: { t } }) => [t[0], t.at(-1)]);
  const window = bounds.length ? [Math.min(...bounds), Math.max(...bounds)] : null;
  const marks = [
    { at: since, label: "began" },
    { at: raised, label: "raised" },
  ].filter(({ at }, i, all) => at !== null && (i === 0 || Math.abs(at - (all[0].at ?? 0)) > 1));
  for (const each of found.filter((one) => one.spectrum)) drawSpectrum(place, each);
  for (const each of found.filter((one) => one.block)) drawWaveform(place, each);
  series.forEach((each, i) => drawSeries(place, each, { window: each.own ? null : window, marks, withTime: each.own || i === series.length - 1 }));
}

function drawSeries(place, { name, series }, { window, marks, withTime }) {
  const host = el("div", { class: "strip" });
  place.append(el("figure", {}, el("figcaption", {}, words(name)), host));
  const limited = window && window[1] > window[0] ? window : null;
  const kind = series.v.every((v) => v === null || v === 0 || v === 1) ? "state" : "gauge"; // on and off know no slope
  strip(host, { kind, height: 90, withTime, marks }).update(series, { window: limited, limits: series.limits ?? [] });
}

function drawWaveform(place, { name, block }) {
  const host = el("div", { class: "strip" });
  const at = el("span", { class: "at quiet" });
  place.append(el("figure", {}, el("figcaption", {}, words(name), " ", at), host));
  waveform(host, { onCursor: (ms, value) => (at.textContent = readout(ms, value, block.unit, "ms")) }).update(block);
}

function drawSpectrum(place, { name, spectrum: given }) {
  const host = el("div", { class: "strip" });
  const at = el("span", { class: "at quiet" });
  place.append(el("figure", {}, el("figcaption", {}, words(name), " ", at), host));
  spectrum(host, { onCursor: (hz, amplitude) => (at.textContent = readout(hz, amplitude, given.unit)) }).update(given);
}

// Every {t, v} is a series, every {hz_step, amplitudes} a spectrum, every {step_seconds, values} a waveform. `from_ns` beside or above
// makes times offsets from it; a series that has its own has a window of its own.
function* plots(part, name = "", from = 0) {
  if (part === null || typeof part !== "object" || Array.isArray(part)) return;
  if (Array.isArray(part.amplitudes) && part.amplitudes.length > 1 && part.hz_step > 0) return yield { name, spectrum: part };
  if (Array.isArray(part.values) && part.values.length > 1 && part.step_seconds > 0) return yield { name, block: part };
  const offset = typeof part.from_ns === "number" ? part.from_ns / 1e9 : from;
  if (Array.isArray(part.t) && Array.isArray(part.v)) {
    const limits = (part.limits ?? []).map((value, i) => ({ name: ["A/B", "B/C", "C/D"][i] ?? "limit", value }));
    if (part.t.length) yield { name, own: typeof part.from_ns === "number", series: { t: part.t.map((t) => t + offset), v: part.v, limits } };
    return;
  }
  for (const [key, inner] of Object.entries(part)) yield* plots(inner, key === "tags" || key === "readings" ? name : key, offset);
}
