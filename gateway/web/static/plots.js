// The plots of the page: a trend strip, a spectrum with its bearing lines, a waveform.
// Colours come from the style sheet and are read at every drawing, so that light and dark can change at any time.

import uPlot from "/static/vendor/uplot/uPlot.esm.js";
import { number, short, unit } from "./format.js";

const ink = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const FONT = "11px system-ui, sans-serif";
const plots = new Set();

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => plots.forEach((plot) => plot.redraw(false)));

const resized = new ResizeObserver((entries) => {
  for (const { target, contentRect } of entries) {
    const plot = target.plot;
    if (plot && contentRect.width > 0 && Math.abs(plot.width - contentRect.width) >= 1) {
      plot.setSize({ width: Math.floor(contentRect.width), height: plot.height });
    }
  }
});

function mount(host, options, data) {
  const plot = new uPlot({ width: Math.max(80, Math.floor(host.clientWidth || 300)), ...options }, data, host);
  host.plot = plot;
  plots.add(plot);
  resized.observe(host);
  return plot;
}

export function unmount(host) {
  resized.unobserve(host);
  if (!host.plot) return;
  plots.delete(host.plot);
  host.plot.destroy();
  host.plot = null;
}

const axis = (more) => ({
  stroke: () => ink("--quiet"),
  font: FONT,
  grid: { stroke: () => ink("--grid"), width: 1 },
  ticks: { show: false },
  ...more,
});

const timeAxis = (visible) =>
  axis({
    show: visible,
    size: 22,
    space: 70,
    values: (_, splits) => splits.map((at) => moment(at, splits.at(-1) - splits[0])),
  });

// Of a window of days the day is told too.
function moment(at, span) {
  const shown = new Date(at * 1000);
  if (span < 43200) return shown.toLocaleTimeString([], { hour12: false });
  const day = shown.toLocaleDateString([], { month: "2-digit", day: "2-digit" });
  return `${day} ${shown.toLocaleTimeString([], { hour12: false, hour: "2-digit", minute: "2-digit" })}`;
}

const valueAxis = (more = {}) =>
  axis({ size: 52, space: 16, gap: 4, values: (_, splits) => splits.map((v) => tick(v, splits)), ...more });

// All of an axis in the same notation, and no longer than there is room for.
export function tick(value, splits) {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0)) || 1;
  const most = Math.max(...splits.map(Math.abs));
  if (most >= 1e7 || step < 1e-4) return value === 0 ? "0" : exponential(value, most / step >= 100 ? 3 : 1);
  const decimals = [0, 1, 2, 3, 4].find((d) => Math.abs(step * 10 ** d - Math.round(step * 10 ** d)) < 1e-3) ?? 4;
  return value.toFixed(decimals).replace("-", "\u2212");
}

const exponential = (value, digits) => value.toExponential(digits).replace("e+", "e").replaceAll("-", "\u2212");

// Data with some air around it; a flat line gets a band, so that noise of the last bit does not fill the strip.
export function valueRange(low, high, limits = [], least = Math.abs(high) * 0.01) {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  let [from, to] = [low, high];
  const nearest = [...limits].sort((a, b) => distance(a.value, low, high) - distance(b.value, low, high))[0];
  if (nearest) [from, to] = [Math.min(from, nearest.value), Math.max(to, nearest.value)];
  const air = Math.max((to - from) * 0.12, least, 1e-6);
  return [from - air, to + air];
}

function bounds(kind, low, high, limits) {
  if (kind === "state") return valueRange(Math.min(0, low), Math.max(1, high));
  return kind === "counter" ? valueRange(low, high, limits, 1) : valueRange(low, high, limits);
}

const distance = (limit, low, high) => (limit > high ? limit - high : limit < low ? low - limit : 0);

