// jsforce against an org: log in, publish, upsert, ask. Its bodies come in chunks.
import jsforce from "jsforce";

const [url, clientId, clientSecret] = process.argv.slice(2);
const open = async (secret) => {
  const connection = new jsforce.Connection({ loginUrl: url, instanceUrl: url, version: "66.0", oauth2: { loginUrl: url, clientId, clientSecret: secret } });
  await connection.authorize({ grant_type: "client_credentials" });
  return connection;
};

let refused = false;
try {
  await open("wrong");
} catch {
  refused = true;
}
const connection = await open(clientSecret);
const created = await connection.sobject("Gateway_Event__e").create(
  [{ Event_Id__c: "inc-1-0001", Title__c: "too hot" }, { Title__c: "no id" }],
  { allOrNone: false },
);
let wrong = "";
try {
  await connection.sobject("Gateway_Event__e").create({ Event_Id__c: "inc-1-0002", Nonsense__c: 1 });
} catch (error) {
  wrong = error.errorCode ?? error.name;
}
const upserted = await connection.sobject("Case").upsert(
  [{ Gateway_Alarm_Id__c: "inc-1", Subject: "a" }, { Gateway_Alarm_Id__c: "inc-2", Subject: "b" }],
  "Gateway_Alarm_Id__c",
);
const cases = await connection.query("SELECT Id, Subject FROM Case WHERE Gateway_Alarm_Id__c != null");
console.log(JSON.stringify({ created, wrong, upserted, cases: cases.totalSize, used: connection.limitInfo.apiUsage.used, refused }));
