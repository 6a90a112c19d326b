"""A forecaster of river's on each tag of one machine: what is scored is how far the tag is from its forecast of one row before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from models.river.member import Floats
from models.river.scorer import Residuals, number, tried

_STEP = 3.0
_FASTER_ROWS = 20


class Forecasts:
    """The score is that of the tag which is farthest off, in units of its usual error."""

    window = 1

    def __init__(self, names: tuple[str, ...], make: Callable[[], Any]) -> None:
        self._models = [make() for _ in names]
        self._residuals = Residuals(len(names))
        self._next: Floats | None = None  # asked for once per row
        self._expected = self._strengths = np.full(len(names), np.nan)

    def score(self, x: Floats) -> float:
        self._expected = self._ahead()
        self._strengths = self._residuals.strengths(x - self._expected, x)
        return float(self._strengths.max())

    def learn(self, x: Floats) -> None:
        self._residuals.learn(x - self._ahead())
        for model, value in zip(self._models, x.tolist(), strict=True):
            tried(lambda model=model, value=value: model.learn_one(value))  # type: ignore[misc]
        self._next = None

    def next(self) -> Floats | None:
        ahead = self._ahead()
        return ahead if np.isfinite(ahead).all() else None

    def near(self, x: Floats, rows: int) -> Floats:
        """It needs each row to look ahead from, so it follows even in alarm: three usual errors a row at first, then ever faster."""
        ahead = self._ahead()
        return np.where(np.isfinite(ahead), ahead + self._residuals.cut(x - ahead, _STEP * (1 + rows / _FASTER_ROWS)), x)

    def expected(self) -> Floats:
        return self._expected

    def strengths(self) -> Floats:
        return self._strengths

    def _ahead(self) -> Floats:
        if self._next is None:
            self._next = np.array([_one_ahead(model) for model in self._models])
        return self._next


def _one_ahead(model: Any) -> float:
    """NaN while the model has not seen enough."""
    try:
        return number(lambda: model.forecast(horizon=1)[0])
    except IndexError:
        return float("nan")
