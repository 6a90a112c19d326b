import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gateway.contract import Batch, Detector, Finding, Severity, State, StateError
from gateway.testkit.contexts import detector_context
from models.limit import plugin
from models.limit.levels import UNKNOWN, levels, rates
from models.limit.words import apart, plain

START = 1_800_000_000 * 10**9
SECOND = 10**9


def limit(tags: tuple[str, ...] = ("press-07/oil_temperature",), **options: Any) -> Detector:
    return plugin.build(plugin.options.model_validate({"on": "*/*", **options}), detector_context(plugin, tags))


def readings(values: list[float], *, tag: int = 0, start: int = 0) -> Batch:
    return Batch.of([tag] * len(values), START + (start + np.arange(len(values))) * SECOND, values)


def told(found: list[Finding]) -> list[tuple[str, State, Severity, int]]:
    return [(f.condition, f.state, f.severity, (f.t_ns - START) // SECOND) for f in found]


def test_levels_are_left_only_below_the_limit_minus_hysteresis() -> None:
    before = np.array([UNKNOWN, 0, 1, 1, 2, 2], dtype=np.int8)
    value = np.array([70.0, 70.1, 68.0, 67.9, 83.0, 82.9])
    assert levels(value, before, 70.0, 85.0, 2.0).tolist() == [0, 1, 1, 0, 2, 1]


def test_without_hysteresis_the_limit_itself_is_inside() -> None:
    assert levels(np.array([70.0]), np.array([1], dtype=np.int8), 70.0, None, 0.0).tolist() == [0]


def test_rates_are_per_second_and_unknown_without_an_earlier_reading() -> None:
    assert rates(np.array([-6.0, np.nan]), np.array([2 * SECOND, SECOND])).tolist() == pytest.approx([3.0, np.nan], nan_ok=True)


def test_what_is_repeated_first_after_a_start_is_judged_by_the_limits_of_now_and_is_no_change() -> None:
    """A server that tells only changes gives what it gave last, with the time of then."""
    before, after = limit(high=70, rate=1), limit(high=80, rate=1)
    before.process(readings([75.0, 75.5]))
    after.load(before.dump())
    assert [one[:2] for one in told(after.process(readings([75.5], start=1)))] == [("oil_temperature_high", State.OVER)]
    assert after.process(readings([85.5], start=1)) == [], "of the same time it is no other reading"
    again = limit(high=70, rate=1)
    again.load(after.dump())
    assert [one[:2] for one in told(again.process(readings([76.0], start=1)))] == [("oil_temperature_high", State.ACTIVE)]
    assert [one[:2] for one in told(again.process(readings([76.5], start=2)))] == [("oil_temperature_rate", State.OVER)]


def test_severity_rises_and_falls_within_one_condition() -> None:
    found = limit(high=70, high_high=85).process(readings([60, 72, 90, 80, 60]))
    assert told(found) == [
        ("oil_temperature_high", State.OVER, Severity.WARNING, 0),
        ("oil_temperature_high", State.ACTIVE, Severity.WARNING, 1),
        ("oil_temperature_high", State.ACTIVE, Severity.CRITICAL, 2),
        ("oil_temperature_high", State.ACTIVE, Severity.WARNING, 3),
        ("oil_temperature_high", State.OVER, Severity.WARNING, 4),
    ]
    assert [(f.since_ns - START) // SECOND for f in found[1:4]] == [1, 1, 1]
    assert found[2].explanation["limit_name"] == "high_high"
    assert found[2].score == pytest.approx(5.0)


def test_a_value_that_wavers_around_the_limit_is_told_once() -> None:
    wavering = [60.0] + [71.0, 69.0] * 50
    assert len(limit(high=70, hysteresis=2).process(readings(wavering))) == 2
    assert len(limit(high=70).process(readings(wavering))) == 101


def test_low_and_low_low() -> None:
    found = limit(low=20, low_low=10).process(readings([30, 15, 5, 25]))
    assert [(f.state, f.severity) for f in found[1:]] == [
        (State.ACTIVE, Severity.WARNING),
        (State.ACTIVE, Severity.CRITICAL),
        (State.OVER, Severity.WARNING),
    ]
    assert found[2].score == pytest.approx(5.0)


def test_rate_either_way_over_the_time_that_passed() -> None:
    batch = Batch.of([0] * 5, START + np.array([0, 1, 11, 12, 13]) * SECOND, [10, 12, 60, 66, 58])
    found = limit(rate=5).process(batch)
    assert told(found) == [
        ("oil_temperature_rate", State.OVER, Severity.WARNING, 1),
        ("oil_temperature_rate", State.ACTIVE, Severity.WARNING, 12),
    ]
    assert found[1].score == pytest.approx(1.0)


def test_late_and_repeated_readings_change_nothing() -> None:
    detector = limit(high=70)
    detector.process(readings([60, 60, 60]))
    assert detector.process(readings([90], start=2)) == []
    assert detector.process(readings([90], start=0)) == []
    assert len(detector.process(readings([90], start=3))) == 1


def test_first_opinion_after_load_is_told_and_the_beginning_is_kept() -> None:
    before, after = limit(high=70), limit(high=70)
    before.process(readings([60, 80, 81]))
    after.load(before.dump())
    (still,) = after.process(readings([82], start=3))
    assert (still.state, (still.since_ns - START) // SECOND) == (State.ACTIVE, 1)
    (over,) = after.process(readings([60], start=4))
    assert over.state is State.OVER


def test_state_is_by_tag_so_tags_may_come_and_go() -> None:
    before = limit(("m/a", "m/b"), high=70)
    before.process(Batch.of([0, 1], [START, START], [80, 60]))
    after = limit(("m/new", "m/b", "m/a"), high=70)
    after.load(before.dump())
    found = after.process(Batch.of([0, 1, 2], [START + SECOND] * 3, [60, 60, 80]))
    assert {f.condition: f.since_ns for f in found if f.state is State.ACTIVE} == {"a_high": START}


def test_state_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(StateError):
        limit(high=70).load(b"not a state")


@pytest.mark.parametrize(
    "damage",
    [
        {"last": None},
        {"since_high": None},
        {"level_high": np.zeros(2, dtype=np.int8)},
        {"last_t": np.array(["now"])},
        {"last": np.zeros((1, 1))},
        {"paths": None},
    ],
)
def test_state_with_a_column_that_does_not_fit_is_refused_and_changes_nothing(damage: dict[str, Any]) -> None:
    detector = limit(high=70)
    detector.process(readings([60, 80]))
    kept = detector.dump()
    columns = {**np.load(io.BytesIO(kept)), **damage}
    out = io.BytesIO()
    np.savez(out, **{name: column for name, column in columns.items() if column is not None})
    with pytest.raises(StateError):
        detector.load(out.getvalue())
    assert detector.dump() == kept


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "at least one"),
        ({"high": 85, "high_high": 70}, "must be below"),
        ({"low": 5, "high": 5}, "must be below"),
        ({"rate": 0}, "greater"),
    ],
)
def test_limits_that_make_no_sense_are_refused(options: dict[str, float], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        plugin.options.model_validate({"on": "*/*", **options})


@pytest.mark.parametrize(
    ("options", "values", "said"),
    [
        ({"high": 70}, [60, 70.00234], ["60 is back inside its limits", "70.002 above 70"]),
        ({"low": 70}, [80, 69.99996], ["80 is back inside its limits", "69.99996 below 70"]),
        ({"high": 1e6}, [1_000_000.4], ["1000000.4 above 1000000"]),
        ({"rate": 5}, [0, 5.00001, 6], ["changes by 5.00001/s, limit 5", "changes by 1/s, which is back inside its limit 5"]),
    ],
)
def test_a_title_shows_on_which_side_of_the_limit_the_value_is(options: dict[str, float], values: list[float], said: list[str]) -> None:
    assert [f.title for f in limit(**options).process(readings(values))] == [f"press-07: oil_temperature {text}" for text in said]


@given(value=st.floats(-1e12, 1e12), bound=st.floats(-1e12, 1e12))
def test_the_value_shown_is_on_its_side_of_the_limit_shown(value: float, bound: float) -> None:
    if abs(value - bound) > 1e-14 * abs(bound):  # limits are written with at most 15 digits
        assert (float(apart(value, bound)) > float(plain(bound))) == (value > bound)


@given(
    stream=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 40), st.floats(-50, 150)), min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=8),
)
def test_findings_are_the_same_however_readings_are_cut(stream: list[tuple[int, int, float]], cuts: list[int]) -> None:
    options = {"high": 70, "high_high": 100, "low": 10, "rate": 40, "hysteresis": 3}
    tags = ("m/a", "m/b", "m/c")
    tag, second, value = (np.array(column) for column in zip(*stream, strict=True))
    whole = Batch.of(tag, START + second * SECOND, value)
    pieces = [p for p in np.split(np.arange(len(whole)), sorted(c for c in cuts if c < len(whole))) if len(p)]
    at_once, in_pieces = limit(tags, **options), limit(tags, **options)
    expected = at_once.process(whole)
    found = [finding for piece in pieces for finding in in_pieces.process(whole.select(piece))]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
