"""A row, and a row that is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """`where` it stands, for people: ``line 3`` of a text, ``/2`` in a JSON document."""

    where: str
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that cannot be taken, and why."""

    where: str
    why: str

    def __str__(self) -> str:
        return f"{self.where}: {self.why}" if self.where else self.why


class Unreadable(Exception):
    """From `where` on nothing can be read: not this format, not this encoding."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(str(Refused(where, why)))
