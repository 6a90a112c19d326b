"""How far the audit's chain had come, in a file beside the outbox: without it nobody would see that its end was cut off.

The file follows the chain, never the other way round: it is written after the lines are on disk, so a crash leaves it behind
them, and it does not move on from a line that is not there any more.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from gateway.durable import write
from gateway.outbox.audit import Bad, hash_of, last

NAME = "audit.head"
_NOTE = "audit_head"
"""In the outbox: there was a head once, so that one who removes the file does not get a new one."""


@dataclass(frozen=True)
class Head:
    """Number and hash of the newest line; `accepted`: of the line that accepted a broken chain, 0: none."""

    number: int
    hash: str
    accepted: int = 0


def read(folder: Path) -> Head | None:
    """None: there is none. A file that is no head is one that matches nothing."""
    try:
        return msgspec.json.decode((folder / NAME).read_bytes(), type=Head)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Head(1 << 62, "")


def compare(connection: sqlite3.Connection, head: Head | None) -> Bad | None:
    """None: the chain goes on from where the head is."""
    number, _ = last(connection)
    if head is None:
        return Bad(number, f"has no head: {NAME} is gone") if known(connection) else None
    if head.number > number:
        return Bad(number + 1, f"and what came after it is missing: {NAME} knows {head.number} lines")
    if head.number and (found := hash_of(connection, head.number)) is not None and found.hex() != head.hash:
        return Bad(head.number, f"is not the one {NAME} knows")
    return None


def known(connection: sqlite3.Connection) -> bool:
    """There was a head."""
    return connection.execute("SELECT 1 FROM note WHERE name=?", (_NOTE,)).fetchone() is not None


def remember(connection: sqlite3.Connection) -> None:
    """That there is one."""
    connection.execute("INSERT OR IGNORE INTO note (name, value) VALUES (?, '')", (_NOTE,))


def advance(folder: Path, outbox: Path) -> Bad | None:
    """Move on to the newest line that is on disk; what is wrong leaves the file as it is, for `lineside audit verify`.

    raises OSError, sqlite3.Error
    """
    with closing(sqlite3.connect(f"{outbox.resolve().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
        connection.execute("BEGIN")
        head = read(folder)
        if (bad := compare(connection, head)) is not None:
            return bad
        number, found = last(connection)
    if head is None or head.number < number:
        keep(folder, Head(number, found.hex(), head.accepted if head else 0))
    return None


def keep(folder: Path, head: Head) -> None:
    write(folder / NAME, json.dumps(asdict(head)).encode())
