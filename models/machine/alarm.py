"""One alarm per episode: on-delay, hysteresis, refractory time."""

from __future__ import annotations

from collections import deque

import numpy as np

from models.machine.baseline import WAIT
from models.machine.config import MachineOptions

_WEEK = 604_800.0
_BACK = 0.75  # of the threshold, in standard deviations: below it, the alarm is over
_HIGHEST = 29.0  # a threshold that is raised ends here: beyond, no score would reach it
_ON = 0.25  # times `smooth`: above the threshold for this long, before the alarm begins
_MOST = 1000  # alarms remembered
_LONGEST = 2.0  # times the warm-up: it ends, even if it was never calm


class Alarm:
    """The threshold is the rarity that chance reaches `false_alarms_per_week`, at one independent look in `smooth`."""

    def __init__(self, options: MachineOptions) -> None:
        self._smooth = options.smooth
        self._configured = -float(np.log10(min(options.false_alarms_per_week * options.smooth / _WEEK, 1e-2)))
        self.threshold = self._configured
        self.active, self.told = False, False
        self.since_ns, self.started_ns, self.quiet_until_ns = 0, 0, 0
        self.above = self.calm_for = 0.0
        self.began: deque[int] = deque(maxlen=_MOST)

    @property
    def back(self) -> float:
        """Rarity goes with the square of the deviation."""
        return self.threshold * _BACK**2

    def tune(self, factor: float) -> None:
        self.threshold = max(self._configured, min(self._configured * factor, _HIGHEST))

    def started(self, t_ns: int) -> None:
        self.started_ns, self.above = t_ns, 0.0

    def just_started(self, t_ns: int) -> bool:
        return t_ns - self.started_ns <= 2 * WAIT * self._smooth * 1e9

    def calm(self, dt: float, score: float, warm_ups: float) -> bool:
        """The warm-up ends with `smooth` of calm: what is unusual at its end is still being learnt."""
        self.calm_for = self.calm_for + dt if score < self.back else 0.0
        done = self.calm_for >= self._smooth or warm_ups >= _LONGEST
        if done:
            self.calm_for = 0.0
        return done

    def step(self, t_ns: int, dt: float, score: float) -> bool:
        """True: it begins now."""
        if self.active:
            if score < self.back:
                self.end(t_ns)
            return False
        self.above = self.above + dt if score > self.threshold and t_ns >= self.quiet_until_ns else 0.0
        if self.above <= _ON * self._smooth:
            return False
        self.active, self.since_ns = True, t_ns - int(self.above * 1e9)
        self.began.append(t_ns)
        return True

    def end(self, t_ns: int) -> None:
        self.active, self.above = False, 0.0
        self.quiet_until_ns = t_ns + int(self._smooth * 1e9)

    def cancel(self, t_ns: int) -> None:
        self.end(t_ns)
        self.began.pop()

    def leap(self, delta_ns: int) -> None:
        """All its times; 0 is none."""
        for name in ("since_ns", "started_ns", "quiet_until_ns"):
            if at_ns := getattr(self, name):
                setattr(self, name, at_ns + delta_ns)
        self.began = deque((t_ns + delta_ns for t_ns in self.began), maxlen=_MOST)

    def last_week(self, now_ns: int) -> int:
        return sum(now_ns - t_ns < _WEEK * 1e9 for t_ns in self.began)
