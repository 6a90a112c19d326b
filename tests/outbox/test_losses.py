"""Losses before the outbox: gathered, then one line each."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.outbox import ledger as module
from gateway.outbox.losses import Losses, write
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock


async def test_a_flood_is_one_line_with_from_to_count_and_reason(outbox: Outbox, clock: FakeClock) -> None:
    losses = Losses(clock)
    start = clock.now_ns()
    for _ in range(1000):
        losses.add("readings", "press-07", "queue_full", 50)
        await clock.advance(0.001)
    losses.add("waveforms", "pump-3", "queue_full", 2)
    await outbox.tidy(losses, 0)
    rows = await outbox.run(lambda c: c.execute("SELECT what, name, from_ns, to_ns, count, reason FROM ledger ORDER BY what").fetchall())
    assert rows == [
        ("readings", "press-07", start, start + 999_000_000, 50_000, "queue_full"),
        ("waveforms", "pump-3", start + 1_000_000_000, start + 1_000_000_000, 2, "queue_full"),
    ]
    assert losses.take().losses == {}


async def test_a_stop_while_the_disk_refuses_does_not_lose_the_losses(outbox: Outbox, clock: FakeClock) -> None:
    """They are not in memory any more, and not on disk yet."""

    def fatal(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    losses = Losses(clock)
    losses.add("readings", "press-07", "queue_full", 50)
    go = threading.Event()
    first = asyncio.create_task(outbox.look(lambda _: go.wait(10)))
    await clock.settle()
    tidying, failing = asyncio.create_task(outbox.tidy(losses, 0)), asyncio.gather(outbox.run(fatal), return_exceptions=True)
    await clock.settle()
    go.set()
    await asyncio.gather(first, failing)
    while not outbox.repeating:  # noqa: ASYNC110
        await asyncio.sleep(0)
    tidying.cancel()
    await asyncio.wait([tidying])
    await clock.advance(1.0)
    await outbox.tidy(losses, 0)
    assert await outbox.run(lambda c: c.execute("SELECT name, count FROM ledger").fetchall()) == [("press-07", 50)]


async def test_the_ledger_keeps_its_newest_lines(tmp_path: Path, outbox: Outbox, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_LINES", 3)
    for n in range(6):
        losses = Losses(clock)
        losses.add("readings", f"m{n}", "buffer_full", 1)
        taken = losses.take()
        await outbox.run(lambda c, taken=taken: write(c, taken, clock.now_ns()))
    assert await outbox.run(lambda c: c.execute("SELECT name FROM ledger").fetchall()) == [("m3",), ("m4",), ("m5",)]
