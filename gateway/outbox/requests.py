"""What somebody asked the gateway to do with what a watch has learnt, or with a destination. Plain functions of a connection."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from gateway.outbox.audit import audit

BEGUN = "begun"
TRY = "try"
MOST = 10_000
"""The newest that are kept."""


class Request(NamedTuple):
    """A row.

    what      forget, adopt, undo; try: ask a destination now
    watch     empty: every one that looks at the machine; undo: the one whose state of before is to come back
    machine   try: the destination
    tags      pattern; empty: the machine as a whole
    done_ns   0: not yet
    answer    what was done, or why not
    """

    number: int
    what: str
    watch: str
    machine: str
    tags: str
    who: str
    why: str
    at_ns: int
    done_ns: int = 0
    answer: str = ""

    @property
    def name(self) -> str:
        """What it is about."""
        return f"{self.machine}/{self.tags}" if self.tags else self.machine or self.watch


_COLUMNS = ", ".join(Request._fields)


def add(connection: sqlite3.Connection, request: Request) -> int:
    """Returns its number."""
    columns, values = Request._fields[1:], request[1:]
    marks = ",".join("?" * len(values))
    row = connection.execute(f"INSERT INTO request ({', '.join(columns)}) VALUES ({marks})", values)
    connection.execute("DELETE FROM request WHERE number <= ?", ((row.lastrowid or 0) - MOST,))
    return row.lastrowid or 0


def pending(connection: sqlite3.Connection) -> list[Request]:
    """Those nobody has answered, in their order."""
    return [Request(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM request WHERE done_ns=0 ORDER BY number")]


def one(connection: sqlite3.Connection, number: int) -> Request | None:
    row = connection.execute(f"SELECT {_COLUMNS} FROM request WHERE number=?", (number,)).fetchone()
    return Request(*row) if row else None


def begin(connection: sqlite3.Connection, request: Request) -> None:
    """Somebody does it now. If that ends the gateway, the next start must not do it again and again."""
    connection.execute("UPDATE request SET answer=? WHERE number=? AND done_ns=0", (BEGUN, request.number))


def answer(connection: sqlite3.Connection, request: Request, text: str, now_ns: int) -> None:
    """It is answered, with a line in the audit. Done twice it does nothing more."""
    if connection.execute("UPDATE request SET done_ns=?, answer=? WHERE number=? AND done_ns=0", (now_ns, text, request.number)).rowcount:
        what = f"{request.what}: {request.why}" if request.why else request.what
        audit(connection, who=request.who, what=what, name=request.name, before="", after=text, now_ns=now_ns)
