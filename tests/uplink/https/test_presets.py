"""Each preset against a receiver that answers as the real one does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.contract import Severity
from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm import Answer, Dataverse, EventGrid, HubSpot, SapEventMesh, ServiceNow, TokenEndpoint, WebhookInbox
from gateway.testkit.servers.crm.servicenow import basic
from gateway.testkit.servers.crm.site import bearer
from gateway.uplink.https import presets
from gateway.uplink.https.config import HttpsOptions


def dataverse(tokens: TokenEndpoint) -> dict[str, Any]:
    secret = {"secret": "crm"}
    auth = {"token_url": tokens.token_url, "client_id": "edge", "client_secret": secret, "scope": "https://org.crm4.dynamics.com/.default"}
    return {"preset": "dataverse", "auth": auth, "vars": {"customer": "/accounts(accountnumber='4711')"}}


async def test_dataverse_upserts_one_case_per_incident_and_finds_the_bad_row(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Dataverse(door=tokens.valid) as server:
        table = server.table("incidents")
        table.poison.add("inc-3")
        uplink = await bench.uplink(server.url, **dataverse(tokens))
        events = [incident(n, state) for n in range(6) for state in ("raised", "cleared")]
        outcomes = await uplink.send(events)
    assert [n for n, outcome in enumerate(outcomes) if outcome.kind.value == "park"] == [6, 7]
    assert outcomes[6].code == "0x80040265"
    assert set(table.rows) == {f"inc-{n}" for n in range(6)} - {"inc-3"}
    assert set(table.writes.values()) == {1}
    row = table.rows["inc-5"]
    assert row["title"] == "press-07: oil temperature high"
    assert (row["new_linesidestate"], row["new_linesideevent"], row["prioritycode"]) == ("cleared", "inc-5-cleared", 2)
    assert row["customerid_account@odata.bind"] == "/accounts(accountnumber='4711')"
    assert tokens.asked[0]["scope"] == "https://org.crm4.dynamics.com/.default"


async def test_dataverse_that_throttles_is_left_alone_as_long_as_it_says(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, Dataverse(door=tokens.valid) as server:
        server.throttle(37)
        uplink = await bench.uplink(server.url, **dataverse(tokens))
        outcomes = await uplink.send([incident(1), incident(2)])
    assert [(o.kind.value, o.after_seconds, o.unknown) for o in outcomes] == [("retry", 37.0, False)] * 2
    assert outcomes[0].reason.startswith("429 0x80072322")


async def test_dataverse_keys_cannot_break_out_of_their_quotes(bench: Bench) -> None:
    import msgspec

    async with TokenEndpoint() as tokens, Dataverse(door=tokens.valid) as server:
        uplink = await bench.uplink(server.url, **dataverse(tokens))
        event = msgspec.structs.replace(incident(1), correlationid="a') or (b eq 'c")
        assert kinds(await uplink.send([event])) == ["sent"]
        assert list(server.table("incidents").rows) == ["a') or (b eq 'c"]


async def test_hubspot_reads_207_by_name(bench: Bench) -> None:
    async with HubSpot(door=bearer("s3cret")) as server:
        table = server.table("tickets")
        table.columns = {"subject": 40, "content": 6000, "hs_pipeline": 2, "hs_pipeline_stage": 2, "hs_ticket_priority": 8}
        uplink = await bench.uplink(server.url, preset="hubspot", token={"secret": "crm"})
        events = [incident(1), incident(2, title="x" * 41), incident(3), incident(3, "cleared")]
        outcomes = await uplink.send(events)
    assert kinds(outcomes) == ["sent", "park", "sent", "sent"]
    assert outcomes[1].code == "INVALID_LENGTH: subject"
    assert {key: row["hs_pipeline_stage"] for key, row in table.rows.items()} == {"inc-1": "1", "inc-3": "4"}
    assert table.rows["inc-3"]["subject"] == "press-07: oil temperature high"
    assert table.rows["inc-1"]["hs_ticket_priority"] == "MEDIUM"
    assert len(server.seen) == 1


async def test_hubspot_batches_are_of_a_hundred(bench: Bench) -> None:
    async with HubSpot(door=bearer("s3cret")) as server:
        uplink = await bench.uplink(server.url, preset="hubspot", token={"secret": "crm"})
        assert kinds(await uplink.send([incident(n) for n in range(250)])) == sent(250)
        assert [len(seen.document["inputs"]) for seen in server.seen] == [100, 100, 50]


@pytest.mark.parametrize(("policy", "kind", "seconds"), [("DAILY", "hold", 3600.0), ("TEN_SECONDLY", "retry", 0.0)])
async def test_hubspot_says_which_limit_was_reached(bench: Bench, policy: str, kind: str, seconds: float) -> None:
    async with HubSpot(door=bearer("s3cret")) as server:
        server.throttle(policy)
        uplink = await bench.uplink(server.url, preset="hubspot", token={"secret": "crm"})
        (outcome,) = await uplink.send([incident(1)])
    assert (outcome.kind.value, outcome.after_seconds) == (kind, seconds)


async def test_servicenow_gets_one_alert_per_incident_and_zero_when_it_is_over(bench: Bench) -> None:
    async with ServiceNow(door=basic("edge", "s3cret")) as server:
        server.poison.add("inc-2")
        auth = {"username": "edge", "password": {"secret": "crm"}}
        uplink = await bench.uplink(server.url, preset="servicenow", auth=auth)
        events = [incident(1), incident(2), incident(3, severity=Severity.CRITICAL), incident(1, "cleared")]
        outcomes = await uplink.send(events)
    assert kinds(outcomes) == ["sent", "park", "sent", "sent"]
    assert {key: (alert["severity"], alert["count"]) for key, alert in server.alerts.items()} == {"inc-1": ("0", 2), "inc-3": ("1", 1)}
    alert = server.alerts["inc-1"]
    assert (alert["node"], alert["resource"], alert["metric_name"]) == ("press-07", "oil_temperature", "oil_temperature_high")
    assert alert["time_of_event"] == "2027-01-15 08:00:00"
    assert json.loads(alert["additional_info"])["explanation"] == {"value": 71.5, "limit": 70}


async def test_event_grid_gets_batches_below_its_limit(bench: Bench) -> None:
    async with EventGrid(key="s3cret") as server:
        uplink = await bench.uplink(server.url, preset="eventgrid", auth={"token": {"secret": "crm"}})
        events = [incident(n, title="x" * 9000) for n in range(150)]
        assert kinds(await uplink.send(events)) == sent(150)
        assert set(server.events) == {event.id for event in events}
        assert [len(seen.body) < 1 << 20 for seen in server.seen] == [True, True]
        assert server.events["inc-7-raised"]["data"]["incident"] == "inc-7"


async def test_event_grid_that_finds_a_batch_too_large_gets_halves(bench: Bench) -> None:
    async with EventGrid(key="s3cret") as server:
        uplink = await bench.uplink(server.url, preset="eventgrid", auth={"token": {"secret": "crm"}}, body={"max_bytes": 3_000_000})
        events = [incident(n, title="x" * 9000) for n in range(150)]
        assert kinds(await uplink.send(events)) == sent(150)
        assert (len(server.events), server.repeats, len(server.seen)) == (150, 0, 3)


async def test_event_larger_than_a_request_is_parked_without_being_sent(bench: Bench) -> None:
    async with EventGrid(key="s3cret") as server:
        uplink = await bench.uplink(server.url, preset="eventgrid", auth={"token": {"secret": "crm"}})
        outcomes = await uplink.send([incident(1), incident(2, title="x" * 1_100_000), incident(3)])
    assert kinds(outcomes) == ["sent", "park", "sent"]
    assert "at most 1000000" in outcomes[1].reason
    assert sorted(server.events) == ["inc-1-raised", "inc-3-raised"]


async def test_sap_event_mesh_gets_one_message_per_event_on_a_topic_of_its_type(bench: Bench) -> None:
    async with TokenEndpoint() as tokens, SapEventMesh(door=tokens.valid) as server:
        auth = {"token_url": tokens.token_url, "client_id": "edge", "client_secret": {"secret": "crm"}}
        uplink = await bench.uplink(server.url, preset="sap-event-mesh", auth=auth, vars={"namespace": "acme/lineside/1"})
        assert kinds(await uplink.send([incident(1), incident(1, "cleared")])) == sent(2)
    assert [(topic, body["id"]) for topic, body in server.messages] == [
        ("acme/lineside/1/ce/io/lineside/limit/raised/v1", "inc-1-raised"),
        ("acme/lineside/1/ce/io/lineside/limit/cleared/v1", "inc-1-cleared"),
    ]
    assert tokens.asked == [{"grant_type": "client_credentials"}]
    assert server.seen[0].headers["content-type"] == "application/cloudevents+json"


async def test_webhook_is_signed_and_held_when_the_receiver_is_gone(bench: Bench) -> None:
    bench.secrets["crm"] = "whsec_" + base64.b64encode(b"k" * 32).decode()
    async with WebhookInbox(bench.secrets["crm"], now=1_800_000_000) as server:
        server.now = None
        uplink = await bench.uplink(server.url, preset="webhook", auth={"secrets": [{"secret": "crm"}]})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        got = server.accepted["inc-1-raised"]
        assert (got["type"], got["timestamp"]) == ("io.lineside.limit.raised.v1", "2027-01-15T08:00:00.000000001Z")
        assert got["data"]["event"]["incident"] == "inc-1"
        server.script.append(Answer(410))
        (outcome,) = await uplink.send([incident(2)])
    assert (outcome.kind.value, outcome.after_seconds) == ("hold", 21600.0)


@pytest.mark.parametrize("name", presets.names())
def test_preset_names_every_key_that_is_missing(name: str) -> None:
    needs = dict(presets.read(name).get("needs", {}))
    if not needs:
        assert HttpsOptions.model_validate({"https": "https://crm.example.com", "preset": name})
        return
    with pytest.raises(ValidationError) as refused:
        HttpsOptions.model_validate({"https": "https://crm.example.com", "preset": name})
    for key, what in needs.items():
        assert f"{key} ({what})" in str(refused.value)


@pytest.mark.parametrize("name", presets.names())
def test_preset_holds_options_and_its_own_four_keys_only(name: str) -> None:
    preset = presets.read(name)
    variants = preset.get("variants", {})
    known = {*HttpsOptions.model_fields, "about", "needs", "variants"}
    for options in (preset, *variants.values()):
        assert set(options) <= known
    assert not variants or preset["mode"] in variants
    assert preset["about"]
