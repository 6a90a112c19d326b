"""A model that scores one machine's rows: an anomaly model, forecasters, or regressions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding, Learning, Severity, State
from models.river.calibration import STRONGEST, Yardstick, fit, rarity
from models.river.config import RiverOptions
from models.river.explained import explained, title
from models.river.member import Arrays, Floats, fitting, whole
from models.river.past import Past
from models.river.scaling import Scaling
from models.river.scorer import Diverged, scorer
from models.river.week import WEEK_SECONDS, Week

_BACK = 0.75  # of the threshold: below it, an anomaly is over
_REFIT = 32  # rows between two fits of the yardstick
_NONE = Yardstick(0.0, 1.0, 0.0, 1.0)
_HIGHEST = STRONGEST - 1.0  # a threshold that is raised ends here: beyond, nothing would ever reach it


class Anomalies:
    """Score, compare with the model's own past scores, then learn if it is not an anomaly.

    A forecaster wants every row: what it was not given it gets as it expected it, and in alarm it follows with short steps.

    rare    -log10 of the probability of the last row's score; 0 while it learns
    state   the last `remember` learnt rows and scores; the model itself is built again from the rows
    """

    def __init__(self, machine: str, names: tuple[str, ...], condition: str, options: RiverOptions, make: Callable[[], Any]) -> None:
        self._machine, self.names, self._condition, self._options, self._make = machine, names, condition, options, make
        self._configured = -float(np.log10(min(options.false_alarms_per_week * options.every / WEEK_SECONDS, 1e-2)))
        self._threshold = self._configured
        self._timed = options.kind == "time_series"
        self._since, self._accept_ns, self._before_ns = 0, 0, 0
        # Of the second half of the warm-up; there are fewer when that was longer by the configuration of before.
        self._enough = min(options.warm_up_rows - options.warm_up_rows // 2, options.remember)
        self._skipped, self._over_budget, self._diverged = 0, 0, 0
        self._alarms, self.rare = Week(), 0.0
        self._begin_anew()

    def _begin_anew(self) -> None:
        """An alarm that was told is over with the first opinion."""
        self._active, self._told = False, False
        self._scorer = scorer(self._options, self.names, self._make)
        self._scaling = Scaling(self._options.scaling, len(self.names))
        self._past = Past(self._options.remember, self._scorer.window)
        self._recent: deque[float] = deque(maxlen=self._options.smooth_rows)
        self._scores: deque[float] = deque(maxlen=self._options.remember)
        self._yardstick = _NONE
        self._waiting: deque[Floats] = deque()  # rows with their scores, not yet learnt
        self._learnt = 0

    def leap(self, delta_ns: int) -> None:
        for name in ("_since", "_accept_ns", "_before_ns"):
            if at_ns := getattr(self, name):
                setattr(self, name, at_ns + delta_ns)
        self._alarms.leap(delta_ns)

    def row(self, t_ns: int, x: Floats) -> list[Finding]:
        missed = round((t_ns - self._before_ns) / (self._options.every * 1e9)) - 1 if self._before_ns else 0
        self._before_ns, self.rare = t_ns, 0.0
        try:
            if self._timed and missed > 0:
                self._bridge(missed)
            return self._scored(t_ns, x)
        except Diverged:
            self._diverged += 1
            self._begin_anew()
            return []

    def _bridge(self, rows: int) -> None:
        """Over rows that did not come; after more of them than are remembered it knows nothing of now."""
        if rows > self._options.remember:
            self._begin_anew()
            return
        for _ in range(rows):
            if (ahead := self._scorer.next()) is not None:
                self._follow(ahead)

    def _scored(self, t_ns: int, x: Floats) -> list[Finding]:
        self._recent.append(self._scorer.score(self._scaling.scaled(x)))
        score = sum(self._recent) / len(self._recent)
        judged = self._learnt >= self._options.warm_up_rows and self._yardstick != _NONE
        self.rare = rarity(self._yardstick, score) if judged else 0.0
        found = self._judge(t_ns, x, score) if judged else []
        if self._timed and self._active:
            rows = int((t_ns - self._since) / (self._options.every * 1e9))
            self._follow(self._scorer.near(self._scaling.scaled(x), rows))
        elif self._timed:
            self._learn(x, score)
        elif self._active:
            self._waiting.clear()
        else:
            self._wait(x, score)
        return found

    def tune(self, factor: float) -> None:
        """The threshold is the configured one times `factor` from the next row on."""
        self._threshold = max(self._configured, min(self._configured * factor, _HIGHEST))

    def skip(self) -> None:
        self._skipped += 1

    def over_budget(self, rows: int) -> None:
        self._over_budget += rows

    def learning(self) -> list[Learning]:
        share = min(self._learnt / self._options.warm_up_rows, 1.0)
        return [Learning(machine=self._machine, share=share, alarms=self._alarms.count(self._before_ns))]

    def forget(self, tags: frozenset[str]) -> None:
        if not tags or tags & set(self.names):
            self._begin_anew()

    def adopt(self, tags: frozenset[str]) -> None:
        if self._active and (not tags or tags & set(self.names)):
            self._accept_ns = 0

    def _follow(self, scaled: Floats) -> None:
        """A forecaster learns a row that does not count: one that did not come, or one in alarm."""
        self._scorer.learn(scaled)
        self._past.add(scaled)

    def _wait(self, x: Floats, score: float) -> None:
        """A row is learnt only when it has left the mean: the first rows of a fault must not stretch the scale."""
        self._waiting.append(np.append(x, score))
        if len(self._waiting) > self._options.smooth_rows:
            row = self._waiting.popleft()
            self._learn(row[:-1], float(row[-1]))

    def _learn(self, x: Floats, score: float) -> None:
        self._scaling.learn(x)
        scaled = self._scaling.scaled(x)
        self._scorer.learn(scaled)
        self._past.add(scaled)
        self._learnt += 1
        if self._learnt > self._options.warm_up_rows // 2:
            self._scores.append(score)
        due = self._yardstick == _NONE or (self._learnt - self._options.warm_up_rows) % _REFIT == 0
        if due and self._learnt >= self._options.warm_up_rows and len(self._scores) >= self._enough:
            self._yardstick = fit(np.array(self._scores), self._options.smooth_rows)

    def _judge(self, t_ns: int, x: Floats, score: float) -> list[Finding]:
        was = self._active
        if was and t_ns >= self._accept_ns:
            return [self._accepted(t_ns, x, score)]
        self._active = self.rare > (_BACK * self._threshold if was else self._threshold)
        if self._active and not was:
            self._since, self._accept_ns = t_ns, t_ns + int(self._options.accept_after * 1e9)
            self._alarms.add(t_ns)
        if self._active == was and self._told:
            return []
        self._told = True
        return [self._finding(t_ns, x, score, accepted=False)]

    def _accepted(self, t_ns: int, x: Floats, score: float) -> Finding:
        self._active = False
        finding = self._finding(t_ns, x, score, accepted=True)
        self._begin_anew()
        return finding

    def _finding(self, t_ns: int, x: Floats, score: float, *, accepted: bool) -> Finding:
        tags, values = explained(self.names, x, self._scaling, self._scorer)
        return Finding(
            machine=self._machine,
            condition=self._condition,
            state=State.ACTIVE if self._active else State.OVER,
            t_ns=t_ns,
            since_ns=self._since or t_ns,
            severity=Severity.WARNING,
            title=title(self._machine, tags, self._options.title, active=self._active, accepted=accepted)[:255],
            score=min(self.rare, STRONGEST),
            tags=tags,
            explanation={
                "model": self._options.title,
                "score": self.rare,
                "threshold": self._threshold,
                "model_score": score,
                **values,
                "rows_learnt": self._learnt,
                "rows_skipped": self._skipped,
                "rows_over_budget": self._over_budget,
                "times_diverged": self._diverged,
                "alarms_in_a_week": self._alarms.count(t_ns),
                "accepted": accepted,
            },
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        times = (self._learnt, self._active, self._since, self._accept_ns, self._before_ns)
        return {
            "rows": self._past.table(len(self.names)),
            "scores": np.array(self._scores, dtype=np.float64),
            "recent": np.array(self._recent, dtype=np.float64),
            "waiting": np.array(self._waiting, dtype=np.float64).reshape(len(self._waiting), len(self.names) + 1),
            "scaling": self._scaling.table.copy(),
            "yardstick": np.array(self._yardstick, dtype=np.float64),
            "alarms": self._alarms.table(),
            "numbers": np.array([*times, self._skipped, self._over_budget, self._diverged], dtype=np.int64),
        }

    def restore(self, saved: Arrays) -> None:
        k = len(self.names)
        rows, scaling = fitting(saved, "rows", -1, k), fitting(saved, "scaling", 5, k)
        self._scores.extend(fitting(saved, "scores", -1).tolist())
        self._recent.extend(fitting(saved, "recent", -1).tolist())
        self._yardstick = Yardstick(*fitting(saved, "yardstick", 4).tolist())
        self._alarms.restore(whole(saved, "alarms", -1))
        self._learnt, active, self._since, self._accept_ns, self._before_ns, *counts = whole(saved, "numbers", 8)
        self._skipped, self._over_budget, self._diverged = counts
        self._active = bool(active)
        self._scaling.table = scaling.copy()
        self._past.restore(rows)
        self._waiting.extend(row.copy() for row in fitting(saved, "waiting", -1, k + 1))
        try:
            for row in rows:
                self._scorer.learn(row)
        except Diverged:
            self._begin_anew()
