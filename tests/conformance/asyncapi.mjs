// Parses an AsyncAPI document; prints its errors and how much the parser found in it.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter((each) => each.severity === 0).map((each) => `${each.path.join(".")}: ${each.message}`);
const count = (what) => document?.[what]().all().length ?? 0;
console.log(
  JSON.stringify({
    errors,
    channels: count("allChannels"),
    operations: count("allOperations"),
    servers: count("allServers"),
    messages: document?.components().messages().all().length ?? 0,
  }),
);
