"""Readings in the order of their time: within a batch at once, across batches within the bound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Batch
from gateway.engine import order
from gateway.engine.order import Reorder, in_order
from gateway.testkit.clock import FakeClock


def of(*t_ns: int) -> Batch:
    return Batch.of([0] * len(t_ns), t_ns, np.arange(len(t_ns), dtype=float))


def times(batch: Batch | None) -> list[int]:
    return [] if batch is None else batch.t_ns.tolist()


def test_what_is_in_order_is_not_touched() -> None:
    batch = of(1, 2, 2, 3)
    assert in_order(batch) is batch


def test_readings_of_one_instant_keep_the_order_of_the_source() -> None:
    ordered = in_order(of(5, 3, 3, 1))
    assert times(ordered) == [1, 3, 3, 5]
    assert ordered.value.tolist() == [3.0, 1.0, 2.0, 0.0]


async def test_one_that_comes_later_goes_before_those_that_wait() -> None:
    clock = FakeClock()
    reorder = Reorder(clock, 2.0)
    assert reorder.pass_on(of(10, 20)) is None
    await clock.advance(1.0)
    assert reorder.pass_on(of(15, 30)) is None
    await clock.advance(1.0)
    assert times(reorder.pass_on(None)) == [10, 15, 20]
    assert times(reorder.pass_on(None)) == []
    await clock.advance(1.0)
    assert times(reorder.pass_on(None)) == [30]


def test_at_the_end_all_that_waits_goes_on() -> None:
    reorder = Reorder(FakeClock(), 60.0)
    reorder.pass_on(of(3, 4))
    reorder.pass_on(of(1, 2))
    assert times(reorder.drain()) == [1, 2, 3, 4]
    assert reorder.drain() is None


def test_what_is_held_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "MOST_HELD", 5)
    reorder = Reorder(FakeClock(), 60.0)
    assert reorder.pass_on(of(1, 2, 3)) is None
    assert times(reorder.pass_on(of(4, 5, 6))) == [1, 2, 3]


@given(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), max_size=8), st.floats(0.5, 3))
def test_nothing_is_lost_and_nothing_doubled(batches: list[list[int]], seconds: float) -> None:
    reorder = Reorder(FakeClock(), seconds)
    given_times = [t for batch in batches for t in batch]
    seen = [t for batch in batches for t in times(reorder.pass_on(of(*batch)))]
    assert sorted(seen + times(reorder.drain())) == sorted(given_times)
