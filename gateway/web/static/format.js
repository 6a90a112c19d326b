// Numbers, times and units as people on the floor read them. Pure functions.

const UNITS = { degC: "°C", degF: "°F", um: "µm", us: "µs", "m3/h": "m³/h", "m/s2": "m/s²" };

export const unit = (name) => UNITS[name] ?? name ?? "";

// About four significant digits, and always the same number of decimals for a magnitude, so that digits stand still.
export function number(value, kind = "gauge") {
  if (typeof value !== "number" || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e12 && (kind === "state" || kind === "counter" || size >= 1000)) return grouped(value, 0);
  if (size >= 1e7 || (size > 0 && size < 1e-3)) return value.toExponential(2).replace("e+", "e");
  return grouped(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

// A number from the configuration, as it was written: 70, not 70.00.
export const short = (value) => String(Number(value.toPrecision(6))).replace("-", "\u2212");

function grouped(value, decimals) {
  const [whole, fraction] = Math.abs(value).toFixed(decimals).split(".");
  const spaced = whole.length > 4 ? whole.replace(/\B(?=(\d{3})+$)/g, "\u202f") : whole;
  return (value < 0 ? "\u2212" : "") + spaced + (fraction ? "." + fraction : "");
}

export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "–";
  const s = Math.max(0, seconds);
  if (s < 60) return `${Math.floor(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${Math.floor(s % 60)} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

// Seconds since 1970 from what the API gives: a number, or RFC 3339 text; null when there is none.
export function moment(given) {
  if (typeof given === "number" && given > 0) return given;
  if (typeof given !== "string" || given === "") return null;
  const ms = Date.parse(given.replace(/(\.\d{3})\d+/, "$1"));
  return Number.isNaN(ms) ? null : ms / 1000;
}

const two = (n) => String(n).padStart(2, "0");

export function clock(seconds, withSeconds = true) {
  const d = new Date(seconds * 1000);
  return `${two(d.getHours())}:${two(d.getMinutes())}` + (withSeconds ? `:${two(d.getSeconds())}` : "");
}

// Today the time is enough; on other days the date stands before it.
export function when(given, now) {
  const at = moment(given);
  if (at === null) return "–";
  const d = new Date(at * 1000);
  if (d.toDateString() === new Date(now * 1000).toDateString()) return clock(at);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())} ${clock(at, false)}`;
}

export function bytes(count) {
  if (typeof count !== "number") return "–";
  if (count < 1024) return `${count} B`;
  const power = Math.min(3, Math.floor(Math.log2(count) / 10));
  return `${Number((count / 1024 ** power).toPrecision(3))} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

// oil_temperature -> oil temperature; a name that is not in snake case stays as it is.
export const words = (name) => String(name ?? "").replaceAll("_", " ");

export const plural = (n, one, many = one + "s") => `${n} ${n === 1 ? one : many}`;
