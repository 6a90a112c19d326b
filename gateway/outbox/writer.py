"""The one thread that touches the outbox file, with group commit.

Whoever submits within one flush shares its fsync: while one commit waits for the disk, the next group gathers.
Idle, a single operation is committed at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from gateway.outbox.condition import is_passing, means_full

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

GROUP = 256
"""Operations per commit, at most."""
CHECKPOINT_ROWS, CHECKPOINT_COMMITS = 1000, 250
"""Changed, or commits that changed any, until the WAL is copied into the file: at about the size SQLite would choose, four megabytes."""
PAUSE_SECONDS = 0.5
"""Between two attempts to open the file again: many may ask for it."""


class _Entry(NamedTuple):
    operation: Operation[Any]
    future: asyncio.Future[Any]
    alone: bool


_Result = tuple[asyncio.Future[Any], Any, BaseException | None]


class Writer:
    """Runs operations on the connection, many per transaction.

    An operation that raises is undone alone (savepoint) and its future gets the error; the others are committed.
    An error of the file (full, unreadable) or a commit that fails is the error of all of them: *unknown*, never *stored*.
    After such an error the connection is not used again: what it says is in the file need not be on the disk.

    reopen   makes a new connection that tells the truth; raises sqlite3.Error as long as that is impossible
    full     called on the thread when the disk is full: gives up the reserve
    """

    def __init__(
        self, connection: sqlite3.Connection, reopen: Callable[[], sqlite3.Connection], full: Callable[[], object] = lambda: None
    ) -> None:
        self._connection: sqlite3.Connection | None = connection
        self._reopen, self._full = reopen, full
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self.commits = self.reopened = 0
        self.unknown = False
        """Whether the last commit is on the disk: nobody knows until the file is open again."""
        self._noted, self._written = (connection.total_changes, 0), 0
        self._refusal: sqlite3.Error | None = None
        self._refused_at = 0.0
        self._closed = False
        self._thread.start()

    def submit(self, operation: Operation[T], *, alone: bool = False) -> asyncio.Future[T]:
        """Queue `operation`; the future resolves after its transaction is on disk. After `close` it raises RuntimeError.

        alone   outside of any transaction: a look that shares no commit's fate, a PRAGMA
        """
        if self._closed:
            raise RuntimeError("the outbox is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Entry(operation, future, alone))
        return future

    async def close(self) -> None:
        """Finish what is queued, then close the file."""
        self._closed = True
        self._queue.put(None)
        while self._thread.is_alive():  # noqa: ASYNC110  the thread cannot set an asyncio event after the loop's last use
            await asyncio.sleep(0.005)

    def _run(self) -> None:
        closing = False
        while not closing:
            group, closing = self._gather()
            if group:
                self._report(self._serve(group))
        if self._connection is not None:
            self._connection.close()

    def _gather(self) -> tuple[list[_Entry], bool]:
        first = self._queue.get()
        if first is None:
            return [], True
        group = [first]
        while len(group) < GROUP:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
            if entry is None:
                return group, True
            group.append(entry)
        return group, False

    def _serve(self, group: Sequence[_Entry]) -> list[_Result]:
        try:
            connection = self._connected()
        except sqlite3.Error as exc:
            return [(entry.future, None, exc) for entry in group]
        results = [(entry.future, *_look(connection, entry)) for entry in group if entry.alone]
        together = [entry for entry in group if not entry.alone]
        return results + (self._commit(connection, together) if together else [])

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            return self._connection
        if self._refusal is not None and time.monotonic() - self._refused_at < PAUSE_SECONDS:
            raise self._refusal
        try:
            self._connection = self._reopen()
        except sqlite3.Error as exc:
            if means_full(exc):
                self._full()
            self._refusal, self._refused_at = exc, time.monotonic()
            raise
        self._refusal, self.unknown, self._noted = None, False, (0, self._written)
        self.reopened += 1
        return self._connection

    def _commit(self, connection: sqlite3.Connection, group: Sequence[_Entry]) -> list[_Result]:
        committing, before = False, connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            results = [(entry.future, *_attempt(connection, entry.operation)) for entry in group]
            committing = True
            connection.execute("COMMIT")
            self.commits += 1
            self._written += connection.total_changes > before
            self._checkpoint(connection)
        except sqlite3.Error as exc:
            if means_full(exc):
                self._full()
            if committing or not (is_passing(exc) and _rolled_back(connection)):
                self._let_go(connection, unknown=committing)
            return [(entry.future, None, exc) for entry in group]
        return results

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """By ourselves: SQLite's own is silent when the disk fails, and file and memory differ from then on."""
        rows, commits = connection.total_changes - self._noted[0], self._written - self._noted[1]
        if rows < CHECKPOINT_ROWS and commits < CHECKPOINT_COMMITS:
            return
        self._noted = connection.total_changes, self._written
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as exc:
            if not is_passing(exc):  # a full disk is told when the WAL cannot grow any more
                self._let_go(connection, unknown=False)

    def _let_go(self, connection: sqlite3.Connection, *, unknown: bool) -> None:
        """The next group opens the file anew."""
        self.unknown = self.unknown or unknown
        self._connection = None
        with suppress(sqlite3.Error):
            connection.close()

    @staticmethod
    def _report(results: list[_Result]) -> None:
        loop = results[0][0].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, results)


def _look(connection: sqlite3.Connection, entry: _Entry) -> tuple[Any, BaseException | None]:
    if entry.future.done():  # nobody waits for it any more, and after a disk that hung others do
        return None, None
    try:
        return entry.operation(connection), None
    except Exception as exc:  # noqa: BLE001  whoever submitted it gets it; the thread serves the others
        return None, exc


def _attempt(connection: sqlite3.Connection, operation: Operation[Any]) -> tuple[Any, BaseException | None]:
    connection.execute("SAVEPOINT operation")
    try:
        result = operation(connection)
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError) as exc:
        return _undone(connection, exc)
    except sqlite3.Error:
        raise
    except Exception as exc:  # noqa: BLE001  whoever submitted it gets it; the thread serves the others
        return _undone(connection, exc)
    connection.execute("RELEASE operation")
    return result, None


def _undone(connection: sqlite3.Connection, error: Exception) -> tuple[None, Exception]:
    connection.execute("ROLLBACK TO operation")
    connection.execute("RELEASE operation")
    return None, error


def _rolled_back(connection: sqlite3.Connection) -> bool:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        return False
    return True


def _resolve(results: list[_Result]) -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
