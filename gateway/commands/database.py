"""Opens the outbox's file beside a running gateway, for looking and for changing. It is never created or repaired here."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click

from gateway.outbox import audit_head
from gateway.outbox.database import FILE_NAME
from gateway.outbox.migrate import SCHEMA_VERSION

BUSY_SECONDS = 5.0
_AS_THE_GATEWAY = "run the command as the gateway's user (sudo -u lineside lineside ...)"


class Refused(click.ClickException):
    """It cannot be done; the message says why and what to do. Ends the command with exit code 1."""

    def show(self, file: IO[Any] | None = None) -> None:
        """On standard error, as it is."""
        click.echo(self.message, err=True, file=file)


class Damaged(Refused):
    """The file is no sound database."""


class Older(Refused):
    """The file's schema is of a version before ours."""


@contextmanager
def reading(path: Path, *, snapshot: bool = True) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write.

    snapshot   everything that is read is of one moment; while it lasts, the WAL of a running gateway cannot be taken back
    raises Refused   there is no outbox, it is of another version, it is damaged, or it cannot be read; also for what is raised inside
    """
    _must_exist(path)
    with translated(path), closing(_open_to_read(path)) as connection:
        # What a flipped bit made of a text must not keep the rest from being read; its checksum condemns it.
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        _check_version(connection, path)
        if snapshot:
            connection.execute("BEGIN")
        yield connection


@contextmanager
def writing(path: Path, *, head: bool = True) -> Iterator[sqlite3.Connection]:
    """One transaction on a connection of its own; what is raised inside undoes all of it.

    head   the audit's head follows, as far as it may be written: a gateway that runs does it, too
    raises Refused   as for `reading`, or somebody else has been writing for too long
    """
    _must_exist(path)
    with translated(path), closing(_connect(path, "rw")) as connection:
        _check_version(connection, path)
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN IMMEDIATE")
        try:
            _check_version(connection, path)
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
    if head:
        with suppress(OSError, sqlite3.Error):
            audit_head.advance(path.parent, path)


def stand_back(began: float) -> None:
    """Between two transactions, as long as the last one took since `began` (monotonic), so that a running gateway gets its turn."""
    time.sleep(min(time.monotonic() - began, 1.0))


def outbox_file(state_dir: Path) -> Path:
    return state_dir / FILE_NAME


def destinations(connection: sqlite3.Connection) -> list[str]:
    """Every destination anything is known of, by name. Looks at the ends of the keys, so a million rows cost nothing."""
    found = {row[0] for row in connection.execute("SELECT DISTINCT destination FROM tally")}
    for table in ("delivery", "dead_letter"):
        rows = connection.execute(
            f"WITH RECURSIVE n (name) AS (SELECT min(destination) FROM {table} UNION ALL "
            f"SELECT (SELECT min(destination) FROM {table} WHERE destination > name) FROM n WHERE name IS NOT NULL) "
            "SELECT name FROM n WHERE name IS NOT NULL"
        )
        found |= {row[0] for row in rows}
    return sorted(found)


def chosen(connection: sqlite3.Connection, destination: str | None) -> list[str]:
    """The one that was asked for, or all; raises Refused when it is none that is known."""
    known = destinations(connection)
    if destination is None:
        return known
    if destination not in known:
        names = f"it knows {', '.join(known)}" if known else "nothing was stored yet"
        raise Refused(f"this outbox has no destination {destination!r}; {names}")
    return [destination]


def _open_to_read(path: Path) -> sqlite3.Connection:
    """Reading needs a file for shared memory beside it, which a folder that cannot be written does not allow. When no
    gateway has it open and nothing is in its WAL, it can be read without.
    """
    connection = _connect(path, "ro")
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as exc:
        connection.close()
        wal = path.with_name(path.name + "-wal")
        no_memory = exc.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
        if not no_memory or (wal.exists() and wal.stat().st_size):
            raise
        return _connect(path, "ro&immutable=1")
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=BUSY_SECONDS)


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        knows = f"schema {version}, this one knows {SCHEMA_VERSION}"
        raise Refused(f"{path} was written by a newer lineside ({knows}); use that one, this one refuses to start with it")
    if version < SCHEMA_VERSION:
        if not connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
            raise Refused(f"{path} is empty; the gateway makes an outbox of it when it starts")
        is_older = f"{path} is not of this version (schema {version}, this one knows {SCHEMA_VERSION})"
        raise Older(f"{is_older}; if an older lineside wrote it, start the gateway once: it brings the file up to date")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """SQLite's errors as something to act on."""
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise _refusal(path, str(exc)) from exc
    except sqlite3.DatabaseError as exc:
        raise Damaged(_damaged(path, str(exc))) from exc


def _refusal(path: Path, problem: str) -> Refused:
    if "locked" in problem or "busy" in problem:
        return Refused(f"{path} is busy: somebody else has been writing for {BUSY_SECONDS:g} s; try again")
    if "readonly" in problem:
        return Refused(f"{path} may not be changed by you; {_AS_THE_GATEWAY}")
    if "no such table" in problem or "no such column" in problem:
        return Damaged(_damaged(path, problem))
    if "disk is full" in problem:
        return Refused(f"{path} cannot be written: {problem}; nothing was changed, make room and try again")
    if "unable to open" in problem:
        return Refused(f"{path} cannot be opened: {problem}; {_AS_THE_GATEWAY}")
    return Refused(f"{path} cannot be read: {problem}; lineside outbox check says more")


def _damaged(path: Path, problem: str) -> str:
    return f"{path} is damaged: {problem}; the gateway sets it aside at its next start and takes over what can be read"


def _must_exist(path: Path) -> None:
    try:
        if path.is_dir():
            raise Refused(f"{path} is a folder, no outbox")
        if path.exists():
            return
    except OSError as exc:
        raise Refused(f"{path} cannot be looked at: {exc.strerror}; {_AS_THE_GATEWAY}") from exc
    if path.name == FILE_NAME:
        raise Refused(f"there is no outbox in {path.parent}; name the state folder with --state-dir")
    raise Refused(f"there is no file {path}")
