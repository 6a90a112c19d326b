"""The daemon's own books: what its commands and its file say, asked from outside."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.daemon import command

GIVEN_UP = ("aged", "evicted", "discarded", "damaged", "summarised", "moved")
DEAD = ("parked", "quarantined", "expired")


@dataclass(frozen=True)
class Books:
    """Of one destination, by `lineside outbox stats`.

    balanced   stored = delivered + waiting + dead letters + given up, each counted from the rows
    """

    counts: dict[str, int]
    balanced: bool

    @property
    def stored(self) -> int:
        return self.counts.get("stored", 0)

    @property
    def delivered(self) -> int:
        return self.counts.get("delivered", 0)

    @property
    def kept(self) -> int:
        """Neither delivered nor lost: it waits, or is a dead letter."""
        return sum(self.counts.get(name, 0) for name in ("ready", *DEAD))

    @property
    def given_up(self) -> int:
        return sum(self.counts.get(name, 0) for name in GIVEN_UP)


async def books(state: Path, destination: str = "crm") -> Books:
    """Raises AssertionError when the command fails."""
    code, said = await command("outbox", "stats", "--json", "--state-dir", str(state))
    last = said.strip().rpartition("\n")[2]
    assert last.startswith("{"), f"lineside outbox stats: exit code {code}: {said[-500:]}"
    found = json.loads(last)
    counts = {name: int(count) for name, count in found["destinations"].get(destination, {}).items() if isinstance(count, int)}
    return Books(counts, code == 0 and bool(found["balanced"]))


async def ledger(state: Path) -> dict[str, Any]:
    """`lineside ledger --json`, since ever."""
    code, said = await command("ledger", "--since", "all", "--json", "--state-dir", str(state))
    assert code == 0, f"lineside ledger: exit code {code}: {said[-500:]}"
    found: dict[str, Any] = json.loads(said)
    return found


def ask(state: Path, statement: str) -> list[tuple[Any, ...]]:
    """Read beside the running gateway; an outbox that is not there yet has no rows."""
    file = state / "outbox.db"
    if not file.exists():
        return []
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=10)) as connection:
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError as exc:
            if "no such table" in str(exc):
                return []
            raise


def waiting(state: Path) -> int:
    rows = ask(state, "SELECT count(*) FROM delivery")
    return int(rows[0][0]) if rows else 0
