// jsforce against an org: log in, publish, upsert, ask; prints what it was told.
import jsforce from "jsforce";

const [url, clientId, clientSecret] = process.argv.slice(2);
const version = "66.0";

async function open(secret) {
  const connection = new jsforce.Connection({ loginUrl: url, instanceUrl: url, version, oauth2: { loginUrl: url, clientId, clientSecret: secret } });
  await connection.authorize({ grant_type: "client_credentials" });
  return connection;
}

// What a call is refused with; "" when it is not.
const refusal = (call) => call.then(() => "", (error) => error.errorCode ?? error.name);

const secret = await refusal(open("wrong"));
const connection = await open(clientSecret);
const event = connection.sobject("Gateway_Event__e");
const records = [{ Event_Id__c: "inc-1-0001", Title__c: "zu heiß" }, { Title__c: "no id" }, { Event_Id__c: "inc-1-0002" }];
const created = await event.create(records, { allOrNone: false });
const alone = [await refusal(event.create({ Event_Id__c: "inc-1-0003", Nonsense__c: 1 })), await refusal(event.create({ Event_Id__c: "inc-1-0004" }))];

const upsert = (...given) =>
  connection.sobject("Case").upsert(given.map(([id, Subject]) => ({ Gateway_Alarm_Id__c: id, Subject })), "Gateway_Alarm_Id__c", { allOrNone: false });
const first = await upsert(["inc-1", "a"], ["inc-2", "b"]);
const second = await upsert(["inc-1", "a, later"], ["inc-3", "c"]);
const answer = await connection.query("SELECT Subject FROM Case WHERE Gateway_Alarm_Id__c != null ORDER BY Subject");
const cases = answer.records.map(({ Subject }) => ({ Subject }));
const query = await refusal(connection.query("SELECT Nonsense__c FROM Case").then());
const remaining = (await connection.limits()).HourlyPublishedPlatformEvents.Remaining;
const usage = connection.limitInfo.apiUsage;

const stranger = new jsforce.Connection({ instanceUrl: url, version, accessToken: "nonsense" });
const token = await refusal(stranger.query("SELECT Id FROM Case").then());
console.log(JSON.stringify({ created, alone, first, second, cases, usage, remaining, refused: { secret, token, query } }));
