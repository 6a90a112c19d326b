"""An anomaly model of river's, or a pipeline that ends with one: it scores the row as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.river.member import Floats
from models.river.past import window
from models.river.scorer import tried

_HIGHEST = 1e12  # sums of what is beyond would not be numbers any more


class Rows:
    """`score_one` and `learn_one` with the tags by name."""

    def __init__(self, names: tuple[str, ...], make: Callable[[], Any]) -> None:
        self._names, self._model = names, make()
        self.window = window(self._model)

    def score(self, x: Floats) -> float:
        answer = tried(lambda: float(self._model.score_one(self._named(x))))
        return min(max(answer, -_HIGHEST), _HIGHEST)

    def learn(self, x: Floats) -> None:
        tried(lambda: self._model.learn_one(self._named(x)))

    def next(self) -> None:
        return None

    def near(self, x: Floats, rows: int) -> Floats:
        return x

    def expected(self) -> None:
        return None

    def strengths(self) -> None:
        return None

    def _named(self, x: Floats) -> dict[str, float]:
        return dict(zip(self._names, x.tolist(), strict=True))
