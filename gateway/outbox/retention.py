"""The caps of the outbox: bytes, free disk and age. What is sacrificed is declared, counted and written into the ledger.

Order of sacrifice: what is kept of incidents that are over (it is only shown, while an event still has to arrive); dead letters
nobody has to decide on (expired, damaged, or replaced by a correction); then the lowest severity first, oldest first; parked dead
letters before critical events. Never the waiting end of an incident whose opening was sent: a case that nobody closes is worse
than one that came late. Nor what is being sent: it may have arrived. When an opening goes, what waits of its incident goes with it,
so its turn is that of the worst of these.

It is done in steps of one transaction each, which look at a window of the sequence or give up a handful of events: whoever has an
event to store waits for a step, not for a walk through a million rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage
from types import MappingProxyType

from gateway.outbox.ages import Shifts
from gateway.outbox.incidents import forget_oldest
from gateway.outbox.sacrifice import Row, give_up, in_order, too_old

_INCIDENTS = 500
_SLACK_BYTES = 64 << 20
WAL_BYTES = 16 << 20
"""What SQLite cuts the WAL back to after a checkpoint (`journal_size_limit`)."""
LEAST_BYTES = 2 * WAL_BYTES
"""What the outbox may have while there is any: as much again as the WAL, or a long WAL would leave no room for events."""
ROOM_BYTES = 8 << 20
"""Pages of a file that may not grow, to be free for what comes until the next pass: 500 events of 16 kB."""

UnderWay = Mapping[str, Set[int]]
NOTHING: UnderWay = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Caps:
    """max_bytes counts the WAL too; min_free_bytes is of the disk the file lies on; keep_ns is the age that is given up, see ages.py."""

    max_bytes: int
    min_free_bytes: int
    keep_ns: int
    shifts: Shifts = ()


def used_bytes(connection: sqlite3.Connection) -> int:
    """Bytes of pages in use and of the WAL. Free pages do not count: they are used again before the file grows."""
    return _page_bytes(connection) + wal_bytes(connection)


def _page_bytes(connection: sqlite3.Connection) -> int:
    return _pages(connection)[0]


def _pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Bytes of pages in use, and of free ones."""
    size, count, free = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in ("page_size", "page_count", "freelist_count"))
    return size * (count - free), size * free


def wal_bytes(connection: sqlite3.Connection) -> int:
    """Of the file beside."""
    path = file_of(connection)
    wal = path.with_name(path.name + "-wal")
    return wal.stat().st_size if wal.exists() else 0


def file_of(connection: sqlite3.Connection) -> Path:
    """Where the database lies; the current folder for one in memory, which has no size to speak of."""
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])


def allowed_bytes(connection: sqlite3.Connection, caps: Caps) -> int:
    """The cap, or what is there now as soon as the disk has less free than it must have: the file may not grow then.

    Giving up events makes pages free, but no disk. So what others have taken of the disk is not paid for with events: a few go, so
    that what is new has room in the file. And free pages count as taken, or they would be paid for again and again.
    """
    if not caps.min_free_bytes:
        return caps.max_bytes
    free = disk_usage(file_of(connection).parent).free
    missing = caps.min_free_bytes - free
    if missing <= 0:
        return caps.max_bytes
    taken = sum(_pages(connection)) + wal_bytes(connection)
    return min(caps.max_bytes, max(min(LEAST_BYTES, taken + free), taken - min(missing, ROOM_BYTES)))


class Enforcement:
    """One pass, step by step: called with the writer's connection, in a transaction each, until it returns None.

    under_way   sequences that each destination is being sent, as they are at each step; they stay
    """

    def __init__(self, caps: Caps, now_ns: int, under_way: UnderWay = NOTHING) -> None:
        self._caps, self._now_ns, self._under_way = caps, now_ns, under_way
        self._steps: Iterator[int] | None = None

    def __call__(self, connection: sqlite3.Connection) -> int | None:
        """The number of deliveries given up in this step; None: nothing is left to do."""
        if self._steps is None:
            self._steps = _steps(connection, self._caps, self._now_ns, self._under_way)
        try:
            return next(self._steps, None)
        except sqlite3.Error:
            self._steps = None  # what it did is undone: from the beginning
            raise


def enforce(connection: sqlite3.Connection, caps: Caps, now_ns: int) -> int:
    """A whole pass at once; returns the number of deliveries given up."""
    return sum(_steps(connection, caps, now_ns, NOTHING))


def _steps(connection: sqlite3.Connection, caps: Caps, now_ns: int, under_way: UnderWay) -> Iterator[int]:
    def go(table: str, what: str, reason: str, rows: list[Row]) -> int:
        left = [row for row in rows if table == "dead_letter" or row.seq not in under_way.get(row.destination, ())]
        return give_up(connection, table, what, reason, left, now_ns)

    for table, rows in too_old(connection, now_ns - caps.keep_ns, caps.shifts):
        yield go(table, "aged", "expired: older than keep_events_days", rows)
    allowed = allowed_bytes(connection, caps)
    reason = f"evicted: {'max' if allowed == caps.max_bytes else 'min_free'}_megabytes"
    # Deleting makes the WAL longer, and a reader keeps it from being reset: neither may be paid for with more events. So it counts
    # as it is now, and no more than it is cut back to once nobody reads.
    allowed -= min(wal_bytes(connection), WAL_BYTES)
    while _page_bytes(connection) > allowed and forget_oldest(connection, _INCIDENTS):
        yield 0
    sacrifices = in_order(connection)
    while _page_bytes(connection) > allowed and (found := next(sacrifices, None)) is not None:
        table, rows = found
        yield go(table, "evicted", reason, rows)


def give_back(connection: sqlite3.Connection) -> None:
    """Return a little of a large unused rest of the file to the disk; a small one is kept for the next outage. And the memory of
    pages that nobody has asked for again: what is written once and hardly read would fill the cache in weeks, and pass for a leak.
    """
    connection.execute("PRAGMA shrink_memory")
    page_size, free = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_size", "freelist_count"))
    surplus = int(free) - _SLACK_BYTES // int(page_size)
    if surplus > 0:
        connection.execute(f"PRAGMA incremental_vacuum({min(surplus, 4096)})").fetchall()
