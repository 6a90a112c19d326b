"""The scoreboard's rows: what is to be survived, and the functions that try it."""

from __future__ import annotations

import importlib
import os
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from rig.run import Run

Body: TypeAlias = Callable[["Run"], Awaitable[None]]
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
ROWS: dict[str, Row] = {}


@dataclass(frozen=True)
class Row:
    """One fault, tried on `lineside run` as a process.

    key       number, and a letter where a number has several functions: ``20``, ``20b``
    fault     what is done to it
    expected  what has to hold
    kind      C: `make faults`; N: only `make faults-night`
    count     how often with `make faults`; `night`: how often with `make faults-night`
    ci        a part of what CI runs
    limit     seconds a whole run may take, with `count`; the row fails when it takes longer
    needs     programs it cannot do without, and `root`
    """

    key: str
    fault: str
    expected: str
    kind: str
    count: int
    night: int
    ci: bool
    limit: float
    needs: tuple[str, ...]
    body: Body

    @property
    def number(self) -> int:
        return int(self.key.rstrip("abcdefghijklmnopqrstuvwxyz"))

    def missing(self) -> str:
        """Why it cannot run here; empty: it can."""
        gone = [name for name in self.needs if name != "root" and not shutil.which(name, path=PATH)]
        if "root" in self.needs and os.geteuid() != 0:
            return "needs root"
        return f"{', '.join(gone)} missing (make faults-setup)" if gone else ""


def row(
    key: int | str,
    fault: str,
    *,
    expected: str,
    kind: str = "C",
    count: int = 1,
    night: int = 0,
    ci: bool = True,
    limit: float = 300.0,
    needs: tuple[str, ...] = (),
) -> Callable[[Body], Body]:
    """Declares a row; see `Row`. `night` 0: as `count`."""

    def declare(body: Body) -> Body:
        assert str(key) not in ROWS, f"row {key} is declared twice"
        ROWS[str(key)] = Row(str(key), fault, expected, kind, count, night or count, ci and kind == "C", limit, needs, body)
        return body

    return declare


def load() -> list[Row]:
    """Every row below rows/, by number."""
    for path in sorted((Path(__file__).parents[1] / "rows").glob("*.py")):
        importlib.import_module(f"rows.{path.stem}")
    return sorted(ROWS.values(), key=lambda each: (each.number, each.key))
