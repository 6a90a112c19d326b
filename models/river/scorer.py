"""How a model of river's gives a row a number; what is made of the number is not its affair."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Protocol, TypeVar

import numpy as np

from models.river.config import RiverOptions
from models.river.member import Floats

T = TypeVar("T")
_HIGHEST = 1e12
_RUN_AWAY = 1e100
_FORGET_ROWS = 300


class Diverged(Exception):
    """The model's numbers have run away: a value is not finite, or its arithmetic fails."""


class Scorer(Protocol):
    """One machine's model. Rows are float64[k] in the machine's order of tags, scaled.

    window   rows after which the model forgets everything before, or 1
    """

    window: int

    def score(self, x: Floats) -> float:
        """How unusual the row is, higher is more so; learns nothing. Raises Diverged."""

    def learn(self, x: Floats) -> None:
        """Raises Diverged."""

    def next(self) -> Floats | None:
        """The row that is expected next; None: it does not look ahead, or does not know yet. Raises Diverged."""

    def near(self, x: Floats, rows: int) -> Floats:
        """The last scored row, cut to what it can learn without being led astray when it is in alarm for so many rows."""

    def expected(self) -> Floats | None:
        """What the last scored row was expected to be, NaN = no opinion; None: it expects no values."""

    def strengths(self) -> Floats | None:
        """How far each tag of the last scored row was off, in what is usual for it; None: it does not know of single tags."""


def scorer(options: RiverOptions, names: tuple[str, ...], make: Callable[[], Any]) -> Scorer:
    """Of the kind the options ask for."""
    from models.river.forecasts import Forecasts
    from models.river.regressions import Regressions
    from models.river.rows import Rows

    if options.kind == "time_series":
        return Forecasts(names, make)
    if options.kind == "linear_model":
        return Regressions(names, [options.predict] if options.predict else list(names), make)
    return Rows(names, make)


def tried(ask: Callable[[], T]) -> T:
    """What the model answers; raises Diverged for what numerics of others raise when their numbers run away."""
    try:
        answer = ask()
    except (ArithmeticError, ValueError) as exc:
        raise Diverged(str(exc)) from exc
    if isinstance(answer, float | int) and not isfinite(answer):
        raise Diverged("its answer is not finite")
    return answer


def number(ask: Callable[[], Any]) -> float:
    """The same for a value that is forecast or predicted: far beyond every measurement it has run away."""
    answer = tried(lambda: float(ask()))
    if abs(answer) > _RUN_AWAY:
        raise Diverged(f"it expects {answer:g}")
    return answer


class Residuals:
    """What is usually left between a tag and what was expected of it: root mean square, forgetting over 300 rows. NaN is left out."""

    def __init__(self, k: int) -> None:
        self._square, self._count = np.zeros(k), np.zeros(k)

    def strengths(self, residual: Floats, x: Floats) -> Floats:
        """|residual| in units of the usual one; 0 where there is none, or none was learnt yet."""
        least = 1e-9 * np.maximum(np.abs(x), 1.0)
        usual = np.maximum(np.sqrt(self._square), least)
        known = np.isfinite(residual) & (self._count > 0)
        return np.where(known, np.minimum(np.abs(np.where(known, residual, 0.0)) / usual, _HIGHEST), 0.0)

    def cut(self, residual: Floats, usual: float) -> Floats:
        """No more than so many usual ones."""
        most = usual * np.sqrt(self._square)
        cut: Floats = np.where(self._count > 0, np.clip(residual, -most, most), residual)
        return cut

    def learn(self, residual: Floats) -> None:
        known = np.isfinite(residual)
        self._count += known
        share = known / np.clip(self._count, 1, _FORGET_ROWS)
        self._square += share * (np.where(known, np.minimum(np.abs(residual), _HIGHEST), 0.0) ** 2 - self._square)
