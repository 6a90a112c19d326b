"""Opens the outbox file: checks it, salvages what a damaged one holds, brings the schema up to date."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from gateway.contract import ConfigError
from gateway.outbox import tally
from gateway.outbox.migrate import SCHEMA_VERSION, migrate
from gateway.outbox.rows import COLUMNS, fetch
from gateway.outbox.salvage import Salvage, salvage

FILE_NAME = "outbox.db"
CHECK_SECONDS = 0.5
"""How long the start looks; the rest is looked at while the gateway runs, see `Outbox.check`."""
_SUFFIXES = ("", "-wal", "-shm")
_LOOK_SECONDS = 0.02
_READ = (
    "SELECT destination, lane, seq, severity, attempts, tried, reason, kept FROM delivery LIMIT 1",
    "SELECT destination, seq, kind, at_ns, attempts, code, reason, replaced_by FROM dead_letter LIMIT 1",
    "SELECT destination, what, count FROM tally LIMIT 1",
    "SELECT destination, since_ns FROM breaker LIMIT 1",
)
_READ_CHECKED = (
    f"SELECT {COLUMNS}, copies FROM event LIMIT 1",
    "SELECT id, machine, condition, state, since_ns, raised_ns, changed_ns, crc FROM incident LIMIT 1",
)
"""A flipped bit in the schema renames a column, which SQLite finds nothing wrong with. Of a row with a checksum, text that is none is no
damage of the file: it is set aside alone.
"""
_DAMAGE = ("no such table", "no such column", "Could not decode")
"""Said of a file that is damaged, but as if the statement were wrong."""
_STRAYS = "SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq=d.seq)"


class Replaced:
    """A damaged file was set aside.

    set_aside   its new name
    problem     in SQLite's words
    salvage     what of it was taken over
    """

    def __init__(self, set_aside: str, problem: str, salvage: Salvage) -> None:
        self.set_aside, self.problem, self.salvage = set_aside, problem, salvage


def open_database(folder: Path, destinations: Sequence[str] = (), now_ns: int = 0) -> tuple[sqlite3.Connection, Replaced | None]:
    """The connection for the writer thread, and what had to be replaced, if anything.

    destinations   of the configuration: an event of a damaged file goes to all of them when nobody knows any more who waited
    raises sqlite3.OperationalError   the folder cannot be written or the disk is full
    raises ConfigError                the file was written by a newer version: it is sound, so it stays where it is
    """
    folder.mkdir(parents=True, exist_ok=True)
    path, rescued = folder / FILE_NAME, folder / f"{FILE_NAME}.salvaged"
    for suffix in ("", "-wal"):  # the run before this one may have ended because the disk failed
        _show_the_disk(path.with_name(path.name + suffix))
    if rescued.exists():  # killed between the renames below: it is complete, and the damaged file may have lost its WAL already
        _set_aside(path)
        rescued.rename(path)
        _sync(folder)
        _suspect(folder).unlink(missing_ok=True)
    problem = suspicion(folder) or damage(path, within(CHECK_SECONDS))
    replaced = None
    if problem is not None and path.exists():
        found = _rescue(path, folder / f"{FILE_NAME}.new", rescued, destinations, now_ns)
        replaced = Replaced(_set_aside(path), problem, found)
        rescued.rename(path)
        _sync(folder)
    _suspect(folder).unlink(missing_ok=True)
    return _connect(path), replaced


def _rescue(path: Path, new: Path, rescued: Path, destinations: Sequence[str], now_ns: int) -> Salvage:
    """A complete new file beside the damaged one. Its name says that it is complete only when it is."""
    for part in (new, rescued):
        for suffix in _SUFFIXES:
            part.with_name(part.name + suffix).unlink(missing_ok=True)
    with closing(_connect(new)) as target:
        found = salvage(path, target, destinations, now_ns)
        target.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    new.rename(rescued)
    _sync(path.parent)
    return found


def within(seconds: float) -> Callable[[], bool]:
    """True as soon as so much time is over."""
    until = time.monotonic() + seconds
    return lambda: time.monotonic() > until


def damage(path: Path, enough: Callable[[], bool] | None = None) -> str | None:
    """What is wrong with the file, in SQLite's words; None for a sound or an absent one, and for what was not seen before `enough`."""
    if not path.exists():
        return None
    with closing(sqlite3.connect(path)) as connection:
        try:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            if version > SCHEMA_VERSION:
                raise ConfigError(f"{path} was written by a newer lineside (schema {version}, this one knows {SCHEMA_VERSION})")
            if version == SCHEMA_VERSION:
                for statement in _READ:
                    connection.execute(statement).fetchone()
                for statement in _READ_CHECKED:
                    fetch(connection, statement)
            return _check(connection, enough)
        except UnicodeDecodeError as exc:  # of SQLite's own words about a schema that is no text any more
            return f"malformed database schema ({exc.reason})"
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError) and not str(exc).startswith(_DAMAGE):
                raise
            return str(exc)


