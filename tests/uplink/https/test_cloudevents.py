"""Our bodies are read by the SDK of the CloudEvents project."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat

from gateway.testkit.posting import Bench, incident, kinds, sent
from gateway.testkit.servers.crm import Seen, Site


def read(seen: Seen) -> list[Any]:
    """Events of a request; a batch, which the SDK does not know, is read one by one."""
    if seen.headers["content-type"].startswith("application/cloudevents-batch+json"):
        headers = {"content-type": "application/cloudevents+json"}
        return [from_http_event(HTTPMessage(headers, json.dumps(each).encode()), JSONFormat()) for each in seen.document]
    return [from_http_event(HTTPMessage(dict(seen.headers), seen.body), JSONFormat())]


@pytest.mark.parametrize(("mode", "requests"), [("structured", 2), ("binary", 2), ("batch", 1)])
async def test_sdk_reads_every_mode(bench: Bench, mode: str, requests: int) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, mode=mode)
        assert kinds(await uplink.send([incident(1, title="Öl 80 °C"), incident(2)])) == sent(2)
        assert len(site.seen) == requests
        events = [event for seen in site.seen for event in read(seen)]
    first = events[0]
    assert [event.get_id() for event in events] == ["inc-1-raised", "inc-2-raised"]
    assert (first.get_type(), first.get_source()) == ("io.lineside.limit.raised.v1", "urn:lineside:acme:test:test-gw")
    assert first.get_subject() == "area/line/_/press-07/oil_temperature"
    assert first.get_time().replace(microsecond=0) == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert first.get_extension("correlationid") == "inc-1"
    assert int(first.get_extension("severitynumber")) == 13
    data = first.get_data()
    assert (data if isinstance(data, dict) else json.loads(data))["title"] == "Öl 80 °C"


async def test_single_form_without_an_item_is_the_cloudevent(bench: Bench) -> None:
    async with Site() as site:
        uplink = await bench.uplink(site.url, body={"form": "single"}, method="PUT", path="/events/{{ id }}")
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert (site.seen[0].method, site.seen[0].path) == ("PUT", "/events/inc-1-raised")
        assert read(site.seen[0])[0].get_id() == "inc-1-raised"
