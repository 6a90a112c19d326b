// Takes events by HTTP POST: checks the signature, drops duplicates, prints one JSON line per event.
//
//   LINESIDE_WEBHOOK_SECRET=whsec_... node receiver.mjs PORT
//
// Port 0 takes any; the first line says which.
import { createServer } from "node:http";
import { HTTP } from "cloudevents";
import { Webhook, WebhookVerificationError } from "standardwebhooks";
import { handled, tell } from "./cases.mjs";

const MOST_BYTES = 16 << 20;
const webhook = new Webhook(process.env.LINESIDE_WEBHOOK_SECRET);

// The SDK leaves the percent-encoding of the binary form as it is.
function decoded(headers) {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, name.startsWith("ce-") ? decodeURIComponent(value) : value]));
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
  const found = HTTP.toEvent({ headers: decoded(request.headers), body });
  for (const event of Array.isArray(found) ? found : [found]) tell(handled(event), event);
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
