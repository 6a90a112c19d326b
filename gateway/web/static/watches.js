// What the operator arranged with the watches: those that learn, those on trial, those in a blackout, and what is shelved.

import { byId, el, list, mark, show, text } from "./dom.js";
import { duration, plural, when } from "./format.js";

export function drawWatches({ watches = [], shelves = [], withheld = [], now }) {
  const shown = watches.filter((each) => each.learning || each.shadow || each.blackout?.length);
  show(byId("watches"), shown.length + shelves.length > 0);
  list(byId("watch-rows"), shown, (each) => each.name, watchRow);
  list(byId("shelf-rows"), shelves, (each) => each.id, shelfRow);
  for (const part of byId("shelf-rows").parts.values()) part.age(now, withheld);
  const learning = shown.filter((each) => each.learning?.still).length;
  text(byId("watches-count"), [learning ? `${learning} learning` : null, shelves.length ? `${shelves.length} shelved` : null].filter(Boolean).join("  ·  "));
}

function row() {
  const state = el("span", { class: "state" });
  const title = el("span", { class: "title" });
  const facts = el("span", { class: "facts quiet" });
  return { state, title, facts, node: el("li", {}, el("div", { class: "row" }, state, title, facts)) };
}

function watchRow() {
  const { state, title, facts, node } = row();
  const bar = el("progress", { max: 1, "aria-label": "learnt" });
  node.firstElementChild.append(bar);
  return {
    node,
    update({ name, detector, learning, shadow, blackout = [] }) {
      text(title, `${name}  ·  ${detector}`);
      const words = [learning?.still ? "LEARNING" : null, shadow ? "on trial" : null, blackout.length ? "blackout" : null];
      text(state, words.filter(Boolean).join(", "));
      show(bar, Boolean(learning?.still));
      bar.value = learning?.share ?? 1;
      text(facts, [progress(learning), trial(shadow), blackout.length ? `blackout of ${blackout.join(", ")}` : null].filter(Boolean).join("  ·  "));
    },
  };
}

function progress(learning) {
  if (!learning) return null;
  if (!learning.still) return `knows ${plural(learning.of, "tag")}, ${plural(learning.alarms_last_week ?? 0, "alarm")} in a week`;
  return `${learning.still} of ${plural(learning.of, "tag")} not known yet, the slowest at ${Math.floor(100 * learning.share)} %`;
}

const trial = (shadow) => (shadow ? `would have raised ${plural(shadow.last_week, "incident")} in a week, ${shadow.active} now` : null);

function shelfRow() {
  const { state, title, facts, node } = row();
  let shown = null;
  return {
    node,
    update(shelf) {
      shown = shelf;
      text(title, `${shelf.machine}/${shelf.condition}`);
      text(state, shelf.critical ? "shelved, also critical" : "shelved");
      mark(node, "data-state", "shelved");
    },
    age(now, withheld) {
      const standing = withheld.filter((each) => covers(shown, each)).length;
      const left = `until ${when(shown.until, now)}, ${duration(shown.until - now)} left`;
      text(facts, [left, `by ${shown.by}: ${shown.why}`, standing ? `${plural(standing, "alarm")} of it now` : null].filter(Boolean).join("  ·  "));
    },
  };
}

// * and ? as the gateway reads them.
function covers({ machine, condition }, incident) {
  return like(machine, incident.machine) && like(condition, incident.condition);
}

function like(pattern, name) {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${escaped}$`, "s").test(name);
}
