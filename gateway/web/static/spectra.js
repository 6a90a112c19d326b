// The latest spectrum of each waveform, with the lines its bearing would show.

import { byId, el, list, mark, show, text } from "./dom.js";
import { clock, words } from "./format.js";
import { readout, spectrum, unmount } from "./plots.js";

const KINDS = ["envelope_spectrum", "velocity_spectrum", "acceleration_spectrum"];

export function drawSpectra(spectra) {
  const items = Object.entries(spectra)
    .map(([path, given]) => ({ path, given, kinds: KINDS.filter((kind) => given[kind]?.amplitudes?.length > 1) }))
    .filter(({ kinds }) => kinds.length);
  show(byId("spectra"), items.length > 0);
  list(byId("spectrum-cards"), items, (item) => item.path, () => spectrumCard());
}

function spectrumCard() {
  const title = el("h3");
  const taken = el("p", { class: "quiet where" });
  const tabs = el("div", { class: "tabs", role: "group", "aria-label": "which spectrum" });
  const at = el("span", { class: "at quiet" });
  const host = el("div", { class: "strip" });
  const node = el("article", { class: "card" }, el("header", {}, title, tabs, taken), el("div", { class: "plot tall" }, host, at));
  let chosen = null;
  let item = null;
  let plot = null;
  let drawn = "";
  const draw = () => {
    const kind = item.kinds.includes(chosen) ? chosen : item.kinds[0];
    const version = `${kind} ${item.given.t_ns}`;
    if (version === drawn) return;
    if (plot && !drawn.startsWith(kind)) {
      unmount(host);
      plot = null;
    }
    drawn = version;
    const given = item.given[kind];
    plot ??= spectrum(host, { onCursor: (hz, amplitude) => text(at, readout(hz, amplitude, item.given[kind]?.unit)) });
    plot.update(given);
    for (const button of tabs.children) mark(button, "aria-pressed", String(button.dataset.kind === kind));
  };
  const tab = (kind) => {
    const button = el("button", { type: "button", "data-kind": kind, on: { click: () => ((chosen = kind), draw()) } }, words(kind.replace("_spectrum", "")));
    return { node: button, update() {} };
  };
  return {
    node,
    update(given) {
      item = given;
      const [machine, ...tag] = item.path.split("/");
      text(title, `${machine}  ·  ${words(tag.join("/"))}`);
      text(taken, item.given.t_ns ? `block of ${clock(item.given.t_ns / 1e9)}` : "");
      list(tabs, item.kinds, (kind) => kind, tab);
      draw();
    },
    gone: () => unmount(host),
  };
}
