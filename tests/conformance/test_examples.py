"""The programs for Node.js in docs/examples, as a stranger runs them, on what the uplinks send."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gateway.contract import Event, OutcomeKind

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "docs" / "examples"
SECRET, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"s", b"x"))
SENT = OutcomeKind.SENT


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The examples in a folder with what their `package.json` asks for."""
    for file in EXAMPLES.glob("*.mjs"):
        shutil.copy(file, tmp_path)
    (tmp_path / "node_modules").symlink_to(HERE / "node_modules")
    return tmp_path


def says(event: Event, what: str = "applied") -> dict[str, Any]:
    """The line that integrators.md promises."""
    line = {"what": what, "id": event.id, "type": event.type, "subject": event.subject, "sequence": f"{event.sequence:020d}"}
    return line | ({"correlationid": event.correlationid} if event.correlationid else {}) | {"data": json.loads(event.data)}


def in_sequence(events: list[Event]) -> list[Event]:
    """As the outbox numbers them."""
    return [replace(event, sequence=number) for number, event in enumerate(events, 1)]


@pytest.mark.parametrize("mode", ["structured", "binary", "batch"])
async def test_the_receiver_takes_what_is_signed_and_drops_duplicates(
    start: Any, outcomes: Any, installed: Path, events: list[Event], mode: str
) -> None:
    events = in_sequence(events)
    receiver = await start(installed / "receiver.mjs", 0, LINESIDE_WEBHOOK_SECRET=SECRET)
    options = {
        "https": (await receiver.line())["address"],
        "mode": mode,
        "auth": {"kind": "standard_webhooks", "secrets": [{"secret": "hook"}]},
    }
    assert SENT not in await outcomes("https", options, events, {"hook": OTHER})
    for what in ("applied", "duplicate"):
        assert await outcomes("https", options, events, {"hook": SECRET}) == [SENT] * 5
        lines = sorted(await receiver.lines(5), key=lambda line: str(line["sequence"]))
        assert lines == [says(event, what) for event in events]


async def test_the_consumer_takes_each_event_once_and_refuses_what_is_none(
    start: Any, outcomes: Any, hub: Any, installed: Path, events: list[Event]
) -> None:
    events = in_sequence(events)
    await outcomes("nats", {"nats": hub.url, "stream": "EVENTS"}, events)
    consumer = await start(installed / "consumer.mjs", hub.url, "EVENTS", "example")
    assert await consumer.line() == {"what": "consumes", "stream": "EVENTS", "durable": "example"}
    assert await consumer.lines(5) == [says(event) for event in events]
    client = await hub.client()
    await client.jetstream().publish("evt.v1.acme.dresden._._._.limit.raised", b"no event")
    await client.close()
    assert (await consumer.line())["what"] == "refused"
