// Takes events by HTTP POST: checks the signature, drops duplicates, prints one JSON line per event.
//
//   LINESIDE_WEBHOOK_SECRET=whsec_... node receiver.mjs PORT
//
// Port 0 takes any; the first line says which. Ids are kept in memory: a real receiver keeps them in its database, in the same
// transaction as what it does with the event.
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const MOST_BYTES = 16 << 20;
const webhook = new Webhook(process.env.LINESIDE_WEBHOOK_SECRET);
const seen = new Set();
const incidents = new Map(); // incident -> highest sequence

function take(event) {
  const key = `${event.source} ${event.id}`;
  let what = "applied";
  if (seen.has(key)) what = "duplicate";
  else if (event.correlationid && event.sequence <= (incidents.get(event.correlationid) ?? "")) what = "old";
  else if (event.correlationid) incidents.set(event.correlationid, event.sequence);
  seen.add(key);
  const { id, type, subject, sequence, correlationid, data } = event;
  console.log(JSON.stringify({ what, id, type, subject, sequence, correlationid, data }));
}

async function bodyOf(request) {
  const parts = [];
  let bytes = 0;
  for await (const part of request) {
    bytes += part.length;
    if (bytes > MOST_BYTES) throw new RangeError("too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

async function answer(request) {
  if (request.method !== "POST") return 405;
  const body = await bodyOf(request);
  webhook.verify(body, request.headers); // over the text as it came, before anything is parsed
  const found = HTTP.toEvent({ headers: request.headers, body });
  for (const event of Array.isArray(found) ? found : [found]) take(event);
  return 204;
}

function refusal(error) {
  if (error instanceof WebhookVerificationError) return 401;
  return error instanceof RangeError ? 413 : 400;
}

const server = createServer(async (request, response) => {
  const status = await answer(request).catch(refusal);
  response.writeHead(status).end();
});
server.listen(Number(process.argv[2] ?? 0), "127.0.0.1", () => {
  console.log(JSON.stringify({ what: "listens", address: `http://127.0.0.1:${server.address().port}/` }));
});
