"""A durable consumer of the NATS project's client, on the stream that the uplink filled."""

from __future__ import annotations

import json
from typing import Any

from gateway.contract import Event, OutcomeKind
from gateway.events import codec

SENT, DUPLICATE = OutcomeKind.SENT, OutcomeKind.DUPLICATE


async def test_it_gets_every_event_once_though_each_was_sent_twice(node: Any, outcomes: Any, hub: Any, events: list[Event]) -> None:
    options = {"nats": hub.url, "stream": "EVENTS"}
    assert await outcomes("nats", options, events) == [SENT] * 5
    assert await outcomes("nats", options, events) == [DUPLICATE] * 5
    found = await node("jetstream.mjs", hub.url, "EVENTS", len(events))
    assert [each["msgid"] for each in found] == [event.id for event in events]
    for each, event in zip(found, events, strict=True):
        assert each["subject"] == codec.nats_subject(event)
        assert each["headers"] == codec.nats_headers(event)
        assert json.loads(each["data"]) == json.loads(event.data)


async def test_the_sdk_reads_the_headers(node: Any, outcomes: Any, hub: Any, events: list[Event]) -> None:
    """In binary mode of the NATS binding, which the SDK has not: it gets the attributes, decoded, and judges them."""
    await outcomes("nats", {"nats": hub.url, "stream": "EVENTS"}, events)
    for each, event in zip(await node("jetstream.mjs", hub.url, "EVENTS", len(events)), events, strict=True):
        wanted = codec.attributes(event) | {"datacontenttype": "application/json", "data": json.loads(event.data)}
        assert each["event"] == wanted | {"time": wanted["time"][:23] + "Z"}


async def test_it_would_notice_an_event_that_came_twice_or_is_none(node: Any, outcomes: Any, hub: Any, events: list[Event]) -> None:
    await outcomes("nats", {"nats": hub.url, "stream": "EVENTS"}, events[:1])
    client = await hub.client()
    headers = codec.nats_headers(events[0])
    await client.jetstream().publish(codec.nats_subject(events[0]), events[0].data, headers=headers | {"Nats-Msg-Id": "another"})
    without_type = {name: value for name, value in headers.items() if name != "ce-type"}
    await client.jetstream().publish(codec.nats_subject(events[0]), b"{}", headers=without_type | {"Nats-Msg-Id": "no type"})
    await client.close()
    found = await node("jetstream.mjs", hub.url, "EVENTS", 3)
    assert [each["headers"]["ce-id"] for each in found] == [events[0].id] * 3
    assert [each["event"] is not None for each in found] == [True, True, False]
