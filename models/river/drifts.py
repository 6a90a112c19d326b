"""A drift model on each tag of one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding, Learning, Severity, State
from models.river.config import RiverOptions
from models.river.member import Arrays, Floats, fitting, whole
from models.river.past import Past, window
from models.river.scaling import Scaling
from models.river.week import Week

_LATELY_ROWS = 30


class Drifts:
    """Tells when the distribution of a tag has changed: a fact, for a change has no end.

    The scale is that of the warm-up and stays: a scale that follows the tag would hide what is looked for.
    """

    rare: float | None = None
    """A drift is no question of probability."""

    def __init__(self, machine: str, names: tuple[str, ...], options: RiverOptions, make: Callable[[], Any]) -> None:
        self._machine, self.names, self._options, self._make = machine, names, options, make
        self._models = [make() for _ in names]
        self._scaling = Scaling(options.scaling, len(names))
        self._past = Past(options.remember, window(self._models[0]))
        self._skipped, self._over_budget, self._before_ns = 0, 0, 0
        self._since = np.zeros(len(names), dtype=np.int64)  # rows each model has seen since its tag's last drift
        self._drifts = [Week() for _ in names]

    def leap(self, delta_ns: int) -> None:
        self._before_ns += delta_ns if self._before_ns else 0
        for week in self._drifts:
            week.leap(delta_ns)

    def row(self, t_ns: int, x: Floats) -> list[Finding]:
        self._before_ns = t_ns
        warm = self._scaling.table[0] < self._options.warm_up_rows
        scaled = np.where(warm, np.nan, self._scaling.scaled(x))
        if warm.any():
            self._scaling.learn(x, only=warm)
        if warm.all():
            return []
        self._past.add(scaled)
        self._since += ~warm
        return [self._finding(t_ns, i, float(x[i])) for i in self._update(scaled)]

    def tune(self, factor: float) -> None:
        """It has no threshold."""

    def skip(self) -> None:
        self._skipped += 1

    def over_budget(self, rows: int) -> None:
        self._over_budget += rows

    def learning(self) -> list[Learning]:
        shares = np.minimum(self._scaling.table[0] / self._options.warm_up_rows, 1.0).tolist()
        return [
            Learning(machine=self._machine, tag=name, share=share, alarms=drifts.count(self._before_ns))
            for name, share, drifts in zip(self.names, shares, self._drifts, strict=True)
        ]

    def forget(self, tags: frozenset[str]) -> None:
        for i, name in enumerate(self.names):
            if not tags or name in tags:
                self._models[i], self._since[i] = self._make(), 0
                self._scaling.forget(i)
                self._past.forget(i)

    def adopt(self, tags: frozenset[str]) -> None:
        """A drift is told and done: the model has adopted it already."""

    def _update(self, scaled: Floats) -> list[int]:
        """Positions of the tags whose model tells drift now."""
        found = []
        for i, (model, value) in enumerate(zip(self._models, scaled.tolist(), strict=True)):
            if value == value:  # not NaN: its scale is known
                model.update(value)
                if model.drift_detected:
                    found.append(i)
        return found

    def _finding(self, t_ns: int, i: int, value: float) -> Finding:
        name, rows = self.names[i], int(self._since[i])
        usual, lately = float(self._scaling.table[1, i]), self._lately(i)
        self._since[i] = 0
        self._drifts[i].add(t_ns)
        return Finding(
            machine=self._machine,
            condition="drift_detected",
            state=State.FACT,
            t_ns=t_ns,
            since_ns=t_ns,
            severity=Severity.INFO,
            title=f"{self._machine}: {name} has drifted: {lately:.4g} of late, {usual:.4g} when it was learnt"[:255],
            score=1.0,
            tags=(name,),
            explanation={
                "model": self._options.title,
                "value": value,
                "mean_of_late": lately,
                "mean_when_learnt": usual,
                "direction": "up" if lately > usual else "down",
                "standard_deviations": float(self._scaling.deviations(np.full(len(self.names), lately))[i]),
                "rows_since_last": rows,
                "rows_skipped": self._skipped,
                "rows_over_budget": self._over_budget,
                "drifts_in_a_week": self._drifts[i].count(t_ns),
            },
            key=name,
        )

    def _lately(self, i: int) -> float:
        """Mean of the last rows of a tag."""
        last = self._past.last(_LATELY_ROWS, len(self.names))
        return float(np.nanmean([self._scaling.unscaled(row)[i] for row in last]))

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rows": self._past.table(len(self.names)),
            "scaling": self._scaling.table.copy(),
            "since": self._since.copy(),
            **{f"drifts_{i}": drifts.table() for i, drifts in enumerate(self._drifts)},
            "numbers": np.array([self._skipped, self._over_budget, self._before_ns], dtype=np.int64),
        }

    def restore(self, saved: Arrays) -> None:
        k = len(self.names)
        rows, scaling = fitting(saved, "rows", -1, k), fitting(saved, "scaling", 5, k)
        self._since = np.array(whole(saved, "since", k), dtype=np.int64)
        self._skipped, self._over_budget, self._before_ns = whole(saved, "numbers", 3)
        for i, drifts in enumerate(self._drifts):
            drifts.restore(whole(saved, f"drifts_{i}", -1))
        self._scaling.table = scaling.copy()
        self._past.restore(rows)
        for row in rows:
            self._update(row)
