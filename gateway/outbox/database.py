"""Opens the outbox file: checks it, sets a damaged one aside, brings the schema up to date."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from gateway.contract import ConfigError

SCHEMA_VERSION = 1
FILE_NAME = "outbox.db"


@dataclass(frozen=True)
class Replaced:
    """A damaged file was set aside."""

    set_aside: str
    problem: str


def open_database(folder: Path) -> tuple[sqlite3.Connection, Replaced | None]:
    """The connection for the writer thread, and what had to be replaced, if anything.

    raises sqlite3.OperationalError   the folder cannot be written or the disk is full
    raises ConfigError                the file was written by a newer version: it is sound, so it stays where it is
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE_NAME
    problem = damage(path)
    if problem is None:
        return _connect(path), None
    set_aside = _set_aside(path)
    return _connect(path), Replaced(set_aside, problem)


def damage(path: Path) -> str | None:
    """What is wrong with the file, in SQLite's words; None for a sound or an absent one."""
    if not path.exists():
        return None
    connection = sqlite3.connect(path)
    try:
        rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        if rows != ["ok"]:
            return "; ".join(rows)[:900]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise ConfigError(f"{path} was written by a newer lineside (schema {version}, this one knows {SCHEMA_VERSION})")
        if version == SCHEMA_VERSION:
            connection.execute("SELECT count(*) FROM tally").fetchone()
    except sqlite3.DatabaseError as exc:
        if isinstance(exc, sqlite3.OperationalError) and "no such table" not in str(exc):
            raise
        return str(exc)
    finally:
        connection.close()
    return None


def _set_aside(path: Path) -> str:
    """Rename the file with its WAL; the name says when."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    name = f"{path.name}.damaged-{stamp}"
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(name + suffix))
    return name


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA cache_size=-4096")
    connection.execute("PRAGMA journal_size_limit=16777216")
    if connection.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
        _migrate(connection)
    return connection


def _migrate(connection: sqlite3.Connection) -> None:
    # Imported only when there is something to do: a start of an up-to-date gateway saves its time and memory.
    from sqlite_utils import Database, Migrations

    migrations = Migrations("lineside.outbox")

    @migrations()
    def m001_first_release(db: Database) -> None:
        for statement in statements((files("gateway.outbox") / "schema.sql").read_text(encoding="utf-8")):
            db.execute(statement)
        db.execute("PRAGMA user_version=1")

    migrations.apply(Database(connection))


def statements(script: str) -> list[str]:
    """A script as single statements: `executescript` would commit the migration's transaction half way.

    >>> statements("CREATE TABLE a (x); CREATE TABLE b (y); -- not; a third")
    ['CREATE TABLE a (x);', ' CREATE TABLE b (y);']
    """
    found, begun = [], ""
    for piece in script.split(";")[:-1]:
        begun += piece + ";"
        if sqlite3.complete_statement(begun):
            found.append(begun)
            begun = ""
    return found
