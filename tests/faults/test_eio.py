"""A disk that returns EIO, for real: what counted as stored is on it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.contract import SENT
from gateway.outbox.append import Addressed
from gateway.outbox.database import FILE_NAME
from gateway.outbox.pick import Wanted
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.store import Outbox
from gateway.testkit.disk import NEEDS, SickDisk, can_fail
from gateway.testkit.rigs import event

pytestmark = pytest.mark.skipif(not can_fail(), reason=NEEDS)


@pytest.fixture(params=["without a journal", "with a journal"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SickDisk]:
    """Without a journal the file system goes on after an error; with one it becomes read-only."""
    made = SickDisk(tmp_path, *(["-O", "^has_journal"] if request.param == "without a journal" else []))
    yield made
    made.close()


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Outbox]:
    box = Outbox(folder, SystemClock(), reserve_bytes=1 << 20)
    box.open()
    try:
        yield box
    finally:
        await asyncio.wait_for(box.close(), 10)


async def keep_on(box: Outbox, stored: list[int]) -> None:
    """One event after the other; `stored` gets what was said to be on the disk."""
    number = stored[-1] + 1 if stored else 0
    while True:
        await box.append([], [Addressed(event(number, data=b'"' + b"x" * 700 + b'"'), ("crm",))])
        stored.append(number)
        number += 1


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_stored_before_during_and_after_an_io_error_is_on_the_disk(disk: SickDisk) -> None:
    """What the kernel shows after a failed fsync need not be there: so it is the disk that is looked at."""
    stored: list[int] = []
    async with opened(disk.folder / "state") as box:
        goes_on = True
        for _ in range(3):
            before, writing = len(stored), asyncio.create_task(keep_on(box, stored))
            await until(lambda: len(stored) > before + 50)  # noqa: B023
            disk.fail()
            await until(lambda: bool(box.refused))
            held = len(stored)
            await until(lambda: box.unknown or box.condition.state == "read_only")
            await asyncio.sleep(0.3)
            assert len(stored) == held, "nothing counts as stored while nobody knows"
            disk.heal()
            if "read_only" in box.condition.state or not await _recovers(box):
                goes_on = False
            else:
                await until(lambda: len(stored) > held)  # noqa: B023
            writing.cancel()
            await asyncio.wait([writing])
            if not goes_on:
                break
            with disk.after_a_power_cut() as folder:
                assert _sound_numbers(folder / "state") >= set(stored)
        if goes_on:
            assert box.reopened >= 3
            assert not box.unknown
            events = await box.lease("crm", Wanted(20))
            await box.settle("crm", events, [SENT] * len(events))
            stored = stored[20:]
    disk.remount(repair=not goes_on)
    assert _sound_numbers(disk.folder / "state") >= set(stored)
    async with opened(disk.folder / "state") as box:
        before, again = len(stored), asyncio.create_task(keep_on(box, stored))
        await until(lambda: len(stored) > before + 10)
        again.cancel()
        await asyncio.wait([again])


async def _recovers(box: Outbox) -> bool:
    with suppress(TimeoutError):
        await until(lambda: not box.refused, 6)
        return True
    assert box.condition.state == "read_only", (box.condition.state, box.refused)
    return False


def _sound_numbers(folder: Path) -> set[int]:
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        rows = [from_row(row) for row in db.execute(f"SELECT {SELECTED} FROM event e")]
    assert None not in rows
    return {int(row.id.removeprefix("ev-")) for row in rows if row is not None}
