"""One machine: its rows, a baseline per operating state, and the alarm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding
from models.machine import telling
from models.machine.alarm import Alarm
from models.machine.baseline import WAIT, Baseline
from models.machine.chance import normal_of_student
from models.machine.config import MachineOptions
from models.machine.relations import Relations

Floats = NDArray[np.float64]

MOST_STATES = 8
_REFRESH = 10  # rows between two looks at the correlation
_FAR = 3.0  # standard deviations: this tag has moved
_MOST_OF_THEM, _HALF = 2 / 3, 1 / 2
_BEST = 2  # members that are added up: the others are blind to what it is
_JUDGES = 0.5  # of the warm-up: before, rarities say how young the spread is
_LARGEST = 1e150  # squares must stay finite


@dataclass
class Opinion:
    """Of one row."""

    t_ns: int
    x: Floats
    deviation: Floats  # NaN: none
    z: Floats  # standard deviations, 0: not scored
    residuals: Floats  # the same, given the others
    scored: NDArray[np.bool_]
    relations: Relations
    spread: Floats
    members: tuple[float, ...] = ()  # -log10 p by theory: own, given the others, T2, Q, and their sum
    score: float = 0.0
    settled: bool = False  # old enough to tell of a tail


class Watch:
    """A row is scored, then put to wait; it is learnt later, if nothing was wrong until then."""

    def __init__(self, machine: str, names: tuple[str, ...], options: MachineOptions) -> None:
        self.machine, self.names, self.options = machine, names, options
        self.baselines: dict[float, Baseline] = {}
        self.alarm = Alarm(options)
        self.state, self.last_ns, self.entered_ns, self.left_out = float("nan"), 0, 0, 0
        self._built: tuple[bytes, Relations] | None = None

    def leap(self, delta_ns: int) -> None:
        """All its times; 0 is none."""
        self.last_ns += delta_ns if self.last_ns else 0
        self.entered_ns += delta_ns if self.entered_ns else 0
        self.alarm.leap(delta_ns)

    def row(self, t_ns: int, x: Floats, state: float) -> tuple[float, list[Finding]]:
        """The score, and what is to be told."""
        if t_ns <= self.last_ns:
            return 0.0, []
        dt = (t_ns - self.last_ns) / 1e9 if self.last_ns else 1.0
        self.last_ns = t_ns
        if np.isnan(state) or (state not in self.baselines and len(self.baselines) >= MOST_STATES):
            self.state, self.left_out = float("nan"), self.left_out + 1
            return 0.0, []
        baseline = self._enter(t_ns, dt, state)
        if t_ns - self.entered_ns < self.options.settle * 1e9 and self.options.state:
            return 0.0, []
        return self._judge(baseline, min(dt, WAIT * self.options.smooth), t_ns, np.where(np.abs(x) < _LARGEST, x, np.nan))

    def _enter(self, t_ns: int, dt: float, state: float) -> Baseline:
        if state not in self.baselines:
            self.baselines[state] = Baseline(len(self.names), self.options.smooth, self.options.memory)
        baseline = self.baselines[state]
        if state != self.state or dt > WAIT * self.options.smooth:
            self.entered_ns = t_ns if state != self.state or not self.options.settle else self.entered_ns
            self.alarm.started(t_ns)
            baseline.enter()
            self.state, self._built = state, None
        return baseline

    def _judge(self, baseline: Baseline, dt: float, t_ns: int, x: Floats) -> tuple[float, list[Finding]]:
        opinion = self._opinion(baseline, t_ns, x, baseline.see(dt, x, alarm=self._holds(baseline)))
        found: list[Finding] = []
        if opinion.scored.any():
            baseline.calm = baseline.calm or self.alarm.calm(dt, opinion.score, self._warm_ups(baseline).max())
            if baseline.calm:
                found = self._tell(baseline, opinion, dt)
        baseline.wait(dt, opinion.deviation, opinion.z, opinion.members if opinion.settled else (), alarm=self._holds(baseline))
        return opinion.score, found

    def _holds(self, baseline: Baseline) -> bool:
        """Nothing is learnt in an alarm, but by what has no opinion: a new state, or all was forgotten. Nobody would ever end it."""
        return self.alarm.active and bool(baseline.known.warm.any())

    def _opinion(self, baseline: Baseline, t_ns: int, x: Floats, deviation: Floats) -> Opinion:
        self._look(baseline)
        known, spread = baseline.known, baseline.spread()
        has = (spread > 0) & ~np.isnan(deviation)
        with np.errstate(over="ignore"):
            raw = np.divide(deviation, spread, out=np.zeros(len(x)), where=has)
        z = normal_of_student(np.clip(raw, -1e100, 1e100), known.freedom)
        scored = has & (known.warm > 0)
        looked_at = scored if scored.any() else has
        relations = self._relations(known.correlation, looked_at)
        opinion = Opinion(t_ns, x, deviation, z, relations.given_others(z), scored, relations, spread)
        if looked_at.any():
            self._score(baseline, opinion)
        return opinion

    def _score(self, baseline: Baseline, opinion: Opinion) -> None:
        members = opinion.relations.rarities(opinion.z, opinion.residuals)
        calibrated = sorted(tail.calibrated(rarity) for tail, rarity in zip(baseline.tails, members, strict=False))
        total = sum(calibrated[-_BEST:]) / _BEST
        opinion.members = (*members, total)
        opinion.settled = bool(self._warm_ups(baseline).max() >= _JUDGES)
        if opinion.scored.any():
            opinion.score = baseline.tails[-1].calibrated(total)

    def _look(self, baseline: Baseline) -> None:
        if baseline.known_for <= 0 and not self._holds(baseline):
            baseline.look(self.options.warm_up_rows, self.options.warm_up)
            baseline.known_for, self._built = _REFRESH, None
        baseline.known_for -= 1

    def _relations(self, correlation: Floats, looked_at: NDArray[np.bool_]) -> Relations:
        mask = looked_at.tobytes()
        if self._built is None or self._built[0] != mask:
            self._built = mask, Relations(correlation, looked_at)
        return self._built[1]

    def _tell(self, baseline: Baseline, opinion: Opinion, dt: float) -> list[Finding]:
        alarm, was = self.alarm, self.alarm.active
        begins = alarm.step(opinion.t_ns, dt, opinion.score)
        if begins and self._moved(opinion):
            alarm.cancel(opinion.t_ns)
            finding = telling.changed(self, opinion)
            self._begin_anew(baseline)
            return [finding]
        if alarm.active and opinion.t_ns - alarm.since_ns >= int(self.options.accept_after * 1e9):
            alarm.end(opinion.t_ns)
            baseline.adopt(np.ones(len(self.names), dtype=bool))
            return [telling.accepted(self, opinion)]
        if alarm.active == was and alarm.told:
            return []
        alarm.told = True
        return [telling.found(self, baseline, opinion)]

    def _moved(self, opinion: Opinion) -> bool:
        """Most tags at once: the operating point has changed; after a start half of them will do."""
        scored = int(opinion.scored.sum())
        far = int((np.abs(opinion.deviation) > _FAR * opinion.spread)[opinion.scored].sum())  # however few looks there were
        share = _HALF if self.alarm.just_started(opinion.t_ns) else _MOST_OF_THEM
        return scored >= 3 and far >= share * scored

    def _begin_anew(self, baseline: Baseline) -> None:
        baseline.forget(np.ones(len(self.names), dtype=bool))
        self._built = None

    def which(self, tags: frozenset[str]) -> NDArray[np.bool_]:
        return np.array([not tags or name in tags for name in self.names])

    def forget(self, tags: frozenset[str]) -> None:
        which = self.which(tags)
        for baseline in self.baselines.values():
            baseline.forget(which)
        self._built = None
        if not tags:
            self.alarm.told = False

    def adopt(self, tags: frozenset[str]) -> None:
        baseline = self.baselines.get(self.state)
        if self.alarm.active and baseline is not None:
            baseline.adopt(self.which(tags))

    def _warm_ups(self, baseline: Baseline) -> Floats:
        return baseline.warm_ups(self.options.warm_up_rows, self.options.warm_up)

    def progress(self, state: float) -> float:
        """Share of the warm-up of a state, 0 to 1; nothing of one that was never seen."""
        baseline = self.baselines.get(state)
        if baseline is None:
            return 0.0
        share = float(np.minimum(self._warm_ups(baseline), 1.0).mean())
        return share if baseline.calm else min(share, 0.99)
