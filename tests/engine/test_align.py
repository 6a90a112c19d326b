"""Alignment: ticks, validity, late readings; a frame holds nothing that was not read."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Batch, Frame, Tag, TagOptions
from gateway.engine.align import Aligner

START = 1_800_000_000_000_000_000
SECOND = 1_000_000_000


def aligner(*, every: float = 1.0, valid_for: float = 5.0, options: dict[str, Any] | None = None, tags: int = 2) -> Aligner:
    made = tuple(Tag(i + 3, "m1", f"t{i}", TagOptions.model_validate(options or {})) for i in range(tags))
    return Aligner("m1", made, every=every, valid_for=valid_for)


def readings(*rows: tuple[int, float, float]) -> Batch:
    """(number of the tag, seconds, value) each."""
    return Batch.of([r[0] + 3 for r in rows], [START + int(r[1] * SECOND) for r in rows], [r[2] for r in rows])


def rows(frame: Frame | None) -> list[tuple[float, list[float | None]]]:
    if frame is None:
        return []
    columns = zip(frame.t_ns.tolist(), frame.x.tolist(), strict=True)
    return [((t - START) / SECOND, [None if np.isnan(v) else v for v in x]) for t, x in columns]


def test_a_tick_ends_when_a_reading_of_a_later_one_arrives() -> None:
    a = aligner()
    assert a.add(readings((0, 0.2, 1.0), (1, 0.7, 10.0), (0, 0.9, 2.0))) is None
    assert rows(a.add(readings((0, 1.1, 3.0)))) == [(1.0, [2.0, 10.0])]
    assert rows(a.add(readings((1, 2.5, 11.0)))) == [(2.0, [3.0, 10.0])]


def test_a_value_stands_for_its_tag_as_long_as_it_is_valid() -> None:
    a = aligner(valid_for=3.0)
    a.add(readings((0, 0.5, 1.0), (1, 0.5, 10.0)))
    found = [rows(a.add(readings((0, s + 0.5, float(s))))) for s in range(1, 6)]
    assert [r[0][1][1] for r in found] == [10.0, 10.0, 10.0, None, None]


def test_what_a_deadband_keeps_back_is_not_missing() -> None:
    a = aligner(valid_for=3.0, options={"deadband": 1.0, "heartbeat": "10s"})
    a.add(readings((1, 0.5, 10.0)))
    found = [rows(a.add(readings((0, s + 0.5, float(s))))) for s in range(1, 16)]
    assert [r[0][1][1] for r in found] == [10.0] * 13 + [None] * 2


def test_a_late_reading_does_not_change_the_past() -> None:
    a = aligner()
    a.add(readings((0, 0.5, 1.0)))
    a.add(readings((0, 1.5, 2.0)))
    assert a.add(readings((0, 0.6, 99.0))) is None
    assert rows(a.add(readings((1, 2.5, 10.0)))) == [(2.0, [2.0, None])]


def test_a_reading_that_is_late_within_its_tick_does_not_replace_a_newer_one() -> None:
    a = aligner()
    a.add(readings((0, 0.8, 2.0)))
    a.add(readings((0, 0.3, 1.0)))
    assert rows(a.add(readings((0, 1.5, 3.0)))) == [(1.0, [2.0, None])]


def test_ticks_without_readings_are_left_out() -> None:
    a = aligner()
    a.add(readings((0, 0.5, 1.0)))
    assert rows(a.add(readings((0, 100.5, 2.0)))) == [(1.0, [1.0, None])]


def test_one_reading_from_the_future_does_not_blind_the_machine() -> None:
    a = aligner()
    a.add(readings((0, 0.2, 1.0), (1, 0.3, 10.0)))
    assert rows(a.add(readings((0, 3600.5, 99.0)))) == [(1.0, [1.0, 10.0])]
    assert a.add(readings((1, 1.3, 11.0))) is None
    assert rows(a.add(readings((1, 2.3, 12.0)))) == [(2.0, [None, 11.0])]
    assert rows(a.add(readings((0, 3.2, 2.0)))) == [(3.0, [None, 12.0])]
    assert rows(a.add(readings((1, 4.3, 13.0)))) == [(4.0, [2.0, 12.0])]


def test_a_tag_whose_clock_is_an_hour_ahead_stands_alone() -> None:
    a = aligner()
    found = [row for s in range(4) for row in rows(a.add(readings((1, s + 0.3, float(s)), (0, s + 3600.2, 99.0))))]
    assert found == [(s + 1.0, [None, float(s)]) for s in range(4)]


def test_the_first_reading_of_all_may_be_the_wrong_one() -> None:
    a = aligner()
    a.add(readings((0, 3600.5, 99.0)))
    a.add(readings((1, 0.3, 10.0)))
    assert rows(a.add(readings((1, 1.3, 11.0)))) == [(1.0, [None, 10.0])]


def test_a_machine_whose_tags_all_went_ahead_does_not_go_back() -> None:
    a = aligner()
    a.add(readings((0, 0.2, 1.0), (1, 0.3, 10.0)))
    a.add(readings((0, 3600.2, 2.0), (1, 3600.3, 20.0)))
    assert a.add(readings((0, 1.2, 99.0))) is None
    assert rows(a.add(readings((0, 3601.2, 3.0)))) == [(3601.0, [2.0, 20.0])]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.floats(0, 60), st.floats(-1e6, 1e6)), min_size=1, max_size=60),
    st.lists(st.integers(0, 60), max_size=4),
    st.sampled_from([0.25, 1.0, 7.0]),
    st.sampled_from([0.1, 2.0, 30.0]),
)
def test_every_value_of_a_frame_was_read_before_its_tick_and_is_still_valid(
    given_: list[tuple[int, float, float]], cuts: list[int], every: float, valid_for: float
) -> None:
    a = aligner(every=every, valid_for=valid_for, tags=3)
    told: list[int] = []
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 60], strict=True):
        if not given_[first:last]:
            continue
        frame = a.add(readings(*given_[first:last]))
        if frame is None:
            continue
        told += frame.t_ns.tolist()
        for t_ns, x in zip(frame.t_ns.tolist(), frame.x.tolist(), strict=True):
            for column, value in enumerate(x):
                if not np.isnan(value):
                    read = [START + int(s * SECOND) for tag, s, v in given_[:last] if tag == column and v == value]
                    assert any(t < t_ns and t_ns - t <= valid_for * SECOND for t in read)
    assert told == sorted(set(told))
    assert all(t % int(every * SECOND) == 0 for t in told)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 300)), min_size=1, max_size=40), st.integers(0, 40))
def test_readings_in_order_may_be_cut_anywhere(given_: list[tuple[int, int]], cut: int) -> None:
    ordered = [(tag, tenths / 10, float(n)) for n, (tag, tenths) in enumerate(sorted(given_, key=lambda pair: pair[1]))]

    def frames(*pieces: list[tuple[int, float, float]]) -> list[tuple[float, list[float | None]]]:
        a = aligner()
        return [row for piece in pieces if piece for row in rows(a.add(readings(*piece)))]

    assert frames(ordered) == frames(ordered[:cut], ordered[cut:])
