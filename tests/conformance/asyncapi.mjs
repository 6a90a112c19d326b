// Parses an AsyncAPI document; prints its errors and how many channels it has.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const errors = diagnostics.filter((each) => each.severity === 0).map((each) => `${each.path.join(".")}: ${each.message}`);
console.log(JSON.stringify({ errors, channels: document?.allChannels().all().length ?? 0 }));