def unbalanced(path: Path) -> str | None:
    """What a flipped bit did to rows that carry no checksum: one that belongs to nobody any more, a count that is wrong; None: nothing.

    A look at every delivery, at one moment of the file.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            connection.execute("BEGIN")
            strays = connection.execute(
                "SELECT count(*) FROM delivery d WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq=d.seq)"
            ).fetchone()
            if strays[0]:
                return f"{strays[0]} deliveries without their event"
            ready, counts = tally.count_ready(connection), tally.backlog(connection)
        except sqlite3.OperationalError as exc:
            return str(exc) if "decode" in str(exc).lower() else None
    wrong = [name for name in {*ready, *counts} if ready[name] != counts.get(name, {}).get("ready", 0)]
    return f"deliveries of {', '.join(sorted(wrong))[:200]} do not add up" if wrong else None


def _check(connection: sqlite3.Connection, enough: Callable[[], bool] | None) -> str | None:
    with _ended_by(connection, enough) if enough else nullcontext():
        try:
            rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        except sqlite3.OperationalError as exc:
            if "interrupt" in str(exc):
                return None
            raise
    return None if rows == ["ok"] else "; ".join(rows)[:900]


@contextmanager
def _ended_by(connection: sqlite3.Connection, enough: Callable[[], bool]) -> Iterator[None]:
    """Interrupts what runs as soon as it is `enough`. From a thread: SQLite looks at all trees of a file in one step, which asks no
    progress handler and takes as long as the disk to read the file.
    """
    done = Event()

    def watch() -> None:
        while not done.wait(_LOOK_SECONDS):
            if enough():
                connection.interrupt()  # again and again: before the statement has begun it says nothing

    watching = Thread(target=watch, name="check ends", daemon=True)
    watching.start()
    try:
        yield
    finally:
        done.set()
        watching.join()  # before the connection is closed


def denied(folder: Path) -> str | None:
    """Which of the outbox's files this process may not write, although the disk would take it."""
    for suffix in _SUFFIXES:
        path = folder / f"{FILE_NAME}{suffix}"
        try:
            os.close(os.open(path, os.O_RDWR))
        except PermissionError:
            return str(path)
        except OSError:
            continue
    return None


def suspicion(folder: Path) -> str | None:
    """What a run before this one found; its file is salvaged even if a short look finds nothing."""
    mark = _suspect(folder)
    return (mark.read_text(encoding="utf-8", errors="replace")[:900] or "damaged") if mark.exists() else None


def suspect(folder: Path, problem: str) -> None:
    """Tell the next start."""
    _suspect(folder).write_text(problem, encoding="utf-8")


def _suspect(folder: Path) -> Path:
    return folder / f"{FILE_NAME}.suspect"


def _set_aside(path: Path) -> str:
    """Rename the file with its WAL; the name says when."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    name = f"{path.name}.damaged-{stamp}"
    for suffix in _SUFFIXES[::-1]:
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(name + suffix))
    return name


def _sync(folder: Path) -> None:
    """Make renames in it last."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    if not path.stat().st_size:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    _configure(connection)
    if connection.execute("PRAGMA user_version").fetchone()[0] < SCHEMA_VERSION:
        migrate(connection)
    return connection


def _configure(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA busy_timeout=5000")
    connection.execute("PRAGMA cache_size=-4096")
    connection.execute("PRAGMA journal_size_limit=16777216")
    connection.execute("PRAGMA wal_autocheckpoint=0")  # the writer does it, because SQLite tells nobody when that fails


def reopen(folder: Path) -> sqlite3.Connection:
    """After a commit that failed: a connection that shows what is on the disk, and has looked at it for a moment.

    raises sqlite3.OperationalError   the disk does not take it yet, or the file is not there (it is never made anew here)
    raises sqlite3.DatabaseError      the file is damaged
    """
    path = folder / FILE_NAME
    for suffix in ("", "-wal"):
        _show_the_disk(path.with_name(path.name + suffix))
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, isolation_level=None, check_same_thread=False)
    try:
        _configure(connection)
        if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA_VERSION:
            raise sqlite3.OperationalError(f"{path.name} is not the file it was")
        connection.execute("BEGIN IMMEDIATE")  # it can be written, too
        connection.execute("ROLLBACK")
        problem = _check(connection, within(CHECK_SECONDS))
        if problem is not None:
            raise sqlite3.DatabaseError(problem)
    except BaseException:
        connection.close()
        raise
    return connection


def _show_the_disk(path: Path) -> None:
    """Write what is unwritten, then forget what the kernel remembers of the file, so that the next look is one at the disk.

    What the kernel could not write it still shows, and a second fsync of it succeeds because there is nothing left to write: a
    transaction that failed is then seen, is taken for stored, and is gone after a power cut. Writing it again to the same place is not
    enough, for ext4 may hold that place for unwritten. Tried in tests/faults/test_eio.py.
    Source: Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020.

    No other connection of this process may be open: closing any descriptor of a file gives up all its locks (fcntl(2)).
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as exc:
        raise sqlite3.OperationalError(f"{path.name} cannot be opened: {exc.strerror}") from exc
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    except OSError as exc:
        raise sqlite3.OperationalError(f"{path.name} cannot be written: {exc.strerror}") from exc
    finally:
        os.close(descriptor)
