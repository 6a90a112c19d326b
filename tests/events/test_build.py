"""The same happening has the same id; every time is UTC with nanoseconds."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Event, Finding, Machine, Severity, State
from gateway.events.build import EventBuilder, digest, rfc3339, subject, traceparent

PUMP = Machine(name="pump-3", path="utilities/cooling")
OfIncident = Callable[..., Event]


def milestone(**changed: Any) -> Finding:
    facts: dict[str, Any] = {
        "machine": "mes",
        "condition": "milestone_reached",
        "state": State.FACT,
        "t_ns": 1_800_000_000_000_000_000,
        "since_ns": 1_800_000_000_000_000_000,
        "severity": Severity.INFO,
        "title": "order 4711 reached milling",
        "key": "4711",
        "explanation": {"step": "milling"},
    }
    return Finding(**facts | changed)


def fact(builder: EventBuilder, finding: Finding, now_ns: int = 1) -> Event:
    return builder.of_fact(finding, detector="order-1", domain="order", machine=Machine(name="mes", asset="M1"), now_ns=now_ns)


def test_the_same_happening_has_the_same_id_after_a_restart(of_incident: OfIncident) -> None:
    first, again = of_incident(), of_incident()
    assert first == again
    assert re.fullmatch(r"inc-[a-z2-7]{16}-0001", first.id)
    assert first.id.startswith(first.correlationid)


def test_each_event_of_an_incident_has_an_id_and_all_share_one_trace(of_incident: OfIncident) -> None:
    raised, updated = of_incident(1), of_incident(2, state="updated", reason="severity")
    assert raised.id != updated.id
    assert raised.correlationid == updated.correlationid
    assert raised.traceparent == updated.traceparent
    assert (raised.type, updated.type) == ("io.lineside.vibration.raised.v1", "io.lineside.vibration.updated.v1")


@pytest.mark.parametrize("other", [("pump-4", "hot", 1), ("pump-3", "cold", 1), ("pump-3", "hot", 2)])
def test_another_machine_condition_or_beginning_is_another_incident(builder: EventBuilder, other: tuple[str, str, int]) -> None:
    assert builder.incident_id("pump-3", "hot", 1) != builder.incident_id(*other)


def test_another_gateway_is_another_incident(builder: EventBuilder) -> None:
    other = EventBuilder("urn:lineside:acme:dresden:dresden-press-02")
    assert builder.incident_id("pump-3", "hot", 1) != other.incident_id("pump-3", "hot", 1)


def test_a_fact_told_again_later_has_the_same_id(builder: EventBuilder) -> None:
    first, again = fact(builder, milestone(), now_ns=1), fact(builder, milestone(title="said otherwise"), now_ns=2)
    assert first.id == again.id
    assert re.fullmatch(r"fct-[a-z2-7]{16}", first.id)
    assert fact(builder, milestone(key="4712")).id != first.id
    assert fact(builder, milestone(t_ns=1_800_000_000_000_000_001)).id != first.id


def test_a_fact_says_what_when_and_where(builder: EventBuilder) -> None:
    event = fact(builder, milestone(), now_ns=1_800_000_007_000_000_000)
    assert msgspec.json.decode(event.data) == {
        "machine": "mes",
        "asset": "M1",
        "title": "order 4711 reached milling",
        "detector": "order-1",
        "at": "2027-01-15T08:00:00.000000000Z",
        "key": "4711",
        "explanation": {"step": "milling"},
    }
    assert (event.type, event.subject, event.correlationid) == ("io.lineside.order.milestone_reached.v1", "_/_/_/mes", "")


def test_an_event_of_the_gateway_itself(builder: EventBuilder) -> None:
    data = {"title": "the outbox was replaced", "at": rfc3339(1), "set_aside": "outbox.db.damaged-1", "problem": "malformed"}
    event = builder.of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=1)
    assert (event.type, event.subject) == ("io.lineside.gateway.outbox_replaced.v1", "_/_/_/dresden-press-01")
    assert event == builder.of_gateway("outbox_replaced", data, severity=Severity.ERROR, now_ns=1)


@given(st.lists(st.text()), st.lists(st.text()))
def test_parts_of_an_id_do_not_run_into_each_other(a: list[str], b: list[str]) -> None:
    separated = ["\x1f".join(part).count("\x1f") == max(0, len(part) - 1) for part in (a, b)]
    if a != b and all(separated) and len(a) and len(b):
        assert digest(*a) != digest(*b)


@given(st.text())
def test_an_id_is_the_hash_in_base32(part: str) -> None:
    assert digest(part) == b32encode(blake2b(part.encode(), digest_size=10).digest()).decode().lower()


@given(st.integers(0, 4_000_000_000 * 10**9))
def test_times_are_utc_with_nanoseconds(t_ns: int) -> None:
    text = rfc3339(t_ns)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", text)
    seconds = datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC).timestamp()
    assert int(seconds) * 10**9 + int(text[20:29]) == t_ns


@given(st.text())
def test_a_traceparent_is_w3c_trace_context(seed: str) -> None:
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01", traceparent(seed))
    assert found is not None
    assert set(found[1]) != {"0"}
    assert set(found[2]) != {"0"}


@pytest.mark.parametrize(
    ("path", "point", "expected"),
    [
        ("", "", "_/_/_/pump-3"),
        ("utilities", "", "utilities/_/_/pump-3"),
        ("utilities/cooling", "vibration_x", "utilities/cooling/_/pump-3/vibration_x"),
        ("a/b/c", "speed", "a/b/c/pump-3/speed"),
    ],
)
def test_levels_a_plant_does_not_have_keep_their_place(path: str, point: str, expected: str) -> None:
    assert subject(Machine(name="pump-3", path=path), point) == expected


def test_an_incident_of_several_tags_is_of_the_machine(of_incident: OfIncident) -> None:
    assert of_incident().subject == "utilities/cooling/_/pump-3/vibration_x"
    assert of_incident(tags=["a", "b"]).subject == "utilities/cooling/_/pump-3"
    assert of_incident(tags=[]).subject == "utilities/cooling/_/pump-3"
