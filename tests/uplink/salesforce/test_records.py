"""`mode: record`: the gateway writes the case itself, one per incident."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.contract import OutcomeKind, Severity
from gateway.testkit.servers.salesforce import RecordFault, RequestFault, Salesforce
from gateway.testkit.servers.salesforce.metadata import Field

Line = Any
SENT, DUPLICATE, RETRY, PARK, HOLD = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY", "PARK", "HOLD"))


async def send(line: Line, *batches: list[Any], **more: Any) -> None:
    uplink = await line.connected(mode="record", **more)
    for batch in batches:
        assert [outcome.kind for outcome in await uplink.send(batch)] == [SENT] * len(batch)


async def test_one_incident_is_one_case_through_open_update_flap_and_close(line: Line, org: Salesforce) -> None:
    worse = line.incident(2, "updated", worst=Severity.CRITICAL)
    flap = [line.incident(3 + i, "updated", worst=Severity.CRITICAL, reason="evidence") for i in range(4)]
    closed = line.incident(9, "cleared")
    await send(line, [line.incident(1, "raised")], [worse], flap, [closed])
    [case] = org.cases
    assert case["Gateway_Alarm_Id__c"] == closed.correlationid
    assert (case["Gateway_State__c"], case["Gateway_Event_Id__c"]) == ("cleared", closed.id)
    assert (case["Subject"], case["Origin"], case["Status"]) == ("press-07: oil too hot", "Gateway", "New")
    assert case["Description"] == "value: 81.5\nlimit: 70.0\nunit: degC"


@pytest.mark.parametrize("mode", ["event", "record"])
async def test_number_with_more_digits_than_its_column_is_left_empty_and_the_event_arrives(line: Line, org: Salesforce, mode: str) -> None:
    uplink = await line.connected(mode=mode)
    strange = line.incident(1, "raised", score=1e30, explanation={"value": -3.4e38, "limit": 70.0})
    assert [outcome.kind for outcome in await uplink.send([strange])] == [SENT]
    [found] = org.events if mode == "event" else org.cases
    values = [found.get(name) for name in ("Score__c", "Value__c", "Gateway_Score__c")]
    assert values == [None] * 3
    assert "-3.4e38" in (found.get("Data__c") or found["Gateway_Evidence__c"])
    assert line.cut == [2 if mode == "event" else 1]


async def test_many_events_of_one_incident_in_one_batch_are_one_record(line: Line, org: Salesforce) -> None:
    """The org refuses a request that names an external id twice."""
    batch = [line.incident(1, "raised"), line.incident(2, "updated"), line.incident(3, "cleared"), *line.some(3)]
    await send(line, batch)
    assert len(org.cases) == 4
    assert next(c for c in org.cases if c["Gateway_Alarm_Id__c"] == batch[0].correlationid)["Gateway_State__c"] == "cleared"


async def test_a_batch_that_comes_twice_changes_nothing(line: Line, org: Salesforce) -> None:
    uplink = await line.connected(mode="record")
    events = line.some(5)
    org.faults.requests.append(RequestFault(200, kind="cut", after=True, path="/composite/"))
    assert {(o.kind, o.unknown) for o in await uplink.send(events)} == {(RETRY, True)}
    assert {o.kind for o in await uplink.send(events)} == {SENT}
    assert len(org.cases) == 5


async def test_a_fact_is_a_case_of_its_own_id(line: Line, org: Salesforce) -> None:
    fact = line.fact("A1")
    await send(line, [fact], [fact])
    assert [case["Gateway_Alarm_Id__c"] for case in org.cases] == [fact.id]


async def test_status_is_the_peoples_unless_it_is_configured(line: Line, org: Salesforce) -> None:
    await send(line, [line.incident(1, "raised")])
    org.org.update(org.cases[0], {"Status": "Working"})
    await send(line, [line.incident(2, "updated")], [line.incident(3, "cleared")])
    assert org.cases[0]["Status"] == "Working"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("UNABLE_TO_LOCK_ROW", RETRY),
        ("DUPLICATE_EXTERNAL_ID", HOLD),  # 300 of a single upsert: the id is not unique any more
        ("STRING_TOO_LONG", PARK),
        ("REQUIRED_FIELD_MISSING", PARK),
        ("FIELD_CUSTOM_VALIDATION_EXCEPTION", PARK),
    ],
)
async def test_refusal_of_one_record_is_its_own(line: Line, org: Salesforce, code: str, kind: OutcomeKind) -> None:
    events = line.some(3)
    org.faults.records.append(RecordFault(code, ("Subject",), when=lambda record: record["Gateway_Alarm_Id__c"] == events[1].correlationid))
    outcomes = await (await line.connected(mode="record")).send(events)
    assert [outcome.kind for outcome in outcomes] == [SENT, kind, SENT]


@pytest.mark.parametrize(
    "message",
    [
        "duplicate value found: Gateway_Alarm_Id__c duplicates value on record with id: 5001",
        "duplicate value found: <unknown> duplicates value on record with id: <unknown>",
    ],
)
async def test_case_that_somebody_made_at_this_instant_is_found_the_next_time(line: Line, org: Salesforce, message: str) -> None:
    org.faults.records.append(RecordFault("DUPLICATE_VALUE", message=message, times=1))
    uplink = await line.connected(mode="record")
    for kind in (RETRY, SENT):
        assert [outcome.kind for outcome in await uplink.send([line.incident(1, "raised")])] == [kind]


async def test_value_that_is_there_twice_in_a_unique_field_of_the_org_is_parked_and_names_it(line: Line, org: Salesforce) -> None:
    org.org.fields("Case")["Press__c"] = Field("Press__c", "Text", 40, external_id=True)  # type: ignore[index]
    uplink = await line.connected(mode="record", body={"item": {"Press__c": "{{ line }}"}})
    first, second = line.some(2)
    assert [outcome.kind for outcome in await uplink.send([first])] == [SENT]
    [outcome] = await uplink.send([second])
    assert (outcome.kind, outcome.code) == (PARK, "DUPLICATE_VALUE")
    assert "duplicate value found: Press__c duplicates value on record with id: 500" in outcome.reason


async def test_ids_that_are_not_unique_any_more_hold_and_lose_nothing(line: Line, org: Salesforce) -> None:
    event = line.incident(1, "raised")
    for _ in range(2):
        org.org._store("Case", {"Id": org.org._id("Case")}, {"Gateway_Alarm_Id__c": event.correlationid})
    [outcome] = await (await line.connected(mode="record")).send([event])
    assert outcome.kind is HOLD


async def test_a_case_is_closed_when_the_plant_wants_it(line: Line, org: Salesforce) -> None:
    """docs/salesforce.md names these three lines."""
    body = {"also": [{"types": ["*.cleared.*"], "item": {"Status": "Closed"}}]}
    await send(line, [line.incident(1, "raised")], [line.incident(2, "updated")], body=body)
    assert org.cases[0]["IsClosed"] is False
    await send(line, [line.incident(3, "cleared")], body=body)
    assert (org.cases[0]["IsClosed"], org.cases[0]["Subject"]) == (True, "press-07: oil too hot")
