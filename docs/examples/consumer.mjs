// Takes events from a JetStream stream: drops duplicates, prints one JSON line per event.
//
//   node consumer.mjs nats://localhost:4222 STREAM DURABLE [SUBJECT]
//
// The stream must be there; the durable consumer is made if it is not. Ids are kept in memory: a real consumer keeps them in its
// database, in the same transaction as what it does with the event, and acknowledges after that.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { CloudEvent } from "cloudevents";

const [url, stream, durable, subject] = process.argv.slice(2);
const seen = new Set();
const incidents = new Map(); // incident -> highest sequence

// Binary mode: every attribute is a header ce-..., percent-encoded.
function eventOf(message) {
  const attributes = {};
  for (const name of message.headers?.keys() ?? []) {
    if (name.toLowerCase().startsWith("ce-")) attributes[name.slice(3).toLowerCase()] = decodeURIComponent(message.headers.get(name));
  }
  return new CloudEvent({ ...attributes, data: message.json() });
}

function take(event) {
  const key = `${event.source} ${event.id}`;
  let what = "applied";
  if (seen.has(key)) what = "duplicate";
  else if (event.correlationid && event.sequence <= (incidents.get(event.correlationid) ?? "")) what = "old";
  else if (event.correlationid) incidents.set(event.correlationid, event.sequence);
  seen.add(key);
  const { id, type, subject: about, sequence, correlationid, data } = event;
  console.log(JSON.stringify({ what, id, type, subject: about, sequence, correlationid, data }));
}

const connection = await connect({ servers: url, maxReconnectAttempts: -1 });
const manager = await jetstreamManager(connection);
await manager.consumers.add(stream, {
  durable_name: durable,
  ack_policy: AckPolicy.Explicit,
  ...(subject ? { filter_subject: subject } : {}),
});
const consumer = await jetstream(connection).consumers.get(stream, durable);
const messages = await consumer.consume();
console.log(JSON.stringify({ what: "consumes", stream, durable }));
for await (const message of messages) {
  try {
    take(eventOf(message));
    message.ack();
  } catch (error) {
    console.log(JSON.stringify({ what: "refused", address: message.subject, why: String(error) }));
    message.term(); // it would be no better the next time
  }
}
