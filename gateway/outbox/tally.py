"""The conservation law, per destination, and the counts it is made of. Plain functions of a connection.

stored = delivered + ready + parked + quarantined + expired + aged + evicted + discarded + summarised + moved + damaged
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import IntEnum

from gateway.contract import Severity

TALLIED = ("stored", "delivered", "aged", "evicted", "discarded", "summarised", "moved", "damaged")
"""Since the outbox was created; these only grow. aged: too old, evicted: no room, discarded: by hand, summarised: over the budget,
moved: to the fallback, damaged: not readable in a damaged file."""
LOST = ("aged", "evicted", "discarded", "damaged")
"""Of these, what nobody gets any more."""
WAITING = ("ready", "parked", "quarantined", "expired")
"""Now."""


class Lane(IntEnum):
    """Which way a delivery takes. Within a lane, order is that of `seq`."""

    URGENT = 0  # critical: overtakes, and takes what waits of its own incident along
    ORDERED = 1
    ASIDE = 2  # its machine is set aside, and its turn has come meanwhile


_URGENT, _ORDERED, _CRITICAL = Lane.URGENT, Lane.ORDERED, int(Severity.CRITICAL)


def lane_of(severity: int) -> Lane:
    """Where an event of that severity belongs."""
    return _URGENT if severity >= _CRITICAL else _ORDERED


class Kind(IntEnum):
    """Why a dead letter is one."""

    PARKED = 1  # the receiver refuses it for what it is
    QUARANTINED = 2  # damaged on disk
    EXPIRED = 3  # older than the destination wants


LANES = "(0,1,2)"
_CONFIGURED = "destinations"


def add(connection: sqlite3.Connection, what: str, counts: Mapping[str, int]) -> None:
    """`counts` by destination."""
    connection.executemany(
        "INSERT INTO tally VALUES (?,?,?) ON CONFLICT (destination, what) DO UPDATE SET count = count + excluded.count",
        [(destination, what, count) for destination, count in counts.items() if count],
    )


def destinations(connection: sqlite3.Connection) -> list[str]:
    """Every destination an event was ever stored for."""
    return [row[0] for row in connection.execute("SELECT destination FROM tally WHERE what='stored'")]


def backlog(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """By destination, all of `TALLIED` and `WAITING`.

    `ready` follows from the law, so that a million waiting rows need not be counted.
    """
    found: dict[str, dict[str, int]] = {}
    for destination, what, count in connection.execute("SELECT destination, what, count FROM tally"):
        found.setdefault(destination, dict.fromkeys((*TALLIED, *WAITING), 0))[what] = count
    for destination, counts in found.items():
        rows = connection.execute("SELECT kind, count(*) FROM dead_letter WHERE destination=? GROUP BY kind", (destination,))
        counts |= {Kind(kind).name.lower(): count for kind, count in rows}
        counts["ready"] = counts["stored"] - sum(counts[name] for name in (*TALLIED[1:], *WAITING[1:]))
    return found


def orphaned(connection: sqlite3.Connection, configured: Iterable[str]) -> dict[str, int]:
    """What waits for destinations that are not configured any more, by name."""
    found = backlog(connection)
    return {name: counts["ready"] for name, counts in found.items() if counts["ready"] and name not in set(configured)}


def configured(connection: sqlite3.Connection) -> list[str] | None:
    """Destinations of the configuration the gateway last ran with, by name; None: nobody knows."""
    row = connection.execute("SELECT value FROM note WHERE name=?", (_CONFIGURED,)).fetchone()
    try:
        found = json.loads(row[0]) if row else None
    except ValueError:  # a flipped bit: no note has a checksum, and the gateway writes it anew
        return None
    return found if isinstance(found, list) else None


def note_configured(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """For commands beside the gateway, which know no configuration."""
    connection.execute("INSERT OR REPLACE INTO note VALUES (?,?)", (_CONFIGURED, json.dumps(sorted(names))))


def count_ready(connection: sqlite3.Connection) -> Counter[str]:
    """The rows themselves: what `ready` must be."""
    return Counter(dict(connection.execute("SELECT destination, count(*) FROM delivery GROUP BY destination").fetchall()))


def oldest_recorded_ns(connection: sqlite3.Connection) -> int | None:
    """When the oldest waiting event was written; what is only kept as a dead letter does not wait."""
    row = connection.execute(
        "SELECT recorded_ns FROM event WHERE seq = (SELECT min(seq) FROM ("
        "SELECT (SELECT seq FROM delivery d WHERE d.destination=t.destination AND d.lane=l.value ORDER BY seq LIMIT 1) AS seq "
        f"FROM tally t, json_each('{list(map(int, Lane))}') l WHERE t.what='stored'))"
    ).fetchone()
    return row[0] if row else None
