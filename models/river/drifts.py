"""A drift model on each tag of one machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding, Severity, State
from models.river.config import RiverOptions
from models.river.member import Arrays, Floats, fitting, whole
from models.river.past import Past, window
from models.river.scaling import Scaling


class Drifts:
    """Tells when the distribution of a tag has changed: a fact, for a change has no end.

    The scale is that of the warm-up and stays: a scale that follows the tag would hide what is looked for.
    """

    def __init__(self, machine: str, names: tuple[str, ...], options: RiverOptions, make: Callable[[], Any]) -> None:
        self._machine, self.names, self._options = machine, names, options
        self._models = [make() for _ in names]
        self._scaling = Scaling(options.scale, len(names))
        self._past = Past(options.remember, window(self._models[0]))
        self._warm_rows, self._skipped = 0, 0
        self._since = np.zeros(len(names), dtype=np.int64)  # rows each model has seen since its tag's last drift

    def row(self, t_ns: int, x: Floats) -> list[Finding]:
        if self._warm_rows < self._options.warm_up_rows:
            self._scaling.learn(x)
            self._warm_rows += 1
            return []
        scaled = self._scaling.scaled(x)
        self._past.add(scaled)
        self._since += 1
        return [self._finding(t_ns, i, float(x[i])) for i in self._update(scaled)]

    def skip(self) -> None:
        self._skipped += 1

    def _update(self, scaled: Floats) -> list[int]:
        """Positions of the tags whose model tells drift now."""
        found = []
        for i, (model, value) in enumerate(zip(self._models, scaled.tolist(), strict=True)):
            model.update(value)
            if model.drift_detected:
                found.append(i)
        return found

    def _finding(self, t_ns: int, i: int, value: float) -> Finding:
        name, rows = self.names[i], int(self._since[i])
        self._since[i] = 0
        return Finding(
            machine=self._machine,
            condition="drift_detected",
            state=State.FACT,
            t_ns=t_ns,
            since_ns=t_ns,
            severity=Severity.INFO,
            title=f"{self._machine}: {name} has changed its behaviour, now {value:.4g}",
            score=1.0,
            tags=(name,),
            explanation={
                "model": self._options.model,
                "value": value,
                "standard_deviations": float(self._scaling.deviations(np.full(len(self.names), value))[i]),
                "rows_since_last": rows,
                "rows_skipped": self._skipped,
            },
            key=name,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rows": self._past.table(len(self.names)),
            "scaling": self._scaling.table,
            "since": self._since,
            "numbers": np.array([self._warm_rows, self._skipped], dtype=np.int64),
        }

    def restore(self, saved: Arrays) -> None:
        k = len(self.names)
        rows, scaling = fitting(saved, "rows", -1, k), fitting(saved, "scaling", 5, k)
        self._since = np.array(whole(saved, "since", k), dtype=np.int64)
        self._warm_rows, self._skipped = whole(saved, "numbers", 2)
        self._scaling.table = scaling.copy()
        self._past.restore(rows)
        for row in rows:
            self._update(row)
