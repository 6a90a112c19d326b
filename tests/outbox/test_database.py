"""The outbox's file: schema by migration, damage found and set aside, a newer file left alone."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from sqlite_utils import Database

from gateway.contract import ConfigError
from gateway.outbox import migrate
from gateway.outbox.append import Addressed, append
from gateway.outbox.database import FILE_NAME, open_database
from gateway.testkit.rigs import event


def filled(folder: Path, count: int = 400) -> Path:
    connection, replaced = open_database(folder)
    assert replaced is None
    append(connection, [], [Addressed(event(n, data=b"y" * 1500), ("crm",)) for n in range(count)])
    connection.close()
    return folder / FILE_NAME


def test_a_new_file_is_safe_against_power_cuts_and_its_migration_is_recorded(tmp_path: Path) -> None:
    connection, _ = open_database(tmp_path)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    applied = [row["name"] for row in Database(connection)["_sqlite_migrations"].rows]
    assert applied == ["m001_first_release", "m002_lanes_and_dead_letters", "m003_operators", "m004_chained_audit", "m005_sealed_incidents"]
    connection.close()


def test_every_table_of_ours_is_strict(tmp_path: Path) -> None:
    connection, _ = open_database(tmp_path)
    db = Database(connection)
    assert {t.name for t in db.tables if not t.strict} == {"_sqlite_migrations", "sqlite_sequence"}
    connection.close()


def test_a_migration_that_was_cut_off_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = migrate.statements

    def cut(script: str) -> list[str]:
        return [*whole(script)[:3], "CREATE TABLE not sql;"]

    with monkeypatch.context() as patch:
        patch.setattr(migrate, "statements", cut)
        with pytest.raises(sqlite3.OperationalError):
            open_database(tmp_path)
    connection, replaced = open_database(tmp_path)
    assert replaced is None
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (0,)
    connection.close()


def test_a_sound_file_is_kept(tmp_path: Path) -> None:
    filled(tmp_path)
    connection, replaced = open_database(tmp_path)
    assert replaced is None
    assert connection.execute("SELECT count(*) FROM event").fetchone() == (400,)
    connection.close()


@pytest.mark.parametrize("where", ["header", "middle", "all", "cut short", "a text file"])
def test_a_damaged_file_is_set_aside_and_kept(tmp_path: Path, where: str) -> None:
    path = filled(tmp_path)
    size = path.stat().st_size
    if where == "a text file":
        path.write_text("not a database, and long enough to be taken for one " * 100)
    elif where == "cut short":
        os.truncate(path, size // 2)
    else:
        start, length = {"header": (0, 100), "middle": (size // 4, size // 2), "all": (0, size)}[where]
        with path.open("r+b") as file:
            file.seek(start)
            file.write(os.urandom(length))
    connection, replaced = open_database(tmp_path)
    assert replaced is not None
    assert replaced.problem
    assert (tmp_path / replaced.set_aside).stat().st_size > 0
    assert append(connection, [], [Addressed(event(999), ("crm",))]) == 1
    connection.close()


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.7])
def test_a_wal_that_was_cut_off_is_read_as_far_as_it_is_whole(tmp_path: Path, keep: float) -> None:
    folder, copy = tmp_path / "running", tmp_path / "after"
    connection, _ = open_database(folder)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    for n in range(50):
        append(connection, [], [Addressed(event(n), ("crm",))])
    copy.mkdir()
    for suffix in ("", "-wal"):
        (copy / (FILE_NAME + suffix)).write_bytes((folder / (FILE_NAME + suffix)).read_bytes())
    wal = copy / f"{FILE_NAME}-wal"
    os.truncate(wal, int(wal.stat().st_size * keep))
    connection.close()
    again, replaced = open_database(copy)
    found = [row[0] for row in again.execute("SELECT id FROM event ORDER BY seq")]
    assert found == [event(n).id for n in range(len(found))]
    assert len(found) < 50
    assert replaced is None
    again.close()


def test_a_file_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    path = filled(tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="newer lineside"):
        open_database(tmp_path)
    assert path.read_bytes() == before


def test_a_file_of_version_2_gets_the_tables_that_came_later_and_keeps_its_own(tmp_path: Path) -> None:
    filled(tmp_path, 3)
    later = ("shelf", "request", "shadow_alarm")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as old:
        for table in later:
            old.execute(f"DROP TABLE {table}")
        old.execute("ALTER TABLE audit DROP COLUMN hash")
        old.execute("DELETE FROM _sqlite_migrations WHERE name IN ('m003_operators', 'm004_chained_audit', 'm005_sealed_incidents')")
        old.execute("PRAGMA user_version=2")
        old.commit()
    connection, replaced = open_database(tmp_path)
    assert replaced is None
    assert [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in (*later, "event")] == [(0,), (0,), (0,), (3,)]
    assert connection.execute("PRAGMA user_version").fetchone() == (migrate.SCHEMA_VERSION,)
    connection.close()


def test_a_file_of_somebody_else_is_no_matter_of_the_disk(tmp_path: Path) -> None:
    """Root without its powers is bound by file modes as anybody else."""
    (tmp_path / FILE_NAME).touch(mode=0o400)
    bound = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()
    script = (
        "import sys; from pathlib import Path; from gateway.clock import SystemClock; from gateway.outbox.store import Outbox\n"
        "Outbox(Path(sys.argv[1]), SystemClock()).open()"
    )
    done = subprocess.run([*bound, sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30)
    assert f"ConfigError: {tmp_path / FILE_NAME} may not be written by this account" in done.stderr
