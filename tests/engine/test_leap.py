"""The gateway's clock is put right: who goes by it goes along, who has a clock of its own stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.contract import GOOD, Batch, Quality, Tag, TagOptions
from gateway.engine.align import Aligner
from gateway.engine.stages import Table, run
from gateway.incidents import History

T0 = 1_800_000_000 * 10**9
SECOND = 10**9
MONTH = 30 * 86_400 * SECOND
LEAPS = pytest.mark.parametrize("leap", [MONTH, -MONTH, 90 * SECOND], ids=["a month ahead", "a month back", "90 s ahead"])


def tags(**options: Any) -> tuple[Tag, ...]:
    """0 goes by the gateway's clock, 1 has one of its own."""
    return tuple(Tag(i, name, "oil", TagOptions.model_validate(options)) for i, name in enumerate(("press", "server")))


def at(seconds: float, leap: int, value: float = 1.0) -> Batch:
    """One reading each, so many seconds after T0 on the plant's wall."""
    t_ns = T0 + int(seconds * SECOND)
    return Batch.of([0, 1], [t_ns + leap, t_ns], [value, value])


@LEAPS
def test_nothing_is_late_stuck_or_kept_back_by_a_leap(leap: int) -> None:
    table = Table.of(tags(stuck_after="1h", deadband=5.0, heartbeat="10s"))
    table.ahead_ns = 2 * MONTH
    for second in range(8):
        run(at(second, 0), table, T0 + second * SECOND)
    table.leap(leap)
    went_on = []
    for second in range(8, 30):
        everything, passed = run(at(second, leap), table, T0 + second * SECOND + leap)
        assert everything.quality.tolist() == [GOOD, GOOD], f"after {second} s"
        went_on += [(second, int(tag)) for tag in passed.tag]
    assert went_on == [(10, 0), (10, 1), (20, 0), (20, 1)], "the heartbeat goes on as it was"
    assert not table.leaping
    assert table.followed == [0]


@pytest.mark.parametrize("leap", [2 * 3600 * SECOND, -MONTH], ids=["two hours ahead", "a month back"])
def test_a_tag_whose_times_are_replaced_by_the_gateways_goes_along(leap: int) -> None:
    """The device shows 1970, which says nothing of the leap."""
    table = Table.of(tags(stuck_after="1h"))
    table.gateway_time = np.array([True, False])
    for second in range(20):
        now_ns = T0 + second * SECOND + (leap if second >= 10 else 0)
        if second == 10:
            table.leap(leap)
        everything, _ = run(Batch.of([0], [second * SECOND], [1.0]), table, now_ns)
        assert everything.quality.tolist() == [Quality.GATEWAY_TIME], f"after {second} s"
    assert not table.leaping
    assert table.followed == [0]


def test_a_device_whose_clock_becomes_right_did_not_stand_still_since_1970() -> None:
    table = Table.of(tags(stuck_after="1h"))
    table.gateway_time = np.array([True, False])
    run(Batch.of([0], [SECOND], [1.0]), table, T0)
    everything, _ = run(Batch.of([0], [T0 + SECOND], [1.0]), table, T0 + SECOND)
    assert everything.quality.tolist() == [GOOD]


def test_a_tag_that_is_silent_shows_it_with_its_next_reading() -> None:
    table = Table.of(tags())
    run(at(0, 0), table, T0)
    table.leap(MONTH)
    run(at(1, MONTH).select(np.array([1])), table, T0 + MONTH)
    assert table.unleapt_ns.tolist() == [MONTH, 0]
    run(at(9, MONTH).select(np.array([0])), table, T0 + MONTH)
    assert not table.leaping


