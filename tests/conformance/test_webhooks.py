"""The library of Standard Webhooks verifies what the uplink signs."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from gateway.contract import Event, OutcomeKind

OLD, NEW, OTHER = ("whsec_" + base64.b64encode(letter * 32).decode() for letter in (b"o", b"n", b"x"))


@pytest.mark.parametrize("form", [{"preset": "webhook"}, {"mode": "structured"}, {"mode": "batch"}], ids=["preset", "structured", "batch"])
async def test_it_verifies_our_signature_and_refuses_what_was_changed(
    node: Any, outcomes: Any, recorder: Any, events: list[Event], form: dict[str, str]
) -> None:
    options = {"https": recorder.url, "auth": {"kind": "standard_webhooks", "secrets": [{"secret": "hook"}]}} | form
    assert await outcomes("https", options, events, {"hook": NEW}) == [OutcomeKind.SENT] * len(events)
    first = recorder.requests[0]
    stamp = first["headers"]["webhook-timestamp"]
    changed = [
        first | {"body": first["body"] + " "},
        first | {"headers": first["headers"] | {"webhook-id": "another"}},
        first | {"headers": first["headers"] | {"webhook-timestamp": str(int(stamp) + 1)}},
        first | {"headers": {name: value for name, value in first["headers"].items() if name != "webhook-signature"}},
    ]
    found = await node("webhook.mjs", NEW, given=[*recorder.requests, *changed])
    assert found == [True] * len(recorder.requests) + [False] * len(changed)
    assert not any(await node("webhook.mjs", OTHER, given=recorder.requests))


async def test_while_a_secret_is_replaced_either_verifies(node: Any, outcomes: Any, recorder: Any, events: list[Event]) -> None:
    auth = {"kind": "standard_webhooks", "secrets": [{"secret": "old"}, {"secret": "new"}]}
    await outcomes("https", {"https": recorder.url, "auth": auth}, events[:1], {"old": OLD, "new": NEW})
    assert [await node("webhook.mjs", secret, given=recorder.requests) for secret in (OLD, NEW, OTHER)] == [[True], [True], [False]]
