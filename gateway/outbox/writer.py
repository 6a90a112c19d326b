"""The one thread that touches the outbox file, with group commit.

Whoever submits within one flush shares its fsync: while one commit waits for the disk, the next group gathers.
Idle, a single operation is committed at once.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Operation = Callable[[sqlite3.Connection], T]

log = logging.getLogger("lineside")
GROUP = 256
"""Operations per commit, at most."""


class Writer:
    """Runs operations on the connection, many per transaction.

    An operation that raises is undone alone (savepoint) and its future gets the error; the others are committed.
    An error of the file (full, unreadable) or a commit that fails is the error of all of them: *unknown*, never *stored*.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: SimpleQueue[tuple[Operation[Any], asyncio.Future[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self.commits = 0
        self._closed = False
        self._thread.start()

    def submit(self, operation: Operation[T]) -> asyncio.Future[T]:
        """Queue `operation`; the future resolves after its transaction is on disk. After `close` it raises RuntimeError."""
        if self._closed:
            raise RuntimeError("the outbox is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put((operation, future))
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
                self._commit(group)
        self._connection.close()

    def _gather(self) -> tuple[list[tuple[Operation[Any], asyncio.Future[Any]]], bool]:
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

    def _commit(self, group: list[tuple[Operation[Any], asyncio.Future[Any]]]) -> None:
        results: list[tuple[asyncio.Future[Any], Any, BaseException | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for operation, future in group:
                results.append((future, *self._attempt(operation)))
            self._connection.execute("COMMIT")
            self.commits += 1
        except sqlite3.Error as exc:
            self._rollback()
            results = [(future, None, exc) for _, future in group]
        self._report(results)

    def _attempt(self, operation: Operation[Any]) -> tuple[Any, BaseException | None]:
        self._connection.execute("SAVEPOINT operation")
        try:
            result = operation(self._connection)
        except (sqlite3.IntegrityError, sqlite3.ProgrammingError) as exc:
            return self._undone(exc)
        except sqlite3.Error:
            raise
        except Exception as exc:  # noqa: BLE001  whoever submitted it gets it; the thread serves the others
            return self._undone(exc)
        self._connection.execute("RELEASE operation")
        return result, None

    def _undone(self, error: Exception) -> tuple[None, Exception]:
        self._connection.execute("ROLLBACK TO operation")
        self._connection.execute("RELEASE operation")
        return None, error

    def _rollback(self) -> None:
        """A disk that refuses this too is asked again by the next group, whose BEGIN fails then; the thread must live."""
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")

    @staticmethod
    def _report(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
        loop = results[0][0].get_loop()
        if not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, results)


def _resolve(results: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for future, result, error in results:
        if future.done():
            continue
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)
