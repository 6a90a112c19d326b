// The rhythm of the page: ask once a second, rest while nobody looks, say so when there is no answer.

import { ask, Refused } from "./api.js";
import { drawStatus } from "./delivery.js";
import { byId, mark, show, text } from "./dom.js";
import { clock, duration, moment } from "./format.js";
import { followInbox } from "./inbox.js";
import { drawIncidents } from "./incidents.js";
import { drawMachines, followHistory } from "./machines.js";
import { followSession } from "./session.js";
import { drawSpectra } from "./spectra.js";
import { drawWatches } from "./watches.js";

const EVERY_MS = 1000;
const LOST_AFTER_MS = 3000;

let answered = null; // when the gateway last answered, by this device's clock
let started = Date.now();
let status = null;
const failing = new Map(); // part of the page -> what the gateway said

// One part failing must not blank the others.
async function part(name, work) {
  try {
    await work();
    answered = Date.now();
    failing.delete(name);
  } catch (error) {
    if (!(error instanceof Refused)) return;
    answered = Date.now();
    failing.set(name, error.message);
  }
}

// The gateway's clock, so that "since" is right on a tablet whose own clock is not.
const now = () => status?.now ?? Date.now() / 1000;

async function look() {
  await part("status", async () => {
    const told = await ask("/api/status");
    status = { ...told, now: moment(told.gateway?.now) ?? Date.now() / 1000 };
    drawStatus(status);
    drawWatches(status);
  });
  await Promise.all([
    part("machines", async () => drawMachines(await ask("/api/machines"), status)),
    part("incidents", async () => drawIncidents(await ask("/api/incidents"), now(), status?.incidents?.open)),
    part("vibration", async () => drawSpectra(await ask("/api/spectra"))),
    part("trends", followHistory),
    followInbox(now()),
  ]);
}

function drawFreshness() {
  if (document.hidden) return;
  const silence = Date.now() - (answered ?? started);
  const lost = silence > LOST_AFTER_MS;
  const partly = !lost && failing.size > 0;
  show(byId("lost"), lost || partly);
  mark(document.body, "data-fresh", lost ? "lost" : answered ? "live" : "waiting");
  if (partly) {
    text(byId("lost-what"), `Not available: ${[...failing.keys()].join(", ")}.`);
    text(byId("lost-since"), [...new Set(failing.values())].join(", "));
  }
  if (lost) {
    text(byId("lost-what"), "No answer from the gateway");
    const shown = answered ? `What you see is of ${clock(now())}.` : "";
    text(byId("lost-since"), `for ${duration(silence / 1000)}. ${shown}`);
  }
  const open = status?.incidents?.open;
  document.title = `${lost ? "no answer · " : open ? `(${open}) ` : ""}${status?.gateway?.name ?? "Lineside"}`;
}

async function run() {
  for (;;) {
    const began = performance.now();
    if (!document.hidden) await look();
    await new Promise((resolve) => setTimeout(resolve, Math.max(100, EVERY_MS - (performance.now() - began))));
  }
}

document.addEventListener("visibilitychange", () => {
  // What was not asked for is no silence of the gateway.
  if (!document.hidden) [started, answered] = [Date.now(), answered && Date.now()];
});
setInterval(drawFreshness, 500);
followSession().catch(() => {}); // a page that is not guarded knows no sessions
run();
