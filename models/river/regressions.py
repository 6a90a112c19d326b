"""A regression model of river's that predicts a tag from the others of its row: what is scored is how far it is from that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from models.river.member import Floats
from models.river.scorer import Residuals, number, tried


class Regressions:
    """One model per predicted tag; the score is that of the tag which is farthest off, in units of its usual error."""

    window = 1

    def __init__(self, names: tuple[str, ...], predict: Sequence[str], make: Callable[[], Any]) -> None:
        self._names = names
        self._models = {names.index(name): make() for name in predict}
        self._residuals = Residuals(len(names))
        self._expected = self._strengths = np.full(len(names), np.nan)

    def score(self, x: Floats) -> float:
        self._expected = self._predicted(x)
        self._strengths = self._residuals.strengths(x - self._expected, x)
        return float(self._strengths.max())

    def learn(self, x: Floats) -> None:
        self._residuals.learn(x - self._predicted(x))
        for i, model in self._models.items():
            tried(lambda model=model, i=i: model.learn_one(self._others(x, i), float(x[i])))  # type: ignore[misc]

    def next(self) -> None:
        return None

    def near(self, x: Floats, rows: int) -> Floats:
        return x

    def expected(self) -> Floats:
        return self._expected

    def strengths(self) -> Floats:
        return self._strengths

    def _predicted(self, x: Floats) -> Floats:
        """float64[k], NaN where nothing is predicted."""
        predicted = np.full(len(self._names), np.nan)
        for i, model in self._models.items():
            predicted[i] = number(lambda model=model, i=i: model.predict_one(self._others(x, i)))  # type: ignore[misc]
        return predicted

    def _others(self, x: Floats, i: int) -> dict[str, float]:
        return {name: value for j, (name, value) in enumerate(zip(self._names, x.tolist(), strict=True)) if j != i}
