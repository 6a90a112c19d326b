// Validates [{schema, instance}]; prints true or false for each.
import { text } from "node:stream/consumers";
import Ajv from "ajv";
import formats from "ajv-formats";

const validators = new Map();
const valid = ({ schema, instance }) => {
  const key = JSON.stringify(schema);
  if (!validators.has(key)) validators.set(key, formats(new Ajv({ strict: false })).compile(schema));
  return validators.get(key)(instance);
};
console.log(JSON.stringify(JSON.parse(await text(process.stdin)).map(valid)));
