"""What a row's function is given: dice, a folder, and where to put what it finds."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig.result import Result
from rig.table import Row


class Run:
    """count   how often the fault is to be tried
    dice      the same for the same seed
    folder    of this run, removed when it passed
    """

    def __init__(self, row: Row, *, count: int, seed: int, folder: Path) -> None:
        self.row, self.count, self.folder = row, count, folder
        self.dice = random.Random(seed)
        self.result = Result(row.key, row.fault, row.expected, row.kind, count, seed)

    def check(self, holds: object, otherwise: str) -> bool:
        """What does not hold is a problem of the row, and the row goes on."""
        if not holds and otherwise not in self.result.problems:
            self.result.problems.append(otherwise)
        return bool(holds)

    def note(self, **facts: Any) -> None:
        """Further figures."""
        self.result.facts |= facts

    def recovered(self, seconds: float, within: float) -> None:
        self.result.recovered.append(round(seconds, 3))
        self.check(seconds <= within, f"recovered after {seconds:.1f} s (must: {within:g})")


async def until(condition: Callable[[], object], seconds: float = 30.0, what: str = "") -> float:
    """How long it took; raises AssertionError when it is not so in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() > began + seconds:
            raise AssertionError(f"not within {seconds:g} s: {what or 'what was waited for'}")
        await asyncio.sleep(0.02)
    return time.monotonic() - began