function drawLimits(plot, limits) {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.strokeStyle = ctx.fillStyle = ink("--limit");
  ctx.lineWidth = devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
  ctx.textAlign = "left";
  ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
  for (const { name, value } of limits) {
    const y = Math.round(plot.valToPos(value, "y", true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.textBaseline = y - bbox.top > 14 * devicePixelRatio ? "bottom" : "top";
    ctx.fillText(`${String(name).replaceAll("_", " ")} ${short(value)}`, bbox.left + 4 * devicePixelRatio, y);
  }
  ctx.restore();
}

function drawMark(plot, at, label) {
  const x = Math.round(plot.valToPos(at, "x", true));
  const { ctx, bbox } = plot;
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  ctx.save();
  ctx.strokeStyle = ctx.fillStyle = ink("--mark");
  ctx.lineWidth = devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.font = `${10 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = x > bbox.left + bbox.width / 2 ? "right" : "left";
  ctx.fillText(label, x + (ctx.textAlign === "right" ? -4 : 4) * devicePixelRatio, bbox.top + 2);
  ctx.restore();
}

const pointed = (tell) => ({ data, cursor: { idx } }) => tell(data[0][idx ?? -1] ?? null, data[1][idx ?? -1] ?? null);

const line = (kind) => ({
  stroke: () => ink("--trace"),
  width: 1.5,
  points: { show: false },
  paths: kind === "state" ? uPlot.paths.stepped({ align: 1 }) : undefined,
});

// A trend strip. `marks` are moments with a label; `onCursor` gets (time, value) or nulls.
export function strip(host, { kind = "gauge", height = 64, withTime = true, marks = [], onCursor = () => {} } = {}) {
  const state = { limits: [], window: null };
  const options = {
    height: height + (withTime ? 22 : 0),
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6, fill: () => ink("--trace") } },
    scales: {
      x: { time: true, range: (_, low, high) => state.window ?? [low, high] },
      y: { range: (_, low, high) => bounds(kind, low, high, state.limits) },
    },
    axes: [timeAxis(withTime), valueAxis(kind === "state" ? { space: 30 } : {})],
    series: [{}, line(kind)],
    padding: [6, 8, withTime ? 0 : 4, 0],
    hooks: {
      draw: [(plot) => drawLimits(plot, state.limits), (plot) => marks.forEach(({ at, label }) => drawMark(plot, at, label))],
      setCursor: [pointed(onCursor)],
    },
  };
  const plot = mount(host, options, [[], []]);
  return {
    update({ t, v }, { limits = [], window = null } = {}) {
      Object.assign(state, { limits, window });
      plot.setData([t, v]);
    },
  };
}

// A spectrum: amplitude over Hz, expected lines as labelled marks. `onCursor` gets (hz, amplitude) or nulls.
export function spectrum(host, { height = 240, onCursor = () => {} } = {}) {
  const state = { lines: [], to: null };
  const options = {
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false }, points: { size: 6, fill: () => ink("--trace") } },
    scales: { x: { time: false }, y: { range: (_, low, high) => [0, Number.isFinite(high) && high > 0 ? high * 1.35 : 1] } },
    axes: [axis({ size: 24, space: 60, values: (_, splits) => splits.map((hz) => `${hz} Hz`) }), valueAxis({ space: 36 })],
    series: [{}, { ...line("gauge"), fill: () => ink("--trace-fill") }],
    padding: [6, 12, 0, 0],
    hooks: {
      draw: [(plot) => drawLines(plot, state.lines)],
      setCursor: [pointed(onCursor)],
    },
  };
  const plot = mount(host, options, [[], []]);
  return {
    update(given) {
      const from = given.hz_start ?? 0;
      const hz = given.amplitudes.map((_, i) => from + i * given.hz_step);
      state.lines = given.lines ?? [];
      plot.setData([hz, given.amplitudes], false);
      const zoomed = state.to !== null && (plot.scales.x.max !== state.to || plot.scales.x.min !== from);
      state.to = usefulEnd(hz, state.lines);
      if (!zoomed) plot.setScale("x", { min: from, max: state.to });
      else plot.redraw();
    },
  };
}

// A waveform: values over milliseconds since its first one.
export function waveform(host, { height = 140, onCursor = () => {} } = {}) {
  const options = {
    height,
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false }, points: { size: 6, fill: () => ink("--trace") } },
    scales: { x: { time: false }, y: { range: (_, low, high) => valueRange(low, high) } },
    axes: [axis({ size: 24, space: 60, values: (_, splits) => splits.map((ms) => `${ms} ms`) }), valueAxis({ space: 36 })],
    series: [{}, { ...line("gauge"), width: 1 }],
    padding: [6, 12, 0, 0],
    hooks: { setCursor: [pointed(onCursor)] },
  };
  const plot = mount(host, options, [[], []]);
  return { update: (given) => plot.setData([given.values.map((_, i) => i * given.step_seconds * 1000), given.values]) };
}

// Up to a little beyond the last expected line: what is above says nothing about this bearing. A double click shows all.
function usefulEnd(hz, lines) {
  const end = hz.at(-1) ?? 1;
  const last = Math.max(0, ...lines.map((each) => each.hz));
  return last > 0 ? Math.min(end, last * 1.12) : end;
}

function drawLines(plot, lines) {
  const { ctx, bbox } = plot;
  const px = devicePixelRatio;
  const taken = []; // right end of the last label in each row
  ctx.save();
  ctx.font = `${11 * px}px system-ui, sans-serif`;
  ctx.textBaseline = "top";
  ctx.textAlign = "left";
  ctx.lineWidth = px;
  for (const { name, hz } of [...lines].sort((a, b) => a.hz - b.hz)) {
    const x = Math.round(plot.valToPos(hz, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    const label = String(name);
    const width = ctx.measureText(label).width;
    const left = Math.min(x + 4 * px, bbox.left + bbox.width - width);
    let row = taken.findIndex((end) => end + 6 * px < x);
    if (row < 0) row = taken.length < 5 ? taken.push(0) - 1 : 4;
    taken[row] = left + width;
    const y = bbox.top + row * 14 * px;
    ctx.strokeStyle = ctx.fillStyle = ink("--mark");
    ctx.setLineDash([2 * px, 3 * px]);
    ctx.beginPath();
    ctx.moveTo(x, y);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(label, left, y);
  }
  ctx.restore();
}

export const readout = (at, amplitude, unitName, of = "Hz") => (at === null || amplitude === null ? "" : `${number(at)} ${of} · ${number(amplitude)} ${unit(unitName)}`.trim());
