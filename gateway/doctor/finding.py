"""One thing that is wrong, or that will be."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Weight(StrEnum):
    """An error keeps the gateway from its work or its promises; a warning will, or may."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """what     and what it means; remedy  one line that mends it"""

    weight: Weight
    what: str
    remedy: str


def error(what: str, remedy: str) -> Finding:
    return Finding(Weight.ERROR, what, remedy)


def warning(what: str, remedy: str) -> Finding:
    return Finding(Weight.WARNING, what, remedy)
