"""An anomaly model over one machine's rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding, Severity, State
from models.river.calibration import STRONGEST, Yardstick, fit, rarity
from models.river.config import RiverOptions
from models.river.member import Arrays, Floats, fitting, whole
from models.river.past import Past, window
from models.river.scaling import Scaling

_WEEK = 604_800.0
_BACK = 0.75  # of the threshold: below it, an anomaly is over
_REFIT = 32  # rows between two fits of the yardstick
_HIGHEST = STRONGEST - 1.0  # a threshold that is raised ends here: beyond, nothing would ever reach it


class Anomalies:
    """Score, compare with the model's own past scores, then learn if it is not an anomaly.

    state   the last `remember` learnt rows and scores; the model itself is built again from the rows
    """

    def __init__(self, machine: str, names: tuple[str, ...], condition: str, options: RiverOptions, make: Callable[[], Any]) -> None:
        self._machine, self.names, self._condition, self._options, self._make = machine, names, condition, options, make
        self._configured = -float(np.log10(min(options.false_alarms_per_week * options.every / _WEEK, 1e-2)))
        self._threshold = self._configured
        self._begin_anew()
        self._active, self._told, self._since, self._skipped = False, False, 0, 0

    def _begin_anew(self) -> None:
        self._model = self._make()
        self._scaling = Scaling(self._options.scale, len(self.names))
        self._past = Past(self._options.remember, window(self._model))
        self._recent: deque[float] = deque(maxlen=self._options.smooth_rows)
        self._scores: deque[float] = deque(maxlen=self._options.remember)
        self._yardstick = Yardstick(0.0, 1.0, 0.0, 1.0)
        self._waiting: deque[Floats] = deque()  # rows with their scores, not yet learnt
        self._learnt = 0

    def row(self, t_ns: int, x: Floats) -> list[Finding]:
        scaled = self._scaling.scaled(x)
        self._recent.append(float(self._model.score_one(dict(zip(self.names, scaled.tolist(), strict=True)))))
        score = sum(self._recent) / len(self._recent)
        judged = self._learnt >= self._options.warm_up_rows
        rare = rarity(self._yardstick, score) if judged else 0.0
        found = self._judge(t_ns, x, score, rare) if judged else []
        if self._active:
            self._waiting.clear()
        else:
            self._wait(x, score)
        return found

    def tune(self, factor: float) -> None:
        """The threshold is the configured one times `factor` from the next row on."""
        self._threshold = max(self._configured, min(self._configured * factor, _HIGHEST))

    def skip(self) -> None:
        self._skipped += 1

    def _wait(self, x: Floats, score: float) -> None:
        """A row is learnt only when it has left the mean: the first rows of a fault must not stretch the scale."""
        self._waiting.append(np.append(x, score))
        if len(self._waiting) > self._options.smooth_rows:
            row = self._waiting.popleft()
            self._learn(row[:-1], float(row[-1]))

    def _learn(self, x: Floats, score: float) -> None:
        self._scaling.learn(x)
        scaled = self._scaling.scaled(x)
        self._model.learn_one(dict(zip(self.names, scaled.tolist(), strict=True)))
        self._past.add(scaled)
        self._learnt += 1
        if self._learnt > self._options.warm_up_rows // 2:
            self._scores.append(score)
        if self._learnt >= self._options.warm_up_rows and (self._learnt - self._options.warm_up_rows) % _REFIT == 0:
            self._yardstick = fit(np.array(self._scores))

    def _judge(self, t_ns: int, x: Floats, score: float, rare: float) -> list[Finding]:
        was = self._active
        if was and t_ns - self._since >= int(self._options.accept_after * 1e9):
            return [self._accepted(t_ns, x, score, rare)]
        self._active = rare > (_BACK * self._threshold if was else self._threshold)
        if self._active and not was:
            self._since = t_ns
        if self._active == was and self._told:
            return []
        self._told = True
        return [self._finding(t_ns, x, score, rare, accepted=False)]

    def _accepted(self, t_ns: int, x: Floats, score: float, rare: float) -> Finding:
        self._active = False
        finding = self._finding(t_ns, x, score, rare, accepted=True)
        self._begin_anew()
        return finding

    def _finding(self, t_ns: int, x: Floats, score: float, rare: float, *, accepted: bool) -> Finding:
        deviations = self._scaling.deviations(x)
        order = np.argsort(-np.abs(deviations), kind="stable")
        tags = tuple(self.names[i] for i in order)
        return Finding(
            machine=self._machine,
            condition=self._condition,
            state=State.ACTIVE if self._active else State.OVER,
            t_ns=t_ns,
            since_ns=self._since or t_ns,
            severity=Severity.WARNING,
            title=self._title(tags, accepted=accepted)[:255],
            score=min(rare, STRONGEST),
            tags=tags,
            explanation={
                "model": self._options.model,
                "score": rare,
                "threshold": self._threshold,
                "model_score": score,
                "values": {self.names[i]: float(x[i]) for i in order},
                "standard_deviations": {self.names[i]: float(deviations[i]) for i in order},
                "rows_learnt": self._learnt,
                "rows_skipped": self._skipped,
                "accepted": accepted,
            },
        )

    def _title(self, tags: tuple[str, ...], *, accepted: bool) -> str:
        if accepted:
            return f"{self._machine}: {self._options.model} accepts this as usual and learns anew"
        if not self._active:
            return f"{self._machine}: {self._options.model} finds nothing unusual"
        return f"{self._machine}: {', '.join(tags[:3])} not as usual, says {self._options.model}"

    def arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "rows": self._past.table(len(self.names)),
            "scores": np.array(self._scores, dtype=np.float64),
            "recent": np.array(self._recent, dtype=np.float64),
            "waiting": np.array(self._waiting, dtype=np.float64).reshape(len(self._waiting), len(self.names) + 1),
            "scaling": self._scaling.table.copy(),
            "yardstick": np.array(self._yardstick, dtype=np.float64),
            "numbers": np.array([self._learnt, self._skipped, self._since, self._active], dtype=np.int64),
        }

    def restore(self, saved: Arrays) -> None:
        k = len(self.names)
        rows, scaling = fitting(saved, "rows", -1, k), fitting(saved, "scaling", 5, k)
        self._scores.extend(fitting(saved, "scores", -1).tolist())
        self._recent.extend(fitting(saved, "recent", -1).tolist())
        self._yardstick = Yardstick(*fitting(saved, "yardstick", 4).tolist())
        self._learnt, self._skipped, self._since, active = whole(saved, "numbers", 4)
        self._active = bool(active)
        self._scaling.table = scaling.copy()
        self._past.restore(rows)
        self._waiting.extend(row.copy() for row in fitting(saved, "waiting", -1, k + 1))
        for row in rows.tolist():
            self._model.learn_one(dict(zip(self.names, row, strict=True)))
