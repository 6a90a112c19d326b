// What every receiver has to remember: which events it has handled, and how far each incident is.
//
// It is kept in memory here: a real receiver keeps it in its database, in the same transaction as what it does with the event, and
// acknowledges after that. cases.py shows it with SQLite.
const seen = new Set();
const incidents = new Map(); // incident -> { source, sequence }

// "applied", "duplicate" (has been handled) or "old" (a later one of the incident has been).
export function handled({ source, type, id, sequence, correlationid }) {
  const key = `${source} ${id}`;
  if (seen.has(key)) return "duplicate";
  seen.add(key);
  if (type.includes(".gateway.outbox_")) {
    // The gateway counts anew: what it says from now on is newer than anything before.
    for (const incident of incidents.values()) if (incident.source === source) incident.sequence = "";
  }
  if (!correlationid) return "applied"; // a fact: it stands alone
  if (sequence <= (incidents.get(correlationid)?.sequence ?? "")) return "old";
  incidents.set(correlationid, { source, sequence });
  return "applied";
}

// One JSON line on standard output.
export function tell(what, { id, type, subject, sequence, correlationid, data }) {
  console.log(JSON.stringify({ what, id, type, subject, sequence, correlationid, data }));
}
