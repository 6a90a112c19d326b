// A node-opcua server for tests. One JSON object of options as argument; says "ready"; takes commands as lines of JSON and answers each.
//   port, pki       where it listens on 127.0.0.1, and the folder of its certificates
//   accepts         true: takes every client certificate; false: none it does not know
//   anonymous       false: only user edge / s3cret
//   shift           namespaces registered before ours, so that its index is another one
//   limits          operations it takes in one call
//   slow            true: revises publishing and sampling upwards
"use strict";
const readline = require("readline");
const opcua = require("node-opcua");
const { OPCUAServer, OPCUACertificateManager, DataType, VariantArrayType, StatusCodes } = opcua;

const options = JSON.parse(process.argv[2]);
const NAMESPACE = "http://lineside.example/cnc";

async function main() {
  const manager = new OPCUACertificateManager({ rootFolder: options.pki, automaticallyAcceptUnknownCertificate: !!options.accepts });
  await manager.initialize();
  const users = new OPCUACertificateManager({ rootFolder: options.pki + "-users", automaticallyAcceptUnknownCertificate: true });
  await users.initialize();
  const policies = opcua.SecurityPolicy;
  const server = new OPCUAServer({
    port: options.port, host: "127.0.0.1", hostname: "127.0.0.1", resourcePath: "/peer",
    serverCertificateManager: manager, userCertificateManager: users,
    securityModes: [opcua.MessageSecurityMode.None, opcua.MessageSecurityMode.Sign, opcua.MessageSecurityMode.SignAndEncrypt],
    securityPolicies: [policies.None, policies.Basic256Sha256, policies.Aes128_Sha256_RsaOaep, policies.Aes256_Sha256_RsaPss],
    allowAnonymous: options.anonymous !== false,
    userManager: { isValidUser: (user, password) => user === "edge" && password === "s3cret" },
    serverInfo: { applicationName: { text: "Peer@lineside", locale: "en" }, productUri: "NodeOPCUA-Server" },
    serverCapabilities: { operationLimits: options.limits || {}, maxMonitoredItemsPerSubscription: options.most || 100000 },
  });
  await server.initialize();
  const space = server.engine.addressSpace;
  for (let i = 0; i < (options.shift || 0); i++) space.registerNamespace(`urn:somebody:else:${i}`);
  const own = space.registerNamespace(NAMESPACE);
  const machine = own.addObject({ organizedBy: space.rootFolder.objects, browseName: "Machine", nodeId: "s=Machine", eventNotifier: 1 });
  const variables = {};
  const add = (name, dataType, value, more = {}) => {
    variables[name] = [own.addVariable({
      componentOf: machine, browseName: name, nodeId: `s=${name}`, dataType, minimumSamplingInterval: options.slow ? 500 : 0,
      value: { dataType: DataType[dataType], value }, ...more,
    }), DataType[dataType]];
    return variables[name][0];
  };
  const load = own.addAnalogDataItem({
    componentOf: machine, browseName: "load", nodeId: "s=load", dataType: "Double", minimumSamplingInterval: options.slow ? 500 : 0,
    engineeringUnitsRange: { low: 0, high: 200 }, engineeringUnits: opcua.standardUnits.percent || opcua.standardUnits.degree_celsius,
    value: { dataType: DataType.Double, value: 41.5 },
  });
  variables.load = [load, DataType.Double];
  add("speed", "UInt16", 1500);
  add("parts", "Int32", 0);
  add("running", "Boolean", true);
  add("program", "String", "O1234");
  add("wave", "Float", new Float32Array(8), {
    valueRank: 1, value: { dataType: DataType.Float, arrayType: VariantArrayType.Array, value: new Float32Array(8) },
  });
  add("doubtful", "Double", 1);
  add("history", "Double", 0);
  space.installHistoricalDataNode(variables.history[0], { maxOnlineValues: 5000 });
  for (let i = 0; i < (options.many || 0); i++) add(`v${i}`, "Double", i);
  space.installAlarmsAndConditionsService();
  machine.setEventNotifier ? machine.setEventNotifier(1) : 0;
  add("pressure", "Double", 5);
  variables.pressure[0].addReference && machine.addReference({ referenceType: "HasEventSource", nodeId: variables.pressure[0] });
  space.rootFolder.objects.server.addReference({ referenceType: "HasNotifier", nodeId: machine });
  own.instantiateExclusiveLimitAlarm("ExclusiveLimitAlarmType", {
    browseName: "PressureHigh", conditionSource: variables.pressure[0], inputNode: variables.pressure[0],
    highHighLimit: 100, highLimit: 50, lowLimit: -50, lowLowLimit: -100, optionals: ["ConfirmedState", "Confirm"],
  });

  const commands = {
    set: ({ name, value, status }) => {
      const [variable, dataType] = variables[name];
      const array = Array.isArray(value);
      variable.setValueFromSource(
        { dataType, value: array ? new Float32Array(value) : value, arrayType: array ? VariantArrayType.Array : VariantArrayType.Scalar },
        status ? StatusCodes[status] : StatusCodes.Good);
    },
    add: ({ name, value }) => { add(name, "Double", value); },
    drop: async () => {  // sessions end, connections stay
      for (const session of Object.values(server.engine._sessions)) await server.engine.closeSession(session.authenticationToken, true, "Terminated");
    },
    written: () => written,
  };
  let written = 0;
  server.on("request", (request) => { if (/Write|HistoryUpdate|AddNodes|Delete(Nodes|References)/.test(request.constructor.name)) written += 1; });

  await server.start();
  const lines = readline.createInterface({ input: process.stdin });
  lines.on("close", () => process.exit(0));
  lines.on("line", async (line) => {
    const command = JSON.parse(line);
    const answer = await commands[command.do](command);
    console.log(JSON.stringify({ done: command.do, answer: answer === undefined ? null : answer }));
  });
  console.log("ready");
}

main().catch((error) => { console.error(error); process.exit(1); });
