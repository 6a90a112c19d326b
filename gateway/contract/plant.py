"""What every plugin is told of its surroundings: the clock, the machines, their tags and messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.contract.options import Bearing, TagOptions


class Clock(Protocol):
    """The only clock plugins use, so that tests can turn it."""

    def now_ns(self) -> int:
        """Wall time, nanoseconds UTC; may jump."""

    def monotonic(self) -> float:
        """Seconds that never go back; for every timer."""

    async def sleep(self, seconds: float) -> None:
        """At least `seconds` of monotonic time."""


@dataclass(frozen=True, slots=True)
class Tag:
    """One row of the tag table. `options` is the driver's own `TagOptions` subclass."""

    index: int
    machine: str
    name: str
    options: Any = field(default_factory=lambda: TagOptions())

    @property
    def path(self) -> str:
        """``machine/tag``."""
        return f"{self.machine}/{self.name}"


@dataclass(frozen=True, slots=True)
class RecordSpec:
    """One kind of business message of a machine. `options` is the driver's own `RecordOptions` subclass."""

    machine: str
    name: str
    options: Any

    @property
    def path(self) -> str:
        """``machine/record``: what `Record.source` carries."""
        return f"{self.machine}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine as events name it. `path` is area/line/cell, `asset` its id in the CRM."""

    name: str
    path: str = ""
    asset: str = ""
    bearing: Bearing | None = None
