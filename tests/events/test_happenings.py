"""What the gateway tells of itself: always within its contract, and the same happening has the same id."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Event, Machine, Severity
from gateway.events.build import EventBuilder, rfc3339
from gateway.events.catalogue import ContractViolation, event_type

T0 = 1_800_000_000_000_000_000
HOUR = 3_600_000_000_000
PUMP = Machine(name="pump-3", path="utilities/cooling", asset="M-3")
BUILDER = EventBuilder("urn:lineside:acme:dresden:press-01")


def summary(machine: Machine = PUMP, **changed: Any) -> Event:
    facts: dict[str, Any] = {
        "destination": "crm",
        "from_ns": T0,
        "to_ns": T0 + HOUR,
        "count": 214,
        "by_type": {"io.lineside.limit.raised.v1": 107, "io.lineside.limit.cleared.v1": 107},
        "by_severity": {"warning": 200, "error": 14},
        "incidents": [f"inc-{number}" for number in range(60)],
        "reason": "over the budget per_hour",
        "now_ns": T0 + 2 * HOUR,
    }
    return BUILDER.of_summary(machine, **facts | changed)


def test_a_summary_says_what_it_stands_for() -> None:
    event = summary()
    assert (event.type, event.partitionkey) == ("io.lineside.gateway.events_summarised.v1", "pump-3")
    assert (event.subject, event.correlationid) == ("utilities/cooling/_/pump-3", "")
    assert (event.severity, event.time_ns, event.recorded_ns) == (Severity.ERROR, T0, T0 + 2 * HOUR)
    assert msgspec.json.decode(event.data) == {
        "title": "pump-3: 214 events in one, over the budget per_hour",
        "at": rfc3339(T0 + 2 * HOUR),
        "machine": "pump-3",
        "asset": "M-3",
        "destination": "crm",
        "from": rfc3339(T0),
        "to": rfc3339(T0 + HOUR),
        "count": 214,
        "severity": "error",
        "by_type": {"io.lineside.limit.cleared.v1": 107, "io.lineside.limit.raised.v1": 107},
        "by_severity": {"warning": 200, "error": 14},
        "incidents": [f"inc-{number}" for number in range(50)],
        "reason": "over the budget per_hour",
    }


def test_its_severity_is_the_worst_of_what_it_holds_or_what_it_is_told() -> None:
    assert summary(by_severity={"info": 3, "critical": 0}).severity is Severity.INFO
    assert summary(by_severity={"INFO": 3, "CRITICAL": 1}).severity is Severity.CRITICAL
    told = summary(worst=Severity.CRITICAL)
    assert told.severity is Severity.CRITICAL
    assert msgspec.json.decode(told.data)["severity"] == "critical"


def test_the_same_summary_made_again_later_has_the_same_id() -> None:
    assert summary().id == summary(now_ns=T0 + 9 * HOUR).id
    others = [
        summary(count=215),
        summary(destination="plant"),
        summary(to_ns=T0),
        summary(from_ns=T0 + 1),
        summary(Machine(name="pump-4")),
        summary(incidents=[]),
        summary(by_type={"io.lineside.limit.raised.v1": 214}),
    ]
    assert len({event.id for event in [summary(), *others]}) == len(others) + 1


def test_a_machine_without_a_number_in_the_crm_has_no_asset() -> None:
    assert "asset" not in msgspec.json.decode(summary(Machine(name="mes")).data)


def salvaged(**changed: Any) -> Event:
    facts: dict[str, Any] = {
        "set_aside": "outbox.db.damaged-20270115T080000000000",
        "problem": "database disk image is malformed",
        "saved": {"events": 4120, "incidents": 12},
        "lost": {"events": None, "incidents": 0},
        "now_ns": T0,
    }
    return BUILDER.of_salvaged_outbox(**facts | changed)


def test_a_salvaged_outbox_says_what_was_saved_and_what_was_not() -> None:
    event = salvaged()
    assert (event.type, event.severity, event.partitionkey) == ("io.lineside.gateway.outbox_salvaged.v1", Severity.ERROR, "gateway")
    data = msgspec.json.decode(event.data)
    assert (data["saved"], data["lost"]) == ({"events": 4120, "incidents": 12}, {"events": None, "incidents": 0})
    assert data["title"] == "press-01: the outbox was damaged; 4120 events were saved, an unknown number lost"
    assert event.id == salvaged(now_ns=T0 + HOUR).id
    assert event.id != salvaged(set_aside="outbox.db.damaged-20270115T090000000000").id


def test_the_same_rejection_is_told_once_an_hour() -> None:
    begun = T0 - T0 % HOUR
    first = BUILDER.of_contract_rejected("io.lineside.limit.raised.v1", "/tags/1", "must be text", now_ns=begun)
    assert first.id == BUILDER.of_contract_rejected("io.lineside.limit.raised.v1", "/tags/1", "must be text", now_ns=begun + HOUR - 1).id
    assert first.id != BUILDER.of_contract_rejected("io.lineside.limit.raised.v1", "/tags/1", "must be text", now_ns=begun + HOUR).id
    assert first.id != BUILDER.of_contract_rejected("io.lineside.limit.raised.v1", "/tags/2", "must be text", now_ns=begun).id
    assert msgspec.json.decode(first.data)["pointer"] == "/tags/1"


long_texts = st.text(max_size=1200)
counts = st.dictionaries(st.sampled_from(["events", "incidents"]), st.none() | st.integers(0, 2**63 - 1))


@given(long_texts, long_texts, counts, counts)
def test_whatever_befell_the_outbox_it_can_be_told(
    name: str, problem: str, saved: dict[str, int | None], lost: dict[str, int | None]
) -> None:
    salvaged(set_aside=f"o{name}", problem=problem, saved=saved, lost=lost)


@given(long_texts, long_texts, long_texts)
def test_whatever_was_rejected_it_can_be_told(type_: str, pointer: str, problem: str) -> None:
    BUILDER.of_contract_rejected(f"t{type_}", pointer, problem, now_ns=T0)


@given(
    st.dictionaries(long_texts, st.integers(0, 10**6), max_size=5),
    st.dictionaries(st.sampled_from(["info", "warning", "error", "critical"]), st.integers(0, 10**6)),
    long_texts,
)
def test_whatever_is_summarised_it_can_be_told(by_type: dict[str, int], by_severity: dict[str, int], reason: str) -> None:
    summary(by_type=by_type, by_severity=by_severity, reason=reason)


def test_what_breaks_its_contract_comes_with_the_event_it_would_have_been(incident_data: dict[str, Any]) -> None:
    with pytest.raises(ContractViolation) as caught:
        BUILDER.of_gateway("outbox_replaced", {"title": "x"}, severity=Severity.ERROR, now_ns=T0)
    event = caught.value.event
    assert event is not None
    assert (event.type, event.data) == (event_type("gateway", "outbox_replaced"), b'{"title":"x"}')
    assert (caught.value.type, caught.value.pointer) == (event.type, "")
    assert "at" in caught.value.problem


def test_a_restore_is_told_once_per_epoch_and_gives_incidents_new_ids() -> None:
    first = T0 // 1000
    event = BUILDER.of_restored(first, backup_ns=T0 - HOUR, now_ns=T0)
    assert (event.type, event.severity) == ("io.lineside.gateway.restored.v1", Severity.WARNING)
    assert msgspec.json.decode(event.data) == {
        "title": f"press-01: restored from a backup of {rfc3339(T0 - HOUR)[:19]}Z; what it did after that is not known to it",
        "at": rfc3339(T0),
        "backup": rfc3339(T0 - HOUR),
        "epoch": first,
    }
    assert BUILDER.of_restored(first, backup_ns=T0 - HOUR, now_ns=T0 + 1).id == event.id
    assert BUILDER.of_restored(first + 1, backup_ns=T0 - HOUR, now_ns=T0).id != event.id
    ids = {BUILDER.incident_id("press-07", "oil_high", T0, epoch=epoch) for epoch in (0, first, first + 1)}
    assert len(ids) == 3
    assert BUILDER.incident_id("press-07", "oil_high", T0) in ids
