"""Stages: bad readings keep their reason, nothing is restamped, nothing is invented."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import BAD, GOOD, Batch, Quality, Tag, TagOptions
from gateway.engine.stages import Table, run

NOW_NS = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def table(*options: dict[str, Any]) -> Table:
    return Table.of(tuple(Tag(i, "m1", f"t{i}", TagOptions.model_validate(given)) for i, given in enumerate(options)))


def batch(*readings: tuple[int, float, float], quality: int = GOOD) -> Batch:
    """(tag, seconds from NOW, value) each."""
    tags, seconds, values = zip(*readings, strict=True)
    return Batch.of(tags, [NOW_NS + int(s * SECOND) for s in seconds], values, [quality] * len(tags))


def same_bits(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> bool:
    return bool((left.view(np.int64) == right.view(np.int64)).all())


@pytest.mark.parametrize(
    ("reading", "expected"),
    [
        ((0, 0.0, float("nan")), Quality.BAD_NOT_FINITE),
        ((0, 0.0, float("inf")), Quality.BAD_NOT_FINITE),
        ((0, 0.0, float("-inf")), Quality.BAD_NOT_FINITE),
        ((0, 0.0, 1e308), Quality.BAD_NOT_FINITE),
        ((0, 0.0, 500.0), Quality.BAD_RANGE),
        ((0, 3601.0, 1.0), Quality.BAD_TIME),
        ((0, 0.0, 5.0), Quality.GOOD),
        ((0, 3599.0, 5.0), Quality.GOOD),
    ],
)
def test_a_bad_reading_carries_nan_and_its_reason(reading: tuple[int, float, float], expected: Quality) -> None:
    everything, passed = run(batch(reading), table({"scale": 100.0, "range": (0, 1000)}), NOW_NS)
    assert everything.quality.tolist() == [expected]
    assert np.isnan(everything.value[0]) == (expected >= BAD)
    assert len(passed) == (0 if expected >= BAD else 1)


@pytest.mark.parametrize("year", [2000, 2014, 2100])
def test_a_time_no_clock_of_today_shows_is_bad_and_stays_as_it_was_told(year: int) -> None:
    t_ns = int(np.datetime64(f"{year}-06-01", "ns").astype(np.int64))
    everything, passed = run(Batch.of([0], [t_ns], [1.0]), table({}), NOW_NS)
    assert everything.quality.tolist() == [Quality.BAD_TIME]
    assert everything.t_ns.tolist() == [t_ns]
    assert len(passed) == 0


def test_the_reason_the_source_gave_stays() -> None:
    everything, _ = run(batch((0, 0.0, float("nan")), quality=Quality.BAD_DEVICE), table({"range": (0, 1)}), NOW_NS)
    assert everything.quality.tolist() == [Quality.BAD_DEVICE]


def test_scale_and_offset_make_engineering_units() -> None:
    _, passed = run(batch((0, 0, 4.0), (1, 0, 4.0)), table({"scale": 2.5, "offset": -1.0}, {}), NOW_NS)
    assert passed.value.tolist() == [9.0, 4.0]


def test_deadband_keeps_back_small_changes_until_the_heartbeat() -> None:
    tags = table({"deadband": 1.0, "heartbeat": "10s"})
    values = [(0, s, 50.0 + 0.1 * (s % 2)) for s in range(25)] + [(0, 25, 51.5), (0, 26, 51.4)]
    _, passed = run(batch(*values), tags, NOW_NS)
    assert [(t - NOW_NS) // SECOND for t in passed.t_ns.tolist()] == [0, 10, 20, 25]


def test_small_steps_in_one_direction_are_not_swallowed_for_ever() -> None:
    _, passed = run(batch(*[(0, s / 10, s * 0.3) for s in range(20)]), table({"deadband": 1.0}), NOW_NS)
    assert passed.value.tolist() == pytest.approx([0.0, 1.2, 2.4, 3.6, 4.8])


def test_a_value_that_does_not_move_at_all_is_stuck_and_is_good_again_when_it_moves() -> None:
    tags = table({"stuck_after": "5s"})
    everything, _ = run(batch(*[(0, s, 7.0) for s in range(8)], (0, 8, 7.1)), tags, NOW_NS)
    assert everything.quality.tolist() == [GOOD] * 6 + [Quality.BAD_STUCK] * 2 + [GOOD]


def test_of_a_spike_its_reading_is_withheld_and_of_a_step_the_first_one() -> None:
    tags = table({"max_step": 5.0})
    values = [20.0, 21.0, 90.0, 22.0, 60.0, 61.0, 62.0]
    everything, passed = run(batch(*[(0, s, value) for s, value in enumerate(values)]), tags, NOW_NS)
    assert everything.quality.tolist() == [GOOD, GOOD, Quality.BAD_SPIKE, GOOD, Quality.BAD_SPIKE, GOOD, GOOD]
    assert passed.value.tolist() == [20.0, 21.0, 22.0, 61.0, 62.0]


def test_two_spikes_in_a_row_that_do_not_agree_are_both_withheld() -> None:
    everything, _ = run(batch(*[(0, s, v) for s, v in enumerate([20.0, 90.0, -90.0, 21.0])]), table({"max_step": 5.0}), NOW_NS)
    assert everything.quality.tolist() == [GOOD, Quality.BAD_SPIKE, Quality.BAD_SPIKE, GOOD]


def test_only_tags_with_max_step_are_doubted_and_what_comes_late_is_no_neighbour() -> None:
    tags = table({"max_step": 5.0}, {})
    run(batch((0, 10, 20.0), (1, 10, 20.0)), tags, NOW_NS)
    everything, _ = run(batch((0, 5, 90.0), (1, 11, 90.0), (0, 11, 21.0), (0, 12, 1e300), (0, 13, -1e308)), tags, NOW_NS)
    assert everything.quality.tolist() == [Quality.LATE, GOOD, GOOD, Quality.BAD_SPIKE, Quality.BAD_SPIKE]


def test_a_reading_of_a_wrong_time_or_range_makes_no_other_one_stuck() -> None:
    tags = table({"stuck_after": "5s", "range": (0, 100)})
    year_2000 = int(np.datetime64("2000-01-01", "ns").astype(np.int64))
    run(batch((0, 0, 7.0)), tags, NOW_NS)
    run(Batch.of([0], [year_2000], [8.0]), tags, NOW_NS)
    run(batch((0, 1, 999.0)), tags, NOW_NS)
    everything, _ = run(batch((0, 2, 7.0)), tags, NOW_NS)
    assert everything.quality.tolist() == [GOOD]
    everything, _ = run(batch((0, 6, 7.0)), tags, NOW_NS)
    assert everything.quality.tolist() == [Quality.BAD_STUCK]


def test_a_late_reading_does_not_make_the_clock_of_stuck_go_back() -> None:
    tags = table({"stuck_after": "5s"})
    run(batch((0, 100, 1.0), (0, 0, 2.0)), tags, NOW_NS)
    everything, _ = run(batch((0, 101, 2.0)), tags, NOW_NS)
    assert everything.quality.tolist() == [GOOD]


def test_a_batch_is_never_changed_in_place() -> None:
    given_ = batch((0, 0, float("inf")), (0, 1, 5.0))
    run(given_, table({"scale": 2.0, "stuck_after": "1s", "deadband": 0.5}), NOW_NS)
    assert given_.quality.tolist() == [GOOD, GOOD]
    assert given_.value.tolist() == [float("inf"), 5.0]


def test_after_a_reload_what_was_remembered_stays() -> None:
    old = table({"deadband": 1.0})
    run(batch((0, 0, 5.0)), old, NOW_NS)
    new = table({"deadband": 1.0}, {})
    new.adopt(old)
    _, passed = run(batch((0, 1, 5.2), (1, 1, 5.2)), new, NOW_NS)
    assert passed.tag.tolist() == [1]


numbers = st.floats(allow_nan=True, allow_infinity=True)
times = st.one_of(st.integers(NOW_NS - 100 * SECOND, NOW_NS), st.integers(0, 2**62))
readings = st.lists(st.tuples(st.integers(0, 4), times, numbers, st.sampled_from([GOOD, 1, BAD, 17])), max_size=40)
TAGS = (
    {},
    {"scale": 3.0, "offset": 1.0},
    {"range": (-10, 10), "stuck_after": "3s"},
    {"deadband": 2.0, "heartbeat": "20s"},
    {"max_step": 4.0},
)


@given(readings, st.lists(st.integers(0, 40), max_size=3))
def test_whatever_comes_in_nothing_is_restamped_invented_or_made_good(rows: list[tuple[int, int, float, int]], cuts: list[int]) -> None:
    tags = table(*TAGS)
    told: list[Batch] = []
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 40], strict=True):
        piece = rows[first:last]
        given_ = Batch.of([r[0] for r in piece], [r[1] for r in piece], [r[2] for r in piece], [r[3] for r in piece])
        everything, passed = run(given_, tags, NOW_NS)
        assert everything.tag.tolist() == given_.tag.tolist()
        assert everything.t_ns.tolist() == given_.t_ns.tolist()
        assert (everything.quality >= given_.quality).all()
        good = everything.quality < BAD
        assert np.isnan(everything.value[~good]).all()
        assert np.isfinite(everything.value[good]).all()
        with np.errstate(all="ignore"):
            units = given_.value * tags.scale[given_.tag] + tags.offset[given_.tag]
        assert same_bits(everything.value[good], units[good])
        assert passed.good.all()
        offered = set(zip(*(column.tolist() for column in (everything.tag, everything.t_ns, everything.value)), strict=True))
        assert set(zip(*(column.tolist() for column in (passed.tag, passed.t_ns, passed.value)), strict=True)) <= offered
        told.append(passed)
    assert sum(len(b) for b in told) <= len(rows)


@given(readings, st.integers(1, 39))
def test_how_the_readings_are_cut_into_batches_does_not_matter(rows: list[tuple[int, int, float, int]], cut: int) -> None:
    def passed(pieces: list[list[tuple[int, int, float, int]]]) -> list[tuple[int, int, float]]:
        tags, found = table(*TAGS), []
        for piece in pieces:
            given_ = Batch.of([r[0] for r in piece], [r[1] for r in piece], [r[2] for r in piece], [r[3] for r in piece])
            _, out = run(given_, tags, NOW_NS)
            found += list(zip(out.tag.tolist(), out.t_ns.tolist(), out.value.tolist(), strict=True))
        return found

    assert passed([rows]) == passed([rows[:cut], rows[cut:]])


def test_by_rule_an_implausible_time_becomes_ours_and_is_marked() -> None:
    rows = table({}, {})
    rows.gateway_time = np.array([True, False])
    year_2000 = int(np.datetime64("2000-01-01", "ns").astype(np.int64))
    everything, passed = run(Batch.of([0, 1], [year_2000, year_2000], [1.0, 2.0]), rows, NOW_NS)
    assert everything.quality.tolist() == [Quality.GATEWAY_TIME, Quality.BAD_TIME]
    assert everything.t_ns.tolist() == [NOW_NS, year_2000]
    assert passed.tag.tolist() == [0]


def test_a_reading_older_than_its_tags_newest_is_late_and_does_not_replace_it() -> None:
    rows = table({}, {})
    run(batch((0, 0, 7.0), (1, -5, 1.0)), rows, NOW_NS)
    everything, passed = run(batch((0, -2, 3.0), (1, -4, 2.0)), rows, NOW_NS)
    assert everything.quality.tolist() == [Quality.LATE, Quality.GOOD]
    assert len(passed) == 2
    assert rows.last_value.tolist() == [7.0, 2.0]


def test_a_time_of_the_future_makes_no_later_reading_late() -> None:
    rows = table({})
    run(batch((0, 7200, 1.0)), rows, NOW_NS)
    everything, _ = run(batch((0, 0, 1.0)), rows, NOW_NS)
    assert everything.quality.tolist() == [Quality.GOOD]


def test_what_is_backfilled_stays_so_and_does_not_replace_the_newest() -> None:
    rows = table({})
    run(batch((0, 0, 7.0)), rows, NOW_NS)
    everything, _ = run(batch((0, -60, 3.0), quality=Quality.BACKFILLED), rows, NOW_NS)
    assert everything.quality.tolist() == [Quality.BACKFILLED]
    assert rows.last_value.tolist() == [7.0]
