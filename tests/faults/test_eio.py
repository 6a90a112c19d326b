"""A disk that returns EIO, for real: ext4 on a loop device on an NBD server that fails when it is told to. Needs root and nbdkit."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.contract import SENT
from gateway.outbox.append import Addressed
from gateway.outbox.database import FILE_NAME
from gateway.outbox.pick import Wanted
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.store import Outbox
from gateway.testkit.rigs import event

TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mount", "fusermount3")
pytestmark = pytest.mark.skipif(
    bool(os.geteuid()) or not all(map(shutil.which, TOOLS)), reason="needs root, nbdkit, libnbd-bin, fuse3, e2fsprogs"
)


class Disk:
    """Mounted at `folder`. `fail` and `heal` it; `remount` forgets what is only in the kernel's memory."""

    def __init__(self, work: Path, *options: str) -> None:
        self._work, self.folder, self._trigger = work, work / "mnt", work / "err"
        image, self._fuse, socket = work / "disk.img", work / "fuse", work / "socket"
        for folder in (self.folder, self._fuse):
            folder.mkdir()
        with image.open("wb") as file:
            file.truncate(48 << 20)
        _run("mkfs.ext4", "-q", "-F", *options, str(image))
        error = ("error=EIO", "error-rate=100%", f"error-file={self._trigger}")
        self._kit = subprocess.Popen(["nbdkit", "-f", "-U", str(socket), "--filter=error", "file", str(image), *error])
        _wait(socket.exists)
        self._nbd = subprocess.Popen(["nbdfuse", str(self._fuse), "--unix", str(socket)])
        _wait((self._fuse / "nbd").exists)
        self._loop = subprocess.check_output(["losetup", "-f", "--show", str(self._fuse / "nbd")], text=True).strip()
        _run("mount", self._loop, str(self.folder))

    def fail(self) -> None:
        self._trigger.touch()

    def heal(self) -> None:
        self._trigger.unlink()

    @contextmanager
    def after_a_power_cut(self) -> Iterator[Path]:
        """What is really on the disk now, mounted elsewhere: nothing that only the kernel's memory holds."""
        image, folder = self._work / "cut.img", self._work / "cut"
        shutil.copyfile(self._work / "disk.img", image)
        subprocess.run(["fsck.ext4", "-fy", str(image)], capture_output=True, check=False)
        folder.mkdir(exist_ok=True)
        _run("mount", "-o", "loop", str(image), str(folder))
        try:
            yield folder
        finally:
            _run("umount", str(folder))

    def remount(self, *, repair: bool = False) -> None:
        _run("umount", str(self.folder))
        if repair:
            subprocess.run(["fsck.ext4", "-fy", self._loop], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        _run("mount", self._loop, str(self.folder))

    def close(self) -> None:
        self._trigger.unlink(missing_ok=True)
        for command in (["umount", "-l", str(self.folder)], ["losetup", "-d", self._loop], ["fusermount3", "-uz", str(self._fuse)]):
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        for process in (self._nbd, self._kit):
            process.terminate()
            process.wait(10)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(params=["without a journal", "with a journal"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Without a journal the file system goes on after an error; with one it becomes read-only."""
    made = Disk(tmp_path, *(["-O", "^has_journal"] if request.param == "without a journal" else []))
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


async def test_what_was_stored_before_during_and_after_an_io_error_is_on_the_disk(disk: Disk) -> None:
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
