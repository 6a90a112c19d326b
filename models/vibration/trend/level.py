"""One quantity at the points of one machine: does it rise at one of them? O(1) in time, pure.

Each point's logarithm is smoothed and compared with its own mean, in units of its own scatter. What all points do together is taken
out first: a machine that was started again, or a neighbour, is no fault of one bearing. If most of them leave their usual level at
once, that level is new for all of them and learnt anew, and none is in alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from math import exp, log, sqrt
from statistics import median

import numpy as np
from numpy.typing import NDArray

LEARN = 100
CONFIRM = 5
SMOOTH = 0.2
_SLOW = 1 / 1000
_LIMIT = 5.0
_CHANGE = 0.04  # of the logarithm: a smaller rise is nobody's business, however sure
_FLOOR = 0.005
_FEWEST = 3
"""Points of which most can be told from one."""
_FIELDS = 7
_COUNT, _LEVEL, _MEAN, _SCATTER, _APART, _RUN, _ALARM = range(_FIELDS)


class Course(Enum):
    LEARNING = "learning"
    USUAL = "usual"
    RISING = "rising"


@dataclass(slots=True)
class Level:
    """`known` float64[7, points]: blocks seen, smoothed logarithm, its mean, its variance, the variance of what sets it apart from
    the other points, blocks in a row beyond the limit, 1 in alarm."""

    points: int
    together: int = 0
    known: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.known = np.zeros((_FIELDS, self.points))

    def follow(self, point: int, value: float) -> Course:
        """The next value, > 0, of this point."""
        now = self.known[:, point]
        if now[_COUNT] == 0:
            now[_LEVEL] = now[_MEAN] = log(value)
        now[_LEVEL] += SMOOTH * (log(value) - now[_LEVEL])
        now[_COUNT] += 1
        if now[_COUNT] <= LEARN:
            self._learn(now, 1 / now[_COUNT], self._apart(point))
            return Course.LEARNING
        if self._all_changed():
            self.known[:] = 0.0
            self.together = 0
            return Course.LEARNING
        return self._judge(now, self._apart(point))

    def rise(self, point: int) -> float:
        """Of the smoothed value over its usual one: 0.1 is 10 % more."""
        return exp(self._change[point]) - 1

    @property
    def _change(self) -> list[float]:
        found: list[float] = (self.known[_LEVEL] - self.known[_MEAN]).tolist()
        return found

    @property
    def _unusual(self) -> float:
        """Of most points: how far they are from their means, in units of their scatter."""
        scatter = self.known[_SCATTER].tolist()
        return median(abs(change) / (sqrt(max(one, 0.0)) + _FLOOR) for change, one in zip(self._change, scatter, strict=True))

    def _apart(self, point: int) -> float:
        """This point's change, less what most others did."""
        change = self._change
        mine = change.pop(point)
        return mine - (median(change) if self.points >= _FEWEST else 0.0)

    def _all_changed(self) -> bool:
        if self.points < _FEWEST or self.known[_ALARM].any() or self.known[_COUNT].min() <= LEARN:
            self.together = 0
            return False
        changed = self._unusual > _LIMIT and median(map(abs, self._change)) > _CHANGE
        self.together = self.together + 1 if changed else 0
        return self.together >= CONFIRM * self.points

    def _judge(self, now: NDArray[np.float64], apart: float) -> Course:
        change = float(now[_LEVEL] - now[_MEAN])
        sigmas = apart / (sqrt(now[_APART]) + _FLOOR)
        beyond = sigmas > _LIMIT and min(change, apart) > _CHANGE and (self.points < _FEWEST or self._unusual < _LIMIT / 2)
        now[_RUN] = now[_RUN] + 1 if beyond else 0
        if now[_RUN] >= CONFIRM:
            now[_ALARM] = 1
        elif now[_ALARM] and (sigmas < _LIMIT / 2 or change < _CHANGE / 2):
            now[_ALARM] = 0
        if not now[_ALARM] and abs(sigmas) < _LIMIT / 2:
            self._learn(now, _SLOW, apart)
        return Course.RISING if now[_ALARM] else Course.USUAL

    @staticmethod
    def _learn(now: NDArray[np.float64], weight: float, apart: float) -> None:
        change = now[_LEVEL] - now[_MEAN]
        now[_MEAN] += weight * change
        now[_SCATTER] += weight * (change * (now[_LEVEL] - now[_MEAN]) - now[_SCATTER])
        now[_APART] += weight * (apart * apart - now[_APART])
