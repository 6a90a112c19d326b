// Reads requests [{headers, body}] as the SDK of CloudEvents does; prints the events, or {error}.
import { text } from "node:stream/consumers";
import { HTTP } from "cloudevents";

const requests = JSON.parse(await text(process.stdin));
try {
  const events = requests.flatMap((request) => HTTP.toEvent(request));
  for (const event of events) event.validate();
  console.log(JSON.stringify(events));
} catch (error) {
  console.log(JSON.stringify({ error: String(error) }));
}