@LEAPS
def test_a_tag_that_was_silent_over_two_leaps_shows_both(leap: int) -> None:
    """The second one may put most of the first one back, or say little beside it."""
    table, aligner = Table.of(tags()), Aligner("press", tags()[:1], every=1.0, valid_for=60.0)
    history = History(tags(), keep_seconds=300.0)
    table.ahead_ns, both = 2 * MONTH, leap + 90 * SECOND
    for second in range(3):
        history.add(run(at(second, 0), table, T0)[0])
        aligner.add(at(second, 0).select(np.array([0])))
    for part in (leap, 90 * SECOND):
        for each in (table, history, aligner):
            each.leap(part)
    for second in range(5, 9):
        everything, _ = run(at(second, both), table, T0 + both)
        assert everything.quality.tolist() == [GOOD, GOOD]
        history.add(everything)
        frame = aligner.add(at(second, both).select(np.array([0])))
    assert frame is not None
    assert frame.t_ns.tolist() == [(T0 + 8 * SECOND + both) // SECOND * SECOND]
    (_, (own, _)) = next(history.series("press", ["oil"], 0))
    assert own.tolist() == [T0 + second * SECOND + both for second in (0, 1, 2, 5, 6, 7, 8)]


def test_while_the_clock_is_not_trusted_its_own_stamps_say_so_and_no_source_is_ahead() -> None:
    table = Table.of(tags())
    table.doubt_from_ns, table.ahead_ns = T0, 100 * MONTH
    everything, _ = run(at(5, 0), table, T0 + 5 * SECOND)
    assert everything.quality.tolist() == [Quality.CLOCK, Quality.CLOCK]
    far = Batch.of([0, 1], [T0 + 6 * SECOND, T0 + MONTH], [1.0, 1.0])
    everything, passed = run(far, table, T0 + 6 * SECOND)
    assert everything.quality.tolist() == [Quality.CLOCK, GOOD], "a PLC whose clock is right is months ahead of one that is not"
    assert len(passed) == 2
    table.doubt_from_ns = 0
    everything, _ = run(at(7, 0), table, T0 + 7 * SECOND)
    assert everything.quality.tolist() == [GOOD, Quality.LATE]


@LEAPS
def test_a_machine_on_ticks_goes_along_with_what_it_holds(leap: int) -> None:
    made = tuple(Tag(i, "press", f"t{i}", TagOptions()) for i in range(2))
    aligner = Aligner("press", made, every=1.0, valid_for=60.0)
    aligner.add(Batch.of([0, 1], [T0, T0], [1.0, 10.0]))
    aligner.add(Batch.of([0], [T0 + SECOND], [2.0]))
    aligner.leap(leap)
    rows = []
    for second in range(2, 6):
        frame = aligner.add(Batch.of([0], [T0 + second * SECOND + leap], [float(second + 1)]))
        rows += [] if frame is None else frame.x.tolist()
    assert rows[-3:] == [[3.0, 10.0], [4.0, 10.0], [5.0, 10.0]], "what t1 told stands as long as it may"


@LEAPS
def test_a_machine_with_its_own_clock_keeps_its_ticks(leap: int) -> None:
    aligner = Aligner("server", tags()[1:], every=1.0, valid_for=60.0)
    frames = []
    for second in range(10):
        if second == 5:
            aligner.leap(leap)
        frames.append(aligner.add(Batch.of([1], [T0 + second * SECOND], [1.0])))
    assert [int(frame.t_ns[0]) for frame in frames if frame is not None] == [T0 + second * SECOND for second in range(1, 10)]


@LEAPS
def test_the_past_of_the_page_goes_along(leap: int) -> None:
    history = History(tags(), keep_seconds=300.0)
    for second in range(200):
        history.add(at(second, 0))
    history.leap(leap)
    for second in range(200, 220):
        history.add(at(second, leap))
    (_, (own, _)) = next(history.series("press", ["oil"], 0))
    (_, (other, _)) = next(history.series("server", ["oil"], 0))
    assert own.tolist() == [T0 + second * SECOND + leap for second in range(220)]
    assert other.tolist() == [T0 + second * SECOND for second in range(220)]
