"""The writer thread outlives whatever the disk does."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from gateway.outbox.writer import Writer


class Sick(sqlite3.Connection):
    """Refuses the statements that start with one of `refuses`."""

    refuses: tuple[str, ...] = ()

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if sql.startswith(self.refuses or "\0"):
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


async def test_a_disk_that_refuses_even_the_rollback_is_asked_again(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db", isolation_level=None, check_same_thread=False, factory=Sick)
    connection.execute("CREATE TABLE t (x)")
    writer = Writer(connection)

    async def insert() -> None:
        await asyncio.wait_for(writer.submit(lambda db: db.execute("INSERT INTO t VALUES (1)")), 2.0)

    connection.refuses = ("COMMIT", "ROLLBACK")
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        await insert()
    connection.refuses = ()
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        await insert()
    await insert()
    assert await writer.submit(lambda db: db.execute("SELECT count(*) FROM t").fetchone()[0]) == 1
    await writer.close()
