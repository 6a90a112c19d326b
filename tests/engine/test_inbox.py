"""The queue of one source: readings may be dropped and are counted, records wait, nothing is lost in silence."""

from __future__ import annotations

import asyncio
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import Batch, Record, Waveform
from gateway.engine import inbox as module
from gateway.engine.inbox import Inbox


class Box:
    """An inbox that counts what it tells."""

    def __init__(self, when_full: str = "drop_oldest") -> None:
        self.dropped: Counter[tuple[str, str]] = Counter()
        self.took = self.woken = 0
        self.inbox = Inbox(when_full, wake=self._wake, took=self._took, dropped=self._dropped)  # type: ignore[arg-type]

    def _wake(self) -> None:
        self.woken += 1

    def _took(self, count: int) -> None:
        self.took += count

    def _dropped(self, what: str, reason: str, count: int) -> None:
        self.dropped[what, reason] += count

    def take(self) -> list[object]:
        return [entry.item for entry in self.inbox.take()]


def batch(count: int, first: int = 0) -> Batch:
    return Batch.of(np.zeros(count), np.arange(first, first + count), np.zeros(count))


def block(samples: int) -> Waveform:
    return Waveform(tag=0, t_ns=0, rate_hz=1.0, samples=np.zeros(samples, dtype=np.float32))


def record(number: int = 0) -> Record:
    return Record(source="mes/order", t_ns=number, fields={})


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READINGS", 100)
    monkeypatch.setattr(module, "MAX_WAVEFORM_SAMPLES", 100)
    monkeypatch.setattr(module, "MAX_RECORDS", 3)


async def test_the_oldest_readings_go_first_counted_with_their_reason() -> None:
    box = Box()
    await box.inbox.emit([batch(40, 0), batch(40, 40), batch(40, 80)])
    kept = [item.t_ns[0] for item in box.take() if isinstance(item, Batch)]
    assert kept == [40, 80]
    assert box.dropped == {("readings", "queue_full"): 40}
    assert box.took == 120


async def test_waveforms_are_counted_by_block_and_do_not_push_out_readings() -> None:
    box = Box()
    await box.inbox.emit([batch(100), block(60), block(60)])
    assert [type(item).__name__ for item in box.take()] == ["Batch", "Waveform"]
    assert box.dropped == {("waveforms", "queue_full"): 1}


async def test_what_is_larger_than_the_queue_passes_alone() -> None:
    box = Box()
    await asyncio.wait_for(box.inbox.emit([record_free := batch(500)]), 1.0)
    assert box.take() == [record_free]
    pending = asyncio.create_task(box.inbox.emit([record(), batch(500)]))
    await asyncio.sleep(0)
    assert len(box.take()) == 2
    pending.cancel()


async def test_block_makes_the_source_wait_and_drops_nothing() -> None:
    box = Box("block")
    emitting = asyncio.create_task(box.inbox.emit([batch(80), batch(80, 80)]))
    await asyncio.sleep(0)
    assert not emitting.done()
    assert box.woken >= 1
    assert len(box.take()) == 1
    await asyncio.wait_for(emitting, 1.0)
    assert len(box.take()) == 1
    assert box.dropped == {}


async def test_records_always_wait_for_room_and_for_their_acceptance() -> None:
    box = Box()
    emitting = asyncio.create_task(box.inbox.emit([record(n) for n in range(5)]))
    await asyncio.sleep(0)
    entries = box.inbox.take()
    assert len(entries) == 3
    await asyncio.sleep(0)
    entries += box.inbox.take()
    assert [entry.item.t_ns for entry in entries if isinstance(entry.item, Record)] == [0, 1, 2, 3, 4]
    for entry in entries[:4]:
        assert entry.accepted is not None
        entry.accepted.set_result(None)
    await asyncio.sleep(0)
    assert not emitting.done()
    assert entries[4].accepted is not None
    entries[4].accepted.set_result(None)
    await asyncio.wait_for(emitting, 1.0)
    assert box.dropped == {}


async def test_readings_do_not_wait_for_anything() -> None:
    box = Box()
    await asyncio.wait_for(box.inbox.emit([batch(1)]), 1.0)
    assert box.woken == 1


@given(st.lists(st.one_of(st.integers(0, 150), st.none()), max_size=40))
def test_read_is_processed_plus_dropped_plus_waiting(steps: list[int | None]) -> None:
    """None: the pipeline takes."""

    async def run() -> None:
        box, processed = Box(), 0
        for step in steps:
            if step is None:
                processed += sum(len(item) for item in box.take() if isinstance(item, Batch))
            else:
                await box.inbox.emit([batch(step)])
            assert box.took == processed + box.dropped["readings", "queue_full"] + box.inbox.readings
            assert box.inbox.readings <= max(100, step or 0)

    asyncio.run(run())
