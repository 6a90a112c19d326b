"""Who changed what, in a chain: each line carries a hash over the one before it and itself. Plain functions of a connection.

What the chain cannot show by itself, that its end was cut off, a file beside the outbox shows: see audit_head.py.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

MOST = 100_000
"""The newest lines that are kept; more are removed together, `SLACK` of them."""
SLACK = 1_000
GENESIS = sha256(b"lineside audit").digest()
"""What stands before the first line."""
SHORTENED, ACCEPTED = "audit shortened", "audit accepted"
"""Lines the chain may begin behind: `name` is the number of the line before its first, `after` that one's hash."""
COLUMNS = ("number", "at_ns", "who", "what", "name", "before", "after")
_COLUMNS = ", ".join(COLUMNS)


class Line(NamedTuple):
    """A row without its hash."""

    number: int
    at_ns: int
    who: str
    what: str
    name: str
    before: str
    after: str

    def hash(self, previous: bytes) -> bytes:
        """SHA-256 over the hash before it and the line as JSON."""
        return sha256(previous + json.dumps(self, separators=(",", ":")).encode()).digest()


class Bad(NamedTuple):
    """The first line that is not as it was written, or not there."""

    number: int
    why: str

    def __str__(self) -> str:
        return f"line {self.number} {self.why}"


def audit(connection: sqlite3.Connection, *, who: str, what: str, name: str, before: str, after: str, now_ns: int) -> None:
    """Who changed what. In a transaction that has begun: two writers must not both follow one line."""
    number, previous = last(connection)
    _insert(connection, Line(number + 1, now_ns, *map(_text, (who, what, name, before, after))), previous)


def _text(said: str) -> str:
    """What the file can hold: a path may be no UTF-8."""
    return said.encode("utf-8", "backslashreplace").decode()


def _insert(connection: sqlite3.Connection, line: Line, previous: bytes) -> bytes:
    found = line.hash(previous)
    connection.execute(f"INSERT INTO audit ({_COLUMNS}, hash) VALUES (?,?,?,?,?,?,?,?)", (*line, found))
    return found


def last(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """Number and hash of the newest line."""
    row = connection.execute("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1").fetchone()
    return (int(row[0]), bytes(row[1])) if row else (0, GENESIS)


def hash_of(connection: sqlite3.Connection, number: int) -> bytes | None:
    """None: there is no such line."""
    row = connection.execute("SELECT hash FROM audit WHERE number=?", (number,)).fetchone()
    return bytes(row[0]) if row else None


def lines(connection: sqlite3.Connection) -> Iterator[tuple[Line, bytes]]:
    """All of them, with their hashes, the oldest first."""
    for *row, found in connection.execute(f"SELECT {_COLUMNS}, hash FROM audit ORDER BY number"):
        yield Line(*row), bytes(found)


def newest(connection: sqlite3.Connection, limit: int) -> list[Line]:
    """The latest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY number DESC LIMIT ?", (limit,))
    return [Line(*row) for row in rows]


def shorten(connection: sqlite3.Connection, now_ns: int) -> None:
    """Forget the oldest when there are too many; a line of the chain itself says where it begins now."""
    first = connection.execute("SELECT min(number) FROM audit").fetchone()[0]
    newest, _ = last(connection)
    if first is None or newest - first < MOST + SLACK:
        return
    cut = newest - MOST
    found = hash_of(connection, cut) or b""
    audit(connection, who="the gateway", what=SHORTENED, name=str(cut), before="", after=found.hex(), now_ns=now_ns)
    connection.execute("DELETE FROM audit WHERE number <= ?", (cut,))


def rechain(connection: sqlite3.Connection) -> None:
    """Lines of a version that had no chain get one, and numbers without gaps."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM audit ORDER BY number").fetchall()
    connection.execute("DELETE FROM audit")
    previous = GENESIS
    for number, row in enumerate(rows, 1):
        previous = _insert(connection, Line(number, *row[1:]), previous)


def verify(connection: sqlite3.Connection, accepted: int = 0) -> Bad | None:
    """Recompute the chain. None: every line is as it was written, none is missing between them.

    accepted   number of the line with which somebody accepted what was before it, see `ACCEPTED`; 0: none
    """
    expected, previous = _begin(connection, accepted)
    begun = expected
    for line, found in lines(connection):
        if line.number < begun and accepted:
            continue
        if line.number < expected:
            return Bad(line.number, "stands before the beginning of the chain: it was put in")
        if line.number > expected:
            return Bad(expected, "is missing")
        if line.hash(previous) != found:
            return Bad(line.number, "is not what was written, or not where")
        expected, previous = expected + 1, found
    return None


def _begin(connection: sqlite3.Connection, accepted: int) -> tuple[int, bytes]:
    """Number of the first line, and the hash before it.

    A shortened chain keeps `MOST` lines, no fewer: else whoever can write a line could have the oldest forgotten.
    """
    anchors = connection.execute(f"SELECT {_COLUMNS} FROM audit WHERE what IN (?, ?) ORDER BY number DESC", (SHORTENED, ACCEPTED))
    for line in (Line(*row) for row in anchors):
        if not line.name.isdecimal() or (line.what == ACCEPTED and line.number != accepted):
            continue
        cut = int(line.name)
        if line.what == ACCEPTED or line.number - 1 - cut == MOST:
            return cut + 1, _hash(line.after)
    return 1, GENESIS


def _hash(text: str) -> bytes:
    """What is none fits nothing."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
