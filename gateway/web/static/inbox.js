// What the service team sees: the cases of the demo's CRM.

import { ask, inboxAddress } from "./api.js";
import { byId, el, list, mark, show, text } from "./dom.js";
import { plural, when } from "./format.js";

const address = inboxAddress(location.search);
show(byId("inbox"), address !== null);

export async function followInbox(now) {
  if (address === null) return;
  try {
    drawCases(await ask(`${address}/cases`), now);
  } catch {
    show(byId("inbox-empty"), true);
    text(byId("inbox-empty"), "The inbox does not answer.");
  }
}

function drawCases(cases, now) {
  list(byId("inbox-rows"), cases, (each) => each.incident, caseRow);
  for (const part of byId("inbox-rows").parts.values()) part.age(now);
  text(byId("inbox-count"), cases.length ? plural(cases.length, "case") : "");
  text(byId("inbox-empty"), "No cases yet.");
  show(byId("inbox-empty"), cases.length === 0);
}

function caseRow() {
  const severity = el("span", { class: "severity" });
  const title = el("span", { class: "title" });
  const facts = el("span", { class: "facts quiet" });
  const picture = el("a", { class: "quiet", target: "_blank", rel: "noopener" }, "its picture");
  const row = el("div", { class: "row" }, severity, title, facts, picture);
  let shown = null;
  return {
    node: el("li", {}, row),
    update(given) {
      shown = given;
      mark(row, "data-state", given.state === "closed" ? "closed" : "open");
      mark(severity, "data-severity", given.severity);
      text(severity, given.severity);
      text(title, given.title);
      show(picture, Boolean(given.pictured));
      picture.href = `${address}/cases/${encodeURIComponent(given.incident)}/picture.svg`;
    },
    age(now) {
      const { machine, asset, state, opened, closed, events, spectrum } = shown;
      const parts = [
        state,
        machine,
        asset ? `asset ${asset}` : null,
        closed ? `closed ${when(closed, now)}` : `opened ${when(opened, now)}`,
        events ? plural(events, "event") : null,
        spectrum ? "spectrum attached" : null,
      ];
      text(facts, parts.filter(Boolean).join("  ·  "));
    },
  };
}
