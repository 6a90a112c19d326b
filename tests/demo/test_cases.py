"""From events to cases: upsert, order, and what counts as counted twice."""

from __future__ import annotations

from typing import Any

from gateway.demo.cases import Cases

SPECTRUM = {"hz_step": 1.0, "amplitudes": [0.1, 0.2], "lines": [{"name": "BPFO", "hz": 88.0}]}


def event(
    sequence: int, state: str, *, incident: str = "inc-a", opened: str = "2027-01-01T00:00:00.000000000Z", **more: Any
) -> dict[str, Any]:
    data = {"incident": incident, "state": state, "machine": "pump-3", "condition": "outer_race", "raised": opened}
    data |= {"severity": "warning", "title": f"event {sequence}", "asset": "A1"} | more
    if state == "cleared":
        data.setdefault("cleared", "2027-01-01T00:01:00.000000000Z")
    return {"source": "urn:lineside:acme:dresden:gw", "sequence": f"{sequence:020d}", "data": data}


def taken(*events: dict[str, Any]) -> Cases:
    cases = Cases()
    for each in events:
        cases.take(each)
    return cases


def test_one_incident_is_one_case_through_its_life() -> None:
    cases = taken(event(1, "raised"), event(2, "updated", severity="critical"), event(3, "cleared", severity="critical"))
    (case,) = cases
    assert (case.state, case.severity, case.events, case.title) == ("closed", "critical", 3, "event 3")
    assert cases.doubled == 0


def test_older_event_that_comes_late_does_not_reopen_a_case() -> None:
    cases = taken(event(3, "cleared"), event(1, "raised"), event(2, "updated"))
    (case,) = cases
    assert (case.state, case.title, case.events) == ("closed", "event 3", 3)
    assert cases.doubled == 0


def test_case_keeps_its_spectrum_when_it_is_closed() -> None:
    (case,) = taken(event(1, "raised", evidence={"vibration": {"envelope": SPECTRUM}}), event(2, "cleared"))
    assert case.spectrum
    assert case.brief()["spectrum"] is True


def test_values_alone_are_no_spectrum() -> None:
    (case,) = taken(event(1, "raised", evidence={"readings": {"tags": {"oil": {"t": [0.0], "v": [70.0]}}}}))
    assert not case.spectrum


def test_second_opening_of_a_case_is_counted_twice() -> None:
    assert taken(event(1, "raised"), event(2, "raised")).doubled == 1
    assert taken(event(1, "raised"), event(2, "cleared"), event(3, "cleared")).doubled == 1


def test_place_in_the_stream_used_twice_is_counted_twice() -> None:
    assert taken(event(1, "raised"), event(1, "updated")).doubled == 1


def test_two_open_cases_for_one_fault_are_counted_twice() -> None:
    later = "2027-01-01T00:00:30.000000000Z"
    assert taken(event(1, "raised"), event(2, "raised", incident="inc-b", opened=later)).doubled == 1


def test_fault_that_comes_again_after_it_was_closed_is_a_new_case() -> None:
    later = "2027-01-01T00:02:00.000000000Z"
    cases = taken(event(1, "raised"), event(2, "cleared"), event(3, "raised", incident="inc-b", opened=later))
    assert len(cases) == 2
    assert cases.doubled == 0
    assert [case.incident for case in cases] == ["inc-b", "inc-a"]


def test_order_milestone_is_no_case() -> None:
    fact = {"source": "urn:lineside:acme:dresden:gw", "sequence": "7", "data": {"machine": "mes", "title": "order 4711 pressed"}}
    cases = taken(fact)
    assert (len(cases), cases.facts) == (0, 1)
