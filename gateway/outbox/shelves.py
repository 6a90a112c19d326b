"""Shelves in the outbox's file (ISA-18.2): conditions nobody is told of for a while. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from fnmatch import fnmatchcase
from typing import NamedTuple

from gateway.contract import Severity
from gateway.contract.options import seconds
from gateway.outbox.audit import audit

_LONGEST_SECONDS = 7 * 86_400.0
_LONGEST_NS = int(_LONGEST_SECONDS * 1e9)
MOST = 500
"""At a time."""


def lasting(text: str) -> float:
    """Seconds; raises ValueError, in words for who wished it."""
    found = seconds(text)
    assert isinstance(found, float)  # noqa: S101  a text becomes a number or an error
    if found <= 0:
        raise ValueError("longer than nothing, for example 8h; a shelf that is to end now is unshelved")
    if found > _LONGEST_SECONDS:
        raise ValueError(f"at most {_LONGEST_SECONDS / 86_400:g}d; what nobody wants for longer is changed in the file")
    return found


class Shelf(NamedTuple):
    """`machine` and `condition` are patterns; `critical`: it holds also what is critical."""

    number: int
    machine: str
    condition: str
    critical: bool
    since_ns: int
    until_ns: int
    who: str
    why: str

    def covers(self, machine: str, condition: str, severity: int) -> bool:
        """While it lasts."""
        return (
            (self.critical or severity < Severity.CRITICAL)
            and fnmatchcase(machine, self.machine)
            and fnmatchcase(condition, self.condition)
        )

    @property
    def name(self) -> str:
        return f"{self.machine}/{self.condition}"


def add(connection: sqlite3.Connection, shelf: Shelf) -> Shelf:
    """Its number is given here."""
    values = shelf[1:]
    columns = ", ".join(Shelf._fields[1:])
    number = connection.execute(f"INSERT INTO shelf ({columns}) VALUES (?,?,?,?,?,?,?)", values).lastrowid
    return shelf._replace(number=number or 0)


def those(connection: sqlite3.Connection, now_ns: int) -> list[Shelf]:
    """That are not over, the one that ends first first. One that would end later than any may (a clock was set back) is over."""
    return [shelf for shelf in _all(connection) if now_ns < shelf.until_ns <= now_ns + _LONGEST_NS]


def expire(connection: sqlite3.Connection, now_ns: int) -> list[Shelf]:
    """Take away those that are over, with a line in the audit; returns them."""
    here = those(connection, now_ns)
    over = [shelf for shelf in _all(connection) if shelf not in here]
    for shelf in over:
        remove(connection, shelf, who="the gateway", what="shelf expired", now_ns=now_ns)
    return over


def _all(connection: sqlite3.Connection) -> list[Shelf]:
    rows = connection.execute(f"SELECT {', '.join(Shelf._fields)} FROM shelf ORDER BY until_ns, number")
    return [Shelf(number, machine, condition, bool(critical), *rest) for number, machine, condition, critical, *rest in rows]


def remove(connection: sqlite3.Connection, shelf: Shelf, *, who: str, what: str, now_ns: int) -> None:
    connection.execute("DELETE FROM shelf WHERE number=?", (shelf.number,))
    audit(connection, who=who, what=what, name=shelf.name, before=f"shelf {shelf.number}", after="", now_ns=now_ns)
