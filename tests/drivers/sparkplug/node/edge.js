// An edge node by npm's sparkplug-client, told on standard input what to do: one JSON object a line, answered by one.
"use strict";
const readline = require("node:readline");
const sparkplug = require("sparkplug-client");

const options = JSON.parse(process.argv[2]);
const client = sparkplug.newClient({
  serverUrl: options.url, username: "", password: "", groupId: "plant", edgeNode: "npm", clientId: `npm-${process.pid}`,
  version: "spBv1.0", publishDeath: true, keepalive: 2,
});
const compress = options.compress ? { compress: true, algorithm: options.compress } : {};
let asked = 0;
let t = 0;

// What the library cannot send by name it sends by alias: the host has to know it from the birth.
const metrics = (timestamp) => [
  { name: "Load", alias: 10, type: "Double", value: 1.5, timestamp },
  { name: "Temp", alias: 11, type: "Int16", value: -5, timestamp },
  { name: "Wide", alias: 12, type: "UInt64", value: 4294967296, timestamp },
  { name: "Back", alias: 13, type: "Int32", value: -70000, timestamp },
  { name: "On", alias: 14, type: "Boolean", value: true, timestamp },
  { name: "Mode", alias: 15, type: "String", value: "RUN", timestamp },
  { name: "Small", alias: 16, type: "Float", value: 0.25, timestamp },
  { name: "Table", alias: 17, type: "DataSet", timestamp,
    value: { numOfColumns: 2, columns: ["what", "level"], types: ["String", "Double"], rows: [["oil", 40.5], ["air", 6.5]] } },
  { name: "Motor", alias: 18, type: "Template", timestamp,
    value: { isDefinition: false, templateRef: "Motor", version: "1", metrics: [{ name: "Speed", type: "Int32", value: 1480 }], parameters: [] } },
];

function births() {
  const timestamp = Date.now();
  client.publishNodeBirth({ timestamp, metrics: [
    { name: "Node Control/Rebirth", type: "Boolean", value: false, timestamp }, { name: "Uptime", alias: 1, type: "Int64", value: 3, timestamp },
  ] }, compress);
  client.publishDeviceBirth("press", { timestamp, metrics: metrics(timestamp) }, compress);
}

const commands = {
  birth: births,
  data: ({ alias, name, type, value, historical }) => {
    const timestamp = Math.max(Date.now(), t + 1) - (historical ? 60000 : 0);
    if (!historical) t = timestamp;
    const isHistorical = historical ? { isHistorical: true } : {};
    client.publishDeviceData("press", { timestamp, metrics: [{ ...(name ? { name } : {}), alias, type, value, timestamp, ...isHistorical }] }, compress);
  },
  skip: () => { client.incrementSeqNum(); },
  devicedeath: () => { client.publishDeviceDeath("press", { timestamp: Date.now() }); },
  stop: () => { client.stop(); },
  asked: () => asked,
};

client.on("ncmd", (payload) => {
  if ((payload.metrics || []).some(({ name, value }) => name === "Node Control/Rebirth" && value === true)) {
    asked += 1;
    births();
  }
});
client.on("error", (error) => { console.error(error); process.exit(1); });
client.on("birth", () => { births(); console.log("ready"); });

const lines = readline.createInterface({ input: process.stdin });
lines.on("close", () => process.exit(0));
lines.on("line", (line) => {
  const command = JSON.parse(line);
  const answer = commands[command.do](command);
  console.log(JSON.stringify({ done: command.do, answer: answer === undefined ? null : answer }));
});
