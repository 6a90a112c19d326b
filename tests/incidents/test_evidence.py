"""Pre- and post-trigger evidence: the right stretch, bounded in bytes, peaks kept."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Batch, Quality, Tag
from gateway.incidents import History
from gateway.incidents.evidence import LEAST_BYTES, Budget, readings, significant, thin
from gateway.incidents.history import condense
from gateway.testkit.clock import FakeClock

START = 1_800_000_000_000_000_000
SECOND = 1_000_000_000
TAGS = tuple(Tag(i, machine, name) for i, (machine, name) in enumerate([("m1", "a"), ("m1", "b"), ("m2", "a")]))


def at(tag: int, *points: tuple[float, float], quality: int = 0) -> Batch:
    return Batch.of([tag] * len(points), [START + int(t * SECOND) for t, _ in points], [v for _, v in points], [quality] * len(points))


def test_the_stretch_around_the_beginning_concerned_tags_first() -> None:
    history = History(TAGS, keep_seconds=100)
    for second in range(50):
        history.add(Batch.concat([at(0, (second, float(second))), at(1, (second, 100.0 + second)), at(2, (second, 0.0))]))
    found, size = readings(history, "m1", ["b"], START + 10 * SECOND, START + 13 * SECOND, 10_000)
    assert len(json.dumps(found, separators=(",", ":"))) <= size <= 10_000
    assert list(found["tags"]) == ["b", "a"]
    assert found["from_ns"] == START + 10 * SECOND
    assert found["tags"]["b"] == {"t": [1.0, 2.0, 3.0], "v": [111.0, 112.0, 113.0]}


def test_a_bad_reading_is_a_gap() -> None:
    history = History(TAGS, keep_seconds=100)
    history.add(at(0, (1, 5.0)))
    history.add(at(0, (2, float("nan")), quality=Quality.BAD_DEVICE))
    found, _ = readings(history, "m1", [], START, START + 5 * SECOND, 1000)
    assert found["tags"]["a"]["v"] == [5.0, None]


def test_old_readings_are_forgotten_by_time() -> None:
    history = History(TAGS, keep_seconds=10)
    for second in range(100):
        history.add(at(0, (second, 1.0)))
    (times, _) = history.points("m1", 0)["a"]
    assert times.min() >= START + 88 * SECOND


def test_a_reading_of_a_wrong_time_neither_stays_nor_drives_others_out() -> None:
    history = History(TAGS, keep_seconds=10)
    history.add(at(0, (0, 1.0)))
    for year in ("2100", "2000"):
        wrong = int(np.datetime64(f"{year}-01-01", "ns").astype(np.int64))
        history.add(Batch.of([0], [wrong], [float("nan")], [Quality.BAD_TIME]))
    history.add(at(0, (1, 2.0)))
    assert history.points("m1", 0)["a"][1].tolist() == [1.0, 2.0]


def test_a_flood_shortens_the_history_of_its_own_machine_only() -> None:
    history = History(TAGS, keep_seconds=1e6, max_bytes=21 * 4000)
    history.add(at(2, (0, 1.0)))
    for n in range(300):
        history.add(at(0, *[(n + k / 100, 1.0) for k in range(50)]))
    assert len(history.points("m1", 0)["a"][0]) <= 2050
    assert len(history.points("m2", 0)["a"][0]) == 1


def test_thousands_of_single_readings_are_kept_in_order() -> None:
    history = History(TAGS, keep_seconds=1e6)
    for n in range(3000):
        history.add(at(0, (n, float(n))))
    assert history.points("m1", 0)["a"][1].tolist() == [float(n) for n in range(3000)]


def test_columns_out_of_order_are_found_all_the_same() -> None:
    """A recording gives tag after tag: its last reading is not its newest."""
    history = History(TAGS, keep_seconds=100)
    history.add(Batch.concat([at(0, (50, 1.0)), at(1, (1, 2.0))]))
    assert "a" in history.points("m1", START + 40 * SECOND)


def test_an_unknown_machine_has_none() -> None:
    assert readings(History(TAGS, keep_seconds=10), "gone", [], 0, START, 1000) == ({}, 0)


def test_a_fast_tag_keeps_its_peaks_and_a_slow_one_every_reading() -> None:
    """A thousand readings a second for a minute: what is older than a moment is condensed, and nothing is invented."""
    history = History(TAGS, keep_seconds=100)
    value = np.sin(np.arange(60_000) / 37.0)
    value[12_345] = 9.0
    times = START + np.arange(60_000) * 1_000_000
    for part in np.split(np.arange(60_000), 600):
        history.add(Batch.concat([Batch.of(np.zeros(len(part)), times[part], value[part]), at(1, (float(part[0]) / 1000, float(part[0])))]))
    found = history.points("m1", 0)
    assert len(found["a"][0]) < 30_000
    assert found["a"][1].max() == 9.0
    assert np.isin(found["a"][0], times).all()
    assert np.array_equal(found["a"][1], value[(found["a"][0] - START) // 1_000_000])
    assert found["b"][1].tolist() == [float(n) for n in range(0, 60_000, 100)]


rows = st.tuples(st.integers(0, 2), st.integers(0, 30), st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), st.sampled_from([0, 1, 17]))


@given(st.lists(rows, min_size=1, max_size=200))
def test_condensing_keeps_extremes_of_each_piece_and_changes_no_reading(given_: list[tuple[int, int, float, int]]) -> None:
    batch = Batch.of(*(list(column) for column in zip(*given_, strict=True)))
    kept = condense(batch, 10)
    columns = (kept.tag.tolist(), kept.t_ns.tolist(), map(repr, kept.value.tolist()), kept.quality.tolist())
    assert set(zip(*columns, strict=True)) <= {(t, at, repr(v), q) for t, at, v, q in given_}
    for tag in {row[0] for row in given_}:
        good = [v for t, _, v, q in given_ if t == tag and q < 16 and not math.isnan(v)]
        if good:
            left = kept.value[(kept.tag == tag) & kept.good]
            assert (left.min(), left.max()) == (min(good), max(good))


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_significant_digits_are_those_of_the_usual_rounding(value: float) -> None:
    assert significant(np.array([value]))[0] == pytest.approx(float(f"{value:.6g}"), rel=1.1e-5, abs=0)


values = st.floats(-1e9, 1e9).map(lambda v: float(f"{v:.9g}"))


@given(st.integers(0, 400), st.integers(0, 6000), values, st.integers(0, 40))
def test_the_bytes_are_bounded_whatever_the_cap(count: int, cap: int, value: float, name_length: int) -> None:
    tags = tuple(Tag(i, "m1", f"t{i}_" + "n" * name_length) for i in range(15))
    history = History(tags, keep_seconds=1e5)
    for i in range(15):
        if count:
            history.add(Batch.of([i] * count, START + np.arange(count) * 86_399_123_457 // 400, value * np.linspace(1e-30, 1, count)))
    found, size = readings(history, "m1", [tags[3].name], START - 1, START + 10**15, cap)
    assert size <= cap
    if found:
        assert len(json.dumps(found, separators=(",", ":"))) <= size
        assert next(iter(found["tags"])) == tags[3].name


@given(st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=1, max_size=300), st.integers(8, 50))
def test_thinning_keeps_the_peaks_and_the_order_and_invents_nothing(given_: list[float], most: int) -> None:
    t, v = thin(np.arange(len(given_), dtype=np.int64), np.array(given_), most)
    assert len(t) <= max(most, 2)
    assert (np.diff(t) > 0).all()
    original = np.array(given_)[t]
    assert np.array_equal(v, original, equal_nan=True)
    if not np.isnan(given_).all():
        assert np.nanmax(v) == np.nanmax(given_)
        assert np.nanmin(v) == np.nanmin(given_)


@pytest.mark.parametrize("cap", [0, 10, 100])
def test_no_room_means_no_evidence_rather_than_too_much(cap: int) -> None:
    history = History(TAGS, keep_seconds=100)
    history.add(at(0, *[(n, 1.0) for n in range(100)]))
    assert readings(history, "m1", ["a"], START, START + 1000 * SECOND, cap) == ({}, 0)


async def test_a_storm_of_incidents_gets_a_minutes_worth_of_evidence_then_short_curves_then_what_comes_back() -> None:
    clock = FakeClock()
    budget = Budget(clock)
    budget.per_minute = 100_000.0
    told = []
    for _ in range(5):
        told.append(budget.allow(40_000))
        budget.spend(told[-1])
    assert told == [40_000, 40_000, 20_000, LEAST_BYTES, LEAST_BYTES]
    await clock.advance(30)
    assert budget.allow(80_000) == pytest.approx(50_000 - 2 * LEAST_BYTES, abs=2)
    await clock.advance(600)
    assert budget.allow(80_000) == 80_000


def test_the_first_incident_imports_nothing() -> None:
    """An import takes a tenth of a second on a small gateway, and the readings wait."""
    code = """
import sys
import numpy as np
from gateway.contract import Batch, Tag
from gateway.incidents import History
from gateway.incidents.evidence import readings
history = History((Tag(0, "press", "a"), Tag(1, "pump", "b")), keep_seconds=60)
batch = Batch.of([0, 1] * 500, list(range(1000)), [0.5] * 1000)
known = set(sys.modules)
history.add(batch)
assert readings(history, "press", ["a"], -1, 1000, 4096)[0]["tags"]["a"]
print(*set(sys.modules) - known)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
