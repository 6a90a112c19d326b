"""The summary and the verdict: each expectation can fail."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.demo.figures import failures, summary
from gateway.demo.look import Look
from gateway.demo.plan import Plan

CUT = (1_000.0, 1_020.0)
BEARING = {
    "machine": "pump-3",
    "condition": "vibration_bearing",
    "spectrum": True,
    "pictured": True,
    "state": "closed",
    "title": "bearing (drive_end horizontal)",
}
BEARING |= {"opened": "1970-01-01T00:16:00Z", "pictured": True}
OIL = {"machine": "press-07", "condition": "oil_temperature_high", "spectrum": False, "state": "closed", "title": "oil"}
OIL |= {"opened": "1970-01-01T00:16:50.5Z"}
INBOX = {"events": 6, "cases": 2, "doubled": 0, "repeats": 1, "latencies_ms": [10.0, 30.0, 20.0]}
COUNTERS = {"readings": 900, "waveforms": 40, "records{source=mes/order_step}": 12, "findings{watch=a}": 3, "findings{watch=b}": 4}


def counted(inbox: dict[str, Any] | None = None, committed: dict[str, int] | None = None, streamed: int = 20, **counters: int) -> Any:
    look = Look(status={"counters": COUNTERS | counters}, incidents=[{}, {}])
    return summary(look, committed or {"crm": 6, "plant": 20}, INBOX | (inbox or {}), streamed, 123_456)


def test_summary_adds_up_what_was_counted() -> None:
    figures = counted()
    expected = {
        "readings": 900,
        "records": 12,
        "findings": 7,
        "events": 6,
        "streamed": 20,
        "cases": 2,
        "lost": 0,
        "doubled": 0,
        "repeats": 1,
    }
    assert expected.items() <= figures.items()
    assert (figures["p50_ms"], figures["p99_ms"], figures["timed"]) == (20.0, 30.0, 3)


def test_committed_but_never_received_is_lost() -> None:
    assert counted({"events": 5})["lost"] == 1
    assert counted(streamed=18)["lost"] == 2


def test_readings_taken_and_dropped_are_lost_and_polls_never_made_are_not() -> None:
    figures = counted(**{"readings_dropped{reason=queue_full,source=a}": 4, "polls_skipped{source=a}": 9})
    assert figures["lost"] == 4
    assert figures["dropped"] == {"readings_dropped{reason=queue_full,source=a}": 4}


def test_more_received_than_committed_is_counted_twice() -> None:
    assert counted({"events": 7})["doubled"] == 1
    assert counted(streamed=21)["doubled"] == 1


def test_story_that_came_true_has_no_failures() -> None:
    assert failures(counted(), [BEARING, OIL], CUT) == []


@pytest.mark.parametrize(
    ("cases", "figures", "told"),
    [
        ([OIL], {}, "bearing fault should make one case"),
        ([BEARING | {"spectrum": False}, OIL], {}, "bearing fault should make one case"),
        ([BEARING, BEARING, OIL], {}, "not 2"),
        ([BEARING | {"pictured": False}, OIL], {}, "should have a picture"),
        ([BEARING | {"title": "bearing (free_end horizontal)"}, OIL], {}, "should be at the drive end"),
        ([BEARING], {}, "the oil should make one case"),
        ([BEARING, OIL | {"opened": "1970-01-01T00:17:30Z"}], {}, "while the uplink was cut"),
        ([BEARING | {"state": "open"}, OIL], {}, "'bearing (drive_end horizontal)' is still open"),
        ([BEARING, OIL], {"lost": 1}, "lost should be 0, not 1"),
        ([BEARING, OIL], {"doubled": 2}, "doubled should be 0, not 2"),
        ([BEARING, OIL], {"bytes_in": 0}, "bytes_in should not be 0"),
    ],
)
def test_expectation_that_fails_is_named(cases: list[Any], figures: dict[str, Any], told: str) -> None:
    (failure,) = failures(counted() | figures, cases, CUT)
    assert told in failure


@pytest.mark.parametrize("seconds", [30, 40, 45, 90, 150])
def test_story_of_any_length_keeps_its_order_and_cuts_for_eight_to_twenty_seconds(seconds: float) -> None:
    plan = Plan.of(seconds)
    moments = [plan.fault, plan.fault + plan.growth, plan.cut, plan.back, plan.repair, plan.late_repair, plan.seconds]
    assert moments == sorted(moments)
    assert 8.0 <= plan.back - plan.cut <= 20.0
    assert plan.seconds - plan.late_repair > plan.clear_after + 3.0
