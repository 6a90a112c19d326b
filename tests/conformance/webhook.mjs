// Verifies requests [{headers, body}] with the library of Standard Webhooks; prints true or false for each.
import { text } from "node:stream/consumers";
import { Webhook } from "standardwebhooks";

const webhook = new Webhook(process.argv[2]);
const verified = ({ headers, body }) => {
  try {
    webhook.verify(body, headers);
    return true;
  } catch {
    return false;
  }
};
console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map(verified)));
