"""A real file that cannot be written for a while: nothing counts as stored meanwhile, and afterwards everything is there once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.outbox import tally
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import FILE_NAME, open_database, reopen
from gateway.testkit.rigs import event

CHILD = """
import asyncio, resource, signal, sys
from pathlib import Path
from gateway.clock import SystemClock
from gateway.contract import SENT
from gateway.outbox import tally
from gateway.outbox.append import Addressed
from gateway.outbox.pick import Wanted
from gateway.outbox.store import Outbox
from gateway.testkit.rigs import event

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

async def main(folder):
    box, stored = Outbox(folder, SystemClock()), []
    box.open()
    async def keep_on():
        for number in range(400):
            await box.append([], [Addressed(event(number, data=b'"' + b"x" * 900 + b'"'), ("crm",))])
            stored.append(number)
    for number in range(1000, 1020):
        await box.append([], [Addressed(event(number), ("crm",))])
    leased = await box.lease("crm", Wanted(20))
    limit(8192)  # neither the WAL nor the file, nor SQLite's shared memory, may be written beyond
    writing = asyncio.create_task(keep_on())
    async with asyncio.timeout(20):
        while not box.refused:
            await asyncio.sleep(0.005)
    held = len(stored)
    settling = box.settle("crm", leased, [SENT] * 20)
    await asyncio.sleep(0.6)
    assert len(stored) == held < 400, "nothing is stored while the file cannot be written"
    assert box.condition.state == "failing", box.condition.state
    limit(resource.RLIM_INFINITY)
    await asyncio.wait_for(asyncio.gather(writing, settling), 20)
    assert box.reopened >= 1 and not box.unknown and not box.refused
    counts = (await box.run(tally.backlog))["crm"]
    assert (counts["stored"], counts["delivered"], counts["ready"]) == (420, 20, 400), counts
    assert [each.id for each in await box.lease("crm", Wanted(1000))] == [event(n).id for n in range(400)]
    await box.close()

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main(Path(sys.argv[1])))
"""


def test_what_could_not_be_written_is_stored_and_settled_once_when_it_can_be_again(tmp_path: Path) -> None:
    found = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, timeout=50, check=False)
    assert found.returncode == 0, found.stderr[-2000:]


class TestReopening:
    @pytest.fixture(autouse=True)
    def _filled(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        connection, _ = open_database(tmp_path)
        append(connection, [], [Addressed(event(n), ("crm",)) for n in range(3)])
        self.before = connection

    def test_shows_the_same_and_is_as_safe(self) -> None:
        self.before.close()
        again = reopen(self.folder)
        assert tally.backlog(again)["crm"]["stored"] == 3
        assert again.execute("PRAGMA synchronous").fetchone() == (2,)
        assert again.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        again.close()

    def test_never_makes_a_new_file_where_the_old_one_is_gone(self) -> None:
        self.before.close()
        (self.folder / FILE_NAME).unlink()
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            reopen(self.folder)
        assert not (self.folder / FILE_NAME).exists()

    def test_a_damaged_file_is_found(self) -> None:
        self.before.close()
        with (self.folder / FILE_NAME).open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * 8192)
        with pytest.raises(sqlite3.DatabaseError, match="database main"):
            reopen(self.folder)
