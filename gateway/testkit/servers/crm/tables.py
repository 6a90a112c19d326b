"""A table with typed columns: what CRMs refuse a record for, each in its own words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):
    """One record: `why` is one of ``unknown``, ``long``, ``poison``; `column` may be empty."""

    def __init__(self, why: str, column: str = "") -> None:
        super().__init__(f"{why} {column}".strip())
        self.why, self.column = why, column


@dataclass
class Table:
    """Rows by their key.

    columns  name and greatest length of each; None: everything is taken
    poison   keys that are refused for ever
    writes   how often each key was written
    """

    columns: dict[str, int] | None = None
    poison: set[str] = field(default_factory=set)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    writes: dict[str, int] = field(default_factory=dict)

    def check(self, key: str, fields: dict[str, Any]) -> None:
        """Raises Refused."""
        if key in self.poison:
            raise Refused("poison")
        if self.columns is None:
            return
        for name, value in fields.items():
            if name not in self.columns:
                raise Refused("unknown", name)
            if isinstance(value, str) and len(value) > self.columns[name]:
                raise Refused("long", name)

    def upsert(self, key: str, fields: dict[str, Any]) -> bool:
        """Whether it is new; raises Refused, and has changed nothing then."""
        self.check(key, fields)
        new = key not in self.rows
        self.rows[key] = {**self.rows.get(key, {}), **fields}
        self.writes[key] = self.writes.get(key, 0) + 1
        return new
