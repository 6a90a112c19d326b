"""Incidents in the outbox's file: what is shown, what is forgotten, what a flipped bit does not get past."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from itertools import product
from pathlib import Path
from zlib import crc32

import pytest

from gateway.outbox import incidents
from gateway.outbox.append import IncidentRow, append
from gateway.outbox.correct import Leap, age_as_before
from gateway.outbox.database import FILE_NAME, damage, open_database, suspect
from gateway.outbox.store import Outbox


def row(name: str, state: str, *, raised_ns: int, changed_ns: int, since_ns: int = 1) -> IncidentRow:
    return IncidentRow(
        id=f"inc-{name}",
        machine="mes",
        condition=name,
        state=state,
        since_ns=since_ns,
        raised_ns=raised_ns,
        changed_ns=changed_ns,
        body=name.encode(),
    )


ROWS = [
    row("closed", "closed", raised_ns=20, changed_ns=30),
    row("open", "open", raised_ns=10, changed_ns=10),
    row("waiting", "pending", raised_ns=0, changed_ns=40),
    row("in-time", "closed", raised_ns=0, changed_ns=50),
]
DAMAGES = (
    "id='inc-opem'",
    "machine='mer'",
    "machine=CAST(x'6d65ff' AS TEXT)",
    "condition='opeN'",
    "state='opeo'",
    "since_ns=3",
    "raised_ns=11",
    "body=CAST('opeN' AS BLOB)",
    "crc=crc+1",
)
VERSION_4 = ("DELETE FROM _sqlite_migrations WHERE name >= 'm005'", "PRAGMA user_version=4")


@pytest.fixture
def file(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    made, _ = open_database(tmp_path)
    with closing(made):
        yield made


async def test_order_that_was_never_late_is_not_shown_among_the_incidents(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await outbox.run(partial(incidents.recent, limit=10)) == [b"open", b"closed"]


async def test_what_was_never_raised_takes_no_place(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await left(outbox) == ["inc-closed", "inc-open", "inc-waiting"]
    await outbox.append([row("waiting", "closed", raised_ns=0, changed_ns=60)], [])
    assert await left(outbox) == ["inc-closed", "inc-open"]


async def test_what_closed_long_ago_is_forgotten(outbox: Outbox) -> None:
    await outbox.append(ROWS, [])
    assert await outbox.run(partial(incidents.forget, closed_before_ns=30)) == 0
    assert await outbox.run(partial(incidents.forget, closed_before_ns=31)) == 1
    assert await left(outbox) == ["inc-open", "inc-waiting"]


async def test_forgetting_reads_no_incident(outbox: Outbox) -> None:
    """Once a minute, of up to ten thousand with their curves."""
    plans: list[str] = []

    def explain(connection: sqlite3.Connection) -> None:
        said: list[str] = []
        connection.set_trace_callback(said.append)
        incidents.forget(connection, 1)
        connection.set_trace_callback(None)
        plans.extend(row[3] for statement in said for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}"))

    await outbox.run(explain)
    assert [plan for plan in plans if "incident_state" in plan]
    assert not [
        plan for plan in plans if plan.startswith("SCAN incident") or plan == "SEARCH incident USING INDEX incident_state (state=?)"
    ]


async def left(outbox: Outbox) -> list[str]:
    return await outbox.run(lambda connection: [name for (name,) in connection.execute("SELECT id FROM incident ORDER BY id")])


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_row_is_set_aside_whichever_column_it_is(file: sqlite3.Connection, what: str) -> None:
    append(file, ROWS, [])
    file.execute(f"UPDATE incident SET {what} WHERE id='inc-open'")
    assert incidents.unfinished(file) == [b"waiting"]
    ((_, _, since_ns),) = incidents.condemn(file)
    assert since_ns == (3 if what == "since_ns=3" else 1)
    assert incidents.condemn(file) == [], "once"
    assert incidents.unfinished(file) == [b"waiting"]
    assert incidents.recent(file, 10) == [b"closed"]
    assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert file.execute("SELECT count(*) FROM incident WHERE state='damaged'").fetchone() == (1,), "kept for people"


def test_every_single_bit_of_an_open_incident(tmp_path: Path) -> None:
    """In the file itself, where the indexes do not follow."""
    made, _ = open_database(tmp_path)
    append(made, [IncidentRow("inc-a", "press", "c1", "open", 5, 6, 7, b'{"title":"hot"}'), *ROWS], [])
    made.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    made.close()
    sound = (tmp_path / FILE_NAME).read_bytes()
    begin = sound.index(b"inc-apressc1open")
    end = sound.index(b'{"title":"hot"}') + 15
    changed_ns = sound.index(b"\x05\x06\x07", begin) + 2
    for position, bit in product((at for at in range(begin, end) if at != changed_ns), (0, 2, 5, 7)):  # 7: no UTF-8 any more
        damaged = bytearray(sound)
        damaged[position] ^= 1 << bit
        (tmp_path / FILE_NAME).write_bytes(damaged)
        assert damage(tmp_path / FILE_NAME) is None, "the row, and not the file"
        with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
            assert len(incidents.condemn(file)) == 1, position - begin
            assert incidents.unfinished(file) == [b"open", b"waiting"]


def test_a_row_that_its_index_does_not_show_is_continued(tmp_path: Path) -> None:
    made, _ = open_database(tmp_path)
    append(made, ROWS, [])
    made.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    made.close()
    content = (tmp_path / FILE_NAME).read_bytes()
    entry = b"open\x0a\x02"  # state, changed_ns and the number of the row, as the index has them
    assert content.count(entry) == 1
    (tmp_path / FILE_NAME).write_bytes(content.replace(entry, b"opeo\x0a\x02"))
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as file:
        assert incidents.condemn(file) == []
        assert incidents.unfinished(file) == [b"open", b"waiting"]


def test_the_last_closed_one_of_a_condition_is_looked_at_too(file: sqlite3.Connection) -> None:
    """Its beginning says which ids were given: a later one that no incident had would hold the next one back."""
    rows = [row("hot", "closed", since_ns=n, raised_ns=1, changed_ns=n)._replace(id=f"inc-{n}") for n in (10, 20, 30)]
    append(file, rows, [])
    file.execute("UPDATE incident SET since_ns=1<<60 WHERE since_ns=30")
    file.execute("UPDATE incident SET body=x'00' WHERE since_ns=20")
    assert incidents.condemn(file) == [("mes", "hot", 1 << 60), ("mes", "hot", 20)]
    assert incidents.last_closed(file) == {("mes", "hot"): 10}


def test_a_clock_that_leaps_damages_nothing(file: sqlite3.Connection) -> None:
    append(file, [row._replace(body=b"{}") for row in ROWS], [])
    age_as_before(file, Leap(1, "boot", 0, 10**15))
    assert len(incidents.changed(file, 0)) == len(ROWS) - 1


def test_a_file_of_version_4_gets_its_checksums_and_what_is_damaged_stays_so(tmp_path: Path) -> None:
    made, _ = open_database(tmp_path)
    with closing(made):
        append(made, [row(f"c{n}", "open", raised_ns=1, changed_ns=n) for n in range(1200)], [])
        made.executemany("UPDATE incident SET crc=? WHERE id=?", [(crc32(f"c{n}".encode()), f"inc-c{n}") for n in range(1200)])
        made.execute("UPDATE incident SET body=x'00' WHERE id='inc-c7'")
        for statement in VERSION_4:
            made.execute(statement)
    again, replaced = open_database(tmp_path)
    with closing(again):
        assert replaced is None
        assert len(incidents.unfinished(again)) == 1199
        assert incidents.condemn(again) == [("mes", "c7", 1)]


@pytest.mark.parametrize("version", [4, 5])
def test_a_salvage_knows_the_checksum_of_its_version(tmp_path: Path, version: int) -> None:
    made, _ = open_database(tmp_path)
    with closing(made):
        append(made, ROWS, [])
        if version == 4:
            made.executemany("UPDATE incident SET crc=? WHERE id=?", [(crc32(each.body), each.id) for each in ROWS])
            made.execute("UPDATE incident SET body=x'00' WHERE id='inc-open'")
        else:
            made.execute("UPDATE incident SET machine='mer' WHERE id='inc-open'")
        made.execute(f"PRAGMA user_version={version}")
    suspect(tmp_path, "somebody saw something")
    again, replaced = open_database(tmp_path, now_ns=1)
    with closing(again):
        assert replaced is not None
        assert (replaced.salvage.incidents, replaced.salvage.lost_incidents) == (2, 1)
        assert incidents.unfinished(again) == [b"waiting"]
        assert incidents.condemn(again) == []
