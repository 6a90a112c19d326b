// Takes events from a JetStream stream: drops duplicates, prints one JSON line per event.
//
//   node consumer.mjs nats://localhost:4222 STREAM DURABLE [SUBJECT]
//
// The stream must be there; the durable consumer is made if it is not.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { CloudEvent } from "cloudevents";
import { handled, tell } from "./cases.mjs";

const [url, stream, durable, subject] = process.argv.slice(2);

// Binary mode: every attribute is a header ce-..., percent-encoded.
function eventOf(message) {
  const attributes = {};
  for (const name of message.headers?.keys() ?? []) {
    if (name.toLowerCase().startsWith("ce-")) attributes[name.slice(3).toLowerCase()] = decodeURIComponent(message.headers.get(name));
  }
  return new CloudEvent({ ...attributes, data: message.json() });
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
    const event = eventOf(message);
    const what = handled(event);
    message.ack();
    tell(what, event);
  } catch (error) {
    console.log(JSON.stringify({ what: "refused", address: message.subject, why: String(error) }));
    message.term(); // it would be no better the next time
  }
}
