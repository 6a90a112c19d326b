// A durable pull consumer: prints what it gets of a stream, and that nothing more is there than was asked for.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const [url, stream, count] = process.argv.slice(2);
const connection = await connect({ servers: url });
await (await jetstreamManager(connection)).consumers.add(stream, { durable_name: "peer", ack_policy: AckPolicy.Explicit });
const consumer = await jetstream(connection).consumers.get(stream, "peer");
const found = [];
for await (const message of await consumer.fetch({ max_messages: Number(count) + 1, expires: 2000 })) {
  const headers = Object.fromEntries(message.headers.keys().map((name) => [name, message.headers.get(name)]));
  found.push({ msgid: message.headers.get("Nats-Msg-Id"), headers, data: message.string() });
  message.ack();
}
await connection.drain();
console.log(JSON.stringify(found));
