"""The writer thread outlives whatever the disk does, and uses no connection twice whose commit failed."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox import writer as module
from gateway.outbox.writer import Writer


class Sick(sqlite3.Connection):
    """Refuses the statements that start with one of `refuses`."""

    refuses: tuple[str, ...] = ()

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith(self.refuses or "\0"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


def connect(path: Path) -> Sick:
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Sick)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    connect(tmp_path / "a.db").execute("CREATE TABLE t (x)").connection.close()
    return tmp_path / "a.db"


def insert(db: sqlite3.Connection) -> int:
    return db.execute("INSERT INTO t VALUES (1)").rowcount


def count(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT count(*) FROM t").fetchone()[0])


@pytest.mark.parametrize("refuses", [("COMMIT",), ("COMMIT", "ROLLBACK"), ("BEGIN",), ("INSERT", "ROLLBACK")])
async def test_a_connection_whose_disk_failed_is_closed_and_another_one_goes_on(file: Path, refuses: tuple[str, ...]) -> None:
    sick = connect(file)
    writer = Writer(sick, partial(connect, file))
    sick.refuses = refuses
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await asyncio.wait_for(writer.submit(insert), 2.0)
    assert writer.unknown is ("COMMIT" in refuses), "before the commit nothing is unknown"
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        sick.execute("SELECT 1")
    await asyncio.wait_for(writer.submit(insert), 2.0)
    assert (await writer.submit(count, alone=True), writer.unknown, writer.reopened) == (1, False, 1)
    await writer.close()


async def test_as_long_as_the_file_cannot_be_opened_everybody_is_told_so_and_it_is_not_asked_all_the_time(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []

    def refuse() -> sqlite3.Connection:
        opened.append(1)
        raise sqlite3.OperationalError("unable to open database file")

    sick = connect(file)
    writer = Writer(sick, refuse)
    sick.refuses = ("COMMIT",)
    results = await asyncio.gather(*(writer.submit(insert) for _ in range(3)), return_exceptions=True)
    assert {str(result) for result in results} == {"disk I/O error"}
    for _ in range(5):
        with pytest.raises(sqlite3.OperationalError, match="unable to open"):
            await asyncio.wait_for(writer.submit(count, alone=True), 2.0)
    assert len(opened) == 1
    assert writer.unknown
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.0)
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        await writer.submit(insert)
    assert len(opened) == 2
    await writer.close()


async def test_what_only_reads_does_not_share_the_fate_of_a_commit(file: Path) -> None:
    sick = connect(file)
    writer = Writer(sick, partial(connect, file))
    sick.refuses = ("COMMIT",)
    stored, seen = await asyncio.gather(writer.submit(insert), writer.submit(count, alone=True), return_exceptions=True)
    assert isinstance(stored, sqlite3.OperationalError)
    assert seen == 0
    await writer.close()
