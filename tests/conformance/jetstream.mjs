// A durable pull consumer: prints what it gets of a stream, one message more than was asked for if there is one, and what the SDK of
// CloudEvents makes of each message's headers (null: it refuses them).
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { CloudEvent } from "cloudevents";

const [url, stream, count] = process.argv.slice(2);

function eventOf(headers, data) {
  const own = Object.entries(headers).filter(([name]) => name.startsWith("ce-"));
  try {
    const event = new CloudEvent({ ...Object.fromEntries(own.map(([name, value]) => [name.slice(3), decodeURIComponent(value)])), data });
    event.validate();
    return event;
  } catch {
    return null;
  }
}

const connection = await connect({ servers: url });
await (await jetstreamManager(connection)).consumers.add(stream, { durable_name: "peer", ack_policy: AckPolicy.Explicit });
const consumer = await jetstream(connection).consumers.get(stream, "peer");
const found = [];
for await (const message of await consumer.fetch({ max_messages: Number(count) + 1, expires: 1000 })) {
  const headers = Object.fromEntries(message.headers.keys().map((name) => [name, message.headers.get(name)]));
  const data = message.string();
  found.push({ msgid: message.headers.get("Nats-Msg-Id"), subject: message.subject, headers, data, event: eventOf(headers, JSON.parse(data)) });
  await message.ackAck();
}
await connection.drain();
console.log(JSON.stringify(found));
