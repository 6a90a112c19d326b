// node-opcua servers for load: ITEMS doubles, each changed CHANGES times a second. Ends when standard input is closed.
//   node opcua_server.js PORT ITEMS CHANGES
// node-opcua is looked for in NODE_PATH.
"use strict";
const { OPCUAServer, DataType } = require("node-opcua");

async function main() {
  const [port, items, changes] = process.argv.slice(2).map(Number);
  const server = new OPCUAServer({ port, host: "127.0.0.1", hostname: "127.0.0.1", resourcePath: "/bench", allowAnonymous: true });
  await server.initialize();
  const space = server.engine.addressSpace;
  const own = space.getOwnNamespace();
  const machine = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Machine" });
  const variables = [];
  for (let i = 0; i < items; i++) {
    variables.push(own.addVariable({
      componentOf: machine, nodeId: `s=v${i}`, browseName: `v${i}`, dataType: "Double", minimumSamplingInterval: 0,
      value: { dataType: DataType.Double, value: 0 },
    }));
  }
  // One tenth of the items every tenth of a period: a steady stream, not bursts. By the clock, because timers come late.
  const slices = 10;
  const started = Date.now();
  let turn = 0;
  setInterval(() => {
    const due = ((Date.now() - started) / 1000) * changes * slices;
    for (; turn < due; turn++) {
      const value = Math.sin(turn / 100) + turn * 1e-6;
      for (let i = turn % slices; i < items; i += slices) variables[i].setValueFromSource({ dataType: DataType.Double, value });
    }
  }, 1000 / changes / slices);
  await server.start();
  process.stdin.on("end", () => process.exit(0)).resume();
  console.log("ready");
}

main().catch((error) => { console.error(error); process.exit(1); });
