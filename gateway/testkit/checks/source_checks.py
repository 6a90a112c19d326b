"""The battery every source goes through."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import numpy as np

from gateway.contract import BAD, Batch, EndOfSource, Item, NotConnected, Quality, Record, Source, Waveform
from gateway.testkit.checks.peers import CONNECT_SECONDS, opened, running
from gateway.testkit.checks.watch import Left, in_time, io_done, raised
from gateway.testkit.rigs import SourceRig

READ_SECONDS = 15.0
_HOUR_NS = 3600 * 10**9
_YEAR_2001, _YEAR_2100 = 978_307_200 * 10**9, 4_102_444_800 * 10**9


def connected(rig: SourceRig) -> AbstractAsyncContextManager[Source]:
    """A source that reads from the running server."""
    return opened(rig.source())


async def collect(rig: SourceRig, source: Source, rounds: int = 1) -> list[Item]:
    """Stimulate and read until something came, `rounds` times; shorter at the end of a recording."""
    items: list[Item] = []
    for _ in range(rounds):
        await rig.stimulate()
        try:
            items += await in_time(_something(source), READ_SECONDS, "reading something new")
        except EndOfSource:
            break
    return items


async def _something(source: Source) -> list[Item]:
    while True:
        got = await source.read()
        items = [item for item in (got if isinstance(got, list) else [got]) if not isinstance(item, Batch) or len(item)]
        if items:
            return items


async def constructor_does_no_io(rig: SourceRig) -> None:
    """Nothing is opened, looked up or started before `connect`, and the server need not be there."""
    rig.source()  # late imports are done now
    left = Left()
    with io_done() as done:
        rig.source()
    assert not done, f"the constructor does I/O: {done}"
    assert not left.over(), f"the constructor leaves {left.over()}"


async def dead_peer_is_not_connected_within_ten_seconds(rig: SourceRig) -> None:
    source = rig.dead_source()
    left = Left()
    try:
        await raised(NotConnected, source.connect(), CONNECT_SECONDS)
    finally:
        await in_time(source.close(), CONNECT_SECONDS, "close")
    await left.nothing()


async def server_stopped_while_reading_is_not_connected(rig: SourceRig) -> None:
    async with running(rig), connected(rig) as source:
        await collect(rig, source)
        reading = asyncio.create_task(_for_ever(source))
        await asyncio.sleep(0)
        await rig.stop()
        error = await raised(NotConnected, reading, READ_SECONDS)
        assert error.peer, "NotConnected names no peer"
        assert error.why, "NotConnected does not say why"


async def _for_ever(source: Source) -> None:
    while True:
        await source.read()


async def fresh_source_reads_after_a_restart_of_the_server(rig: SourceRig) -> None:
    async with running(rig):
        async with connected(rig) as source:
            await collect(rig, source)
            await rig.stop()
            await raised(NotConnected, _for_ever(source), READ_SECONDS)
        await rig.start()
        async with connected(rig) as source:
            assert await collect(rig, source), "nothing came after the restart"


async def same_source_reads_again_after_close_and_connect(rig: SourceRig) -> None:
    async with running(rig):
        source = rig.source()
        for _ in range(2):
            await in_time(source.connect(), CONNECT_SECONDS, "connect")
            assert await collect(rig, source), "nothing came"
            await in_time(source.close(), CONNECT_SECONDS, "close")


async def close_twice_and_before_connect_is_fine(rig: SourceRig) -> None:
    source = rig.source()
    await source.close()
    async with running(rig):
        left = Left()
        async with connected(rig) as source:
            pass
        await source.close()
        await left.nothing()


async def close_after_the_server_has_gone_is_fine(rig: SourceRig) -> None:
    before = Left()
    async with running(rig), connected(rig):
        await rig.stop()
    await before.nothing()


async def cancel_while_reading_leaves_nothing(rig: SourceRig) -> None:
    """No task, no socket, no thread, wherever it is caught; a fresh source reads afterwards."""
    async with running(rig):
        left = Left()
        for turns in (0, 1, 3, 10):
            async with connected(rig) as source:
                reading = asyncio.create_task(_for_ever(source))
                for _ in range(turns):
                    await asyncio.sleep(0.001)
                reading.cancel()
                (ended,) = await asyncio.gather(reading, return_exceptions=True)
                assert isinstance(ended, asyncio.CancelledError | EndOfSource), f"cancelling read gave {ended!r}"
        await left.nothing()
        async with connected(rig) as source:
            assert await collect(rig, source), "nothing came after the cancelled read"


async def cancel_while_connecting_leaves_nothing(rig: SourceRig) -> None:
    async with running(rig):
        left = Left()
        for turns in (0, 1, 5):
            source = rig.source()
            connecting = asyncio.create_task(source.connect())
            for _ in range(turns):
                await asyncio.sleep(0)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await in_time(source.close(), CONNECT_SECONDS, "close")
        await left.nothing()


async def items_are_well_formed(rig: SourceRig) -> None:
    """Columns of one length and of their types, times of today in UTC, quality and NaN agree."""
    async with running(rig), connected(rig) as source:
        items = await collect(rig, source, rounds=2)
    assert items, "nothing came"
    for item in items:
        if isinstance(item, Batch):
            _well_formed(item)
        elif isinstance(item, Waveform):
            assert item.samples.ndim == 1, "samples are not one column"
            assert item.samples.dtype == np.float32, f"samples are {item.samples.dtype}, not float32"
            assert item.rate_hz > 0, f"rate {item.rate_hz}"
        else:
            assert "/" in item.source, f"{item.source!r} is not machine/record"
            assert isinstance(item.fields, Mapping)
    _plausible(rig, items)


def _well_formed(batch: Batch) -> None:
    columns: list[tuple[str, np.ndarray[Any, Any], str]] = [
        ("tag", batch.tag, "int32"),
        ("t_ns", batch.t_ns, "int64"),
        ("value", batch.value, "float64"),
        ("quality", batch.quality, "uint8"),
    ]
    for name, column, dtype in columns:
        assert column.dtype == dtype, f"{name} is {column.dtype}, not {dtype}"
        assert column.shape == (len(batch),), f"{name} has shape {column.shape}, tag has {len(batch)} rows"
    assert (batch.tag >= 0).all(), "a tag index is negative"
    assert np.isnan(batch.value[batch.quality >= BAD]).all(), "a bad reading carries a number"
    assert np.isfinite(batch.value[batch.quality < BAD]).all(), "a good reading is not finite"
    assert set(batch.quality.tolist()) <= set(Quality), "a quality of no name"


def _plausible(rig: SourceRig, items: Iterable[Item]) -> None:
    """A live source is within an hour of now (a time zone is not); a recording may be old."""
    now = time.time_ns()
    low, high = (now - _HOUR_NS // 2, now + _HOUR_NS // 2) if rig.can_be_dead else (_YEAR_2001, _YEAR_2100)
    for t_ns in (int(t) for item in items for t in _times(item)):
        assert low < t_ns < high, f"{t_ns} is not a time in UTC nanoseconds of a peer of today"


def _times(item: Item) -> list[int]:
    return item.t_ns.tolist() if isinstance(item, Batch) else [item.t_ns]


async def indices_are_those_of_the_tags(rig: SourceRig) -> None:
    """Every reading belongs to a configured tag, and every tag of the rig is heard of."""
    async with running(rig), connected(rig) as source:
        seen: set[int] = set()
        wanted = set(range(rig.tags))
        for _ in range(10):
            for item in await collect(rig, source):
                seen |= set(item.tag.tolist()) if isinstance(item, Batch) else {item.tag} if isinstance(item, Waveform) else set()
            if seen >= wanted:
                break
    assert seen == wanted, f"read tags {sorted(seen)}, configured are {sorted(wanted)}"


async def stimulus_brings_something_new(rig: SourceRig) -> None:
    async with running(rig), connected(rig) as source:
        first = await collect(rig, source)
        second = await collect(rig, source)
    assert second, "the second stimulus brought nothing"
    newest = max(t for item in first for t in _times(item))
    assert any(t > newest for item in second for t in _times(item)), "the second stimulus brought no newer time"


async def readings_of_a_tag_come_in_order(rig: SourceRig) -> None:
    async with running(rig), connected(rig) as source:
        items = await collect(rig, source, rounds=5)
    last: dict[object, int] = {}
    for key, t_ns in ((key, t_ns) for item in items for key, t_ns in _rows(item)):
        assert t_ns >= last.get(key, 0), f"{key}: {t_ns} came after {last[key]}"
        last[key] = t_ns


def _rows(item: Item) -> list[tuple[object, int]]:
    if isinstance(item, Batch):
        return list(zip(item.tag.tolist(), item.t_ns.tolist(), strict=True))
    return [(item.source if isinstance(item, Record) else item.tag, item.t_ns)]


NEED_A_PEER: Final = frozenset(
    {
        "dead_peer_is_not_connected_within_ten_seconds",
        "server_stopped_while_reading_is_not_connected",
        "fresh_source_reads_after_a_restart_of_the_server",
        "close_after_the_server_has_gone_is_fine",
    }
)
CHECKS: Final = (
    constructor_does_no_io,
    dead_peer_is_not_connected_within_ten_seconds,
    server_stopped_while_reading_is_not_connected,
    fresh_source_reads_after_a_restart_of_the_server,
    same_source_reads_again_after_close_and_connect,
    close_twice_and_before_connect_is_fine,
    close_after_the_server_has_gone_is_fine,
    cancel_while_reading_leaves_nothing,
    cancel_while_connecting_leaves_nothing,
    items_are_well_formed,
    indices_are_those_of_the_tags,
    stimulus_brings_something_new,
    readings_of_a_tag_come_in_order,
)
