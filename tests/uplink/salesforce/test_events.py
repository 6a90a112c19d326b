"""`mode: event` against the org: columns, log-in, allowances, and every row of the error table."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.contract import NotConnected, OutcomeKind, Severity
from gateway.exports.salesforce.columns import EVENT_COLUMNS
from gateway.testkit.servers.salesforce import RecordFault, RequestFault, Salesforce

Line = Any
SENT, DUPLICATE, RETRY, PARK, HOLD = (OutcomeKind[name] for name in ("SENT", "DUPLICATE", "RETRY", "PARK", "HOLD"))


async def test_an_incident_arrives_in_typed_columns(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    event = line.incident(1, "raised", worst=Severity.ERROR)
    assert [outcome.kind for outcome in await uplink.send([event])] == [SENT]
    [got] = org.events
    assert {
        "Event_Id__c": event.id,
        "Alarm_Id__c": event.correlationid,
        "Event_Type__c": "io.lineside.limit.raised.v1",
        "Gateway__c": "test-gw",
        "Site__c": "test",
        "Area__c": "press-shop",
        "Line__c": "line-2",
        "Cell__c": "cell-1",
        "Machine__c": "press-07",
        "Asset__c": "02i5e000000PRESS07",
        "Severity__c": 17,
        "Severity_Text__c": "ERROR",
        "State__c": "raised",
        "Score__c": 1.25,
        "Value__c": 81.5,
        "Unit__c": "degC",
        "Title__c": "press-07: oil too hot",
        "Occurred_At__c": "2027-01-15T08:00:01.123Z",
        "Trace_Parent__c": event.traceparent,
    }.items() <= got.items()
    assert json.loads(got["Data__c"]) == json.loads(event.data)
    assert "81.5" in got["Evidence__c"]


async def test_a_fact_has_no_alarm(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    assert [outcome.kind for outcome in await uplink.send([line.fact("A1")])] == [SENT]
    assert "Alarm_Id__c" not in org.events[0]
    assert org.events[0]["Order_Number__c"] == "A1"


async def test_two_hundred_events_are_one_call(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    outcomes = await uplink.send(line.some(200))
    assert {outcome.kind for outcome in outcomes} == {SENT}
    assert [method for method, path in org.calls if path.endswith("/composite/sobjects")] == ["POST"]
    assert len(org.events) == 200


async def test_more_than_two_hundred_are_more_calls(line: Line, org: Salesforce) -> None:
    uplink = await line.connected(batch=450)
    assert {outcome.kind for outcome in await uplink.send(line.some(450))} == {SENT}
    assert len([path for _, path in org.calls if path.endswith("/composite/sobjects")]) == 3


async def test_what_is_too_long_ends_in_a_mark_and_keys_are_never_cut(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    long = line.incident(1, "raised", explanation={"note": "x" * 200_000, "unit": "u" * 99})
    assert [outcome.kind for outcome in await uplink.send([long])] == [SENT]
    [got] = org.events
    for column in EVENT_COLUMNS:
        value = got.get(column.name)
        assert not isinstance(value, str) or len(value) <= column.length or column.kind == "DateTime"
    assert (len(got["Data__c"]), got["Data__c"][-1], got["Unit__c"][-1]) == (131_072, "…", "…")
    [outcome] = await uplink.send([replace(long, id="i" * 65)])
    assert outcome.kind is PARK
    assert len(org.events) == 1


TRANSIENT = [
    "PLATFORM_EVENT_PUBLISHING_UNAVAILABLE",
    "SERVER_UNAVAILABLE",
    "UNABLE_TO_LOCK_ROW",
    "QUERY_TIMEOUT",
    "PLATFORM_EVENT_ENCRYPTION_ERROR",
    "PROCESSING_HALTED",
    "ALL_OR_NONE_OPERATION_ROLLED_BACK",
]
PERMANENT = [
    "REQUIRED_FIELD_MISSING",
    "STRING_TOO_LONG",
    "PAYLOAD_SIZE_EXCEEDED",
    "INVALID_FIELD",
    "INVALID_TYPE",
    "JSON_PARSER_ERROR",
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        *((code, RETRY) for code in TRANSIENT),
        *((code, PARK) for code in PERMANENT),
        ("LIMIT_EXCEEDED", HOLD),
        ("DUPLICATE_VALUE", DUPLICATE),
    ],
)
async def test_refusal_of_one_record_is_its_own(line: Line, org: Salesforce, code: str, kind: OutcomeKind) -> None:
    events = line.some(5)
    org.faults.records.append(RecordFault(code, ("Title__c",), when=lambda record: record["Event_Id__c"] == events[2].id))
    outcomes = await (await line.connected()).send(events)
    assert [outcome.kind for outcome in outcomes] == [SENT, SENT, kind, SENT, SENT]
    assert len(org.events) == 4
    if kind is PARK:
        assert code in outcomes[2].code
        assert "Title__c" in outcomes[2].code
    if kind in (PARK, RETRY, HOLD):
        assert code in outcomes[2].reason
    assert not outcomes[2].unknown
    if code == "LIMIT_EXCEEDED":
        assert abs(outcomes[2].after_seconds - (3600 - time.time() % 3600)) < 5


async def test_an_admin_renamed_a_field(line: Line, org: Salesforce) -> None:
    """The same code for every event of the batch: what the breaker goes by."""
    del org.org.objects["Gateway_Event__e"]["Score__c"]  # type: ignore[attr-defined]
    outcomes = await (await line.connected()).send(line.some(3))
    assert [outcome.kind for outcome in outcomes] == [PARK] * 3
    assert {outcome.code for outcome in outcomes} == {outcomes[0].code}
    assert "INVALID_FIELD" in outcomes[0].code
    assert "Score__c" in outcomes[0].code


async def test_a_field_the_org_refuses_the_whole_request_for(line: Line, org: Salesforce) -> None:
    org.api.whole = True
    del org.org.objects["Gateway_Event__e"]["Score__c"]  # type: ignore[attr-defined]
    outcomes = await (await line.connected()).send(line.some(3))
    assert [(outcome.kind, "INVALID_FIELD" in outcome.code) for outcome in outcomes] == [(PARK, True)] * 3


@pytest.mark.parametrize(
    ("status", "code", "kind", "unknown", "seconds"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", HOLD, False, 900.0),
        (403, "API_DISABLED_FOR_ORG", HOLD, False, None),
        (403, "INSUFFICIENT_ACCESS_OR_READONLY", HOLD, False, None),
        (300, "MULTIPLE", HOLD, False, None),
        (404, "NOT_FOUND", HOLD, False, None),
        (405, "METHOD_NOT_ALLOWED", HOLD, False, None),
        (415, "UNSUPPORTED_MEDIA_TYPE", HOLD, False, None),
        (400, "JSON_PARSER_ERROR", PARK, False, None),
        (500, "UNKNOWN_EXCEPTION", RETRY, True, None),
        (502, "BAD_GATEWAY", RETRY, True, None),
        (503, "SERVER_UNAVAILABLE", RETRY, None, None),
        (504, "GATEWAY_TIMEOUT", RETRY, True, None),
    ],
)
async def test_refusal_of_the_whole_request(
    line: Line, org: Salesforce, status: int, code: str, kind: OutcomeKind, unknown: bool | None, seconds: float | None
) -> None:
    uplink = await line.connected()
    org.faults.requests.append(RequestFault(status, code, path="/composite/", times=None))
    outcomes = await uplink.send(line.some(3))
    assert [outcome.kind for outcome in outcomes] == [kind] * 3
    assert str(status) in outcomes[0].reason or code in outcomes[0].reason
    if unknown is not None:
        assert outcomes[0].unknown is unknown
    if seconds is not None:
        assert outcomes[0].after_seconds == seconds
    if kind is PARK:
        assert code in outcomes[0].code


@pytest.mark.parametrize("kind", ["hang", "cut", "drop"])
@pytest.mark.parametrize("after", [False, True])
async def test_no_answer_means_unknown_and_the_same_ids_go_again(line: Line, org: Salesforce, kind: str, after: bool) -> None:
    uplink = await line.connected(timeout="1s")
    org.faults.requests.append(RequestFault(200, kind=kind, after=after, path="/composite/"))
    events = line.some(3)
    outcomes = await uplink.send(events)
    assert [(outcome.kind, outcome.unknown) for outcome in outcomes] == [(RETRY, True)] * 3
    assert {outcome.kind for outcome in await uplink.send(events)} == {SENT}
    assert {event["Event_Id__c"] for event in org.events} == {event.id for event in events}
    assert len(org.events) == (6 if after else 3)  # the platform does not know them again; the flow does


@pytest.mark.parametrize("body", ["", "garbage", "{}", "[]", "[{}]", '[{"success": "true"}]', "<html>maintenance</html>"])
async def test_success_is_what_the_org_says_and_not_what_it_leaves_out(line: Line, org: Salesforce, body: str) -> None:
    uplink = await line.connected()
    org.faults.requests.append(RequestFault(200, body=body, path="/composite/", times=None))
    [outcome] = await uplink.send(line.some(1))
    assert (outcome.kind, outcome.unknown) == (RETRY, True)


async def test_a_session_that_ended_costs_one_log_in(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    await uplink.send([line.fact("first")])
    org.logins.revoke()
    granted = org.logins.granted
    assert {outcome.kind for outcome in await uplink.send(line.some(3))} == {SENT}
    assert org.logins.granted == granted + 1
    assert len(org.events) == 4


async def test_many_that_are_refused_at_once_share_one_log_in(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    await uplink.send([line.fact("first")])
    org.logins.revoke()
    granted = org.logins.granted
    sent = await asyncio.gather(*(uplink.send([event]) for event in line.some(20)))
    assert {outcome.kind for outcomes in sent for outcome in outcomes} == {SENT}
    assert org.logins.granted == granted + 1


async def test_a_session_refused_for_good_is_held_and_not_asked_for_again(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    await uplink.send(line.some(1))
    org.faults.requests.append(RequestFault(401, "INVALID_SESSION_ID", path="/composite/", times=None))
    asked = org.logins.asked
    outcomes = await uplink.send(line.some(3))
    assert [outcome.kind for outcome in outcomes] == [HOLD] * 3
    assert org.logins.asked == asked + 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"client_id": "other"}, "client identifier invalid"),
        ({"approved": set()}, "user hasn't approved this consumer"),
        ({"certificate": None}, "invalid assertion"),
    ],
)
async def test_credentials_that_are_refused_are_told_in_the_orgs_words(
    line: Line, org: Salesforce, change: dict[str, Any], words: str
) -> None:
    uplink = await line.connected()
    for name, value in change.items():
        setattr(org.logins.app, name, value)
    org.logins.revoke()
    outcomes = await uplink.send(line.some(2))
    assert [outcome.kind for outcome in outcomes] == [HOLD] * 2
    assert words in outcomes[0].reason
    asked = org.logins.asked
    assert [outcome.kind for outcome in await uplink.send(line.some(2))] == [HOLD] * 2
    assert org.logins.asked == asked  # log-ins are counted there, and too many lock the user


async def test_a_token_endpoint_that_is_down_blames_no_event(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    org.logins.revoke()
    org.faults.requests.append(RequestFault(503, path="/services/oauth2/token", times=None))
    with pytest.raises(NotConnected, match="the token endpoint answers 503"):
        await uplink.send(line.some(2))
    org.faults.requests.clear()
    assert {outcome.kind for outcome in await uplink.send(line.some(2))} == {SENT}


@pytest.mark.parametrize("hours", [-3, 3])
async def test_a_clock_that_is_wrong_is_corrected_by_the_orgs(line: Line, org: Salesforce, hours: int) -> None:
    org.ahead = hours * 3600.0
    uplink = await line.connected()
    assert {outcome.kind for outcome in await uplink.send(line.some(2))} == {SENT}
    assert org.logins.asked == 2


async def test_client_credentials(line: Line, org: Salesforce) -> None:
    auth = {
        "kind": "oauth2_client_credentials",
        "token_url": "/services/oauth2/token",
        "client_id": {"secret": "id"},
        "client_secret": {"secret": "secret"},
    }
    uplink = await line.connected(auth=auth)
    assert {outcome.kind for outcome in await uplink.send(line.some(2))} == {SENT}


async def test_usage_is_told_from_the_header_whatever_else_stands_there(line: Line, org: Salesforce) -> None:
    org.limits.bursts = True
    org.limits.use_up_calls(org.now(), left=100)
    uplink = await line.connected()
    await uplink.send(line.some(1))
    assert (line.usages[0].used, line.usages[0].limit) == (99_901, 100_000)


async def test_platform_events_of_the_hour_are_asked_for_and_the_tighter_allowance_is_told(line: Line, org: Salesforce) -> None:
    org.limits.events_most = 10
    uplink = await line.connected()
    await uplink.send(line.some(9))
    assert (line.usages[-1].used, line.usages[-1].limit) == (9, 10)
    asked = len(line.usages)
    await uplink.send(line.some(1))
    assert len(line.usages) == asked + 1, "with the answer, but not asked for again within a quarter of an hour"


async def test_used_up_calls_hold_until_the_window_has_moved(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    org.limits.use_up_calls(org.now())
    [outcome] = await uplink.send(line.some(1))
    assert (outcome.kind, outcome.after_seconds) == (HOLD, 900.0)
    org.limits.calls_most += 10
    assert {outcome.kind for outcome in await uplink.send(line.some(1))} == {SENT}


async def test_used_up_events_hold_to_the_next_hour_and_keep_what_went(line: Line, org: Salesforce) -> None:
    uplink = await line.connected()
    org.limits.use_up_events(org.now(), left=2)
    outcomes = await uplink.send(line.some(5))
    assert [outcome.kind for outcome in outcomes] == [SENT, SENT, HOLD, HOLD, HOLD]


async def test_one_incident_is_one_case_with_the_flow(line: Line, org: Salesforce) -> None:
    flow = org.activate("Gateway_Event_to_Case")
    uplink = await line.connected()
    events = [line.incident(1, "raised"), line.incident(2, "updated", worst=Severity.CRITICAL), line.incident(3, "cleared")]
    for batch in (events[:1], events[:1], events[1:]):
        assert {outcome.kind for outcome in await uplink.send(batch)} == {SENT}
    [case] = org.cases
    assert (case["Subject"], case["Gateway_State__c"], case["Gateway_Alarm_Id__c"]) == (
        "press-07: oil too hot",
        "cleared",
        events[0].correlationid,
    )
    assert flow.mails == []
