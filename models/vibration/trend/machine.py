"""The levels of one machine: each quantity at each point, apart for each class of speed and load. O(1) in time."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log

import numpy as np
from numpy.typing import NDArray

from models.vibration.trend.forecast import Forecast, forecast
from models.vibration.trend.level import Course, Level

QUANTITIES = ("velocity", "acceleration", "acceleration above 1 kHz", "BPFO lines", "BPFI lines", "2xBSF lines")
"""Overall values, the band a bearing is heard in, and the depth of modulation at each part's lines."""
_CLASSES = 24
_NO_LOAD = -(1 << 31)
_HISTORY = 256
_WIDTH = log(1.1)


@dataclass(frozen=True, slots=True)
class Rise:
    """The quantity that rises most, by this share of its usual level."""

    quantity: str
    share: float


@dataclass(slots=True)
class Trend:
    """`levels`: by class of speed and load, a Level for each of QUANTITIES; the class used last is last. `history`: float64[points, n, 2]
    of seconds and velocity, the last _HISTORY of each point, NaN where there are fewer."""

    points: int
    levels: dict[tuple[int, int], tuple[Level, ...]] = field(default_factory=dict)
    history: NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        self.history = np.full((self.points, _HISTORY, 2), np.nan)

    def follow(
        self, point: int, seconds: float, rpm: float | None, values: tuple[float, ...], load: int | None = None
    ) -> tuple[Course, Rise | None]:
        """
        values   of QUANTITIES, as many as are known; one that is not above 0 is not followed
        load     number of its class
        """
        running = 0 if rpm is None else round(log(rpm) / _WIDTH), _NO_LOAD if load is None else load
        levels = self.levels.pop(running, None) or tuple(Level(self.points) for _ in QUANTITIES)
        self.levels[running] = levels
        if len(self.levels) > _CLASSES:
            del self.levels[next(iter(self.levels))]
        self.history[point, :-1] = self.history[point, 1:]
        self.history[point, -1] = seconds, values[0]
        courses = {
            name: (level.follow(point, value), level) for name, level, value in zip(QUANTITIES, levels, values, strict=False) if value > 0
        }
        rising = [Rise(name, level.rise(point)) for name, (course, level) in courses.items() if course is Course.RISING]
        if rising:
            return Course.RISING, max(rising, key=lambda rise: rise.share)
        learnt = any(course is Course.USUAL for course, _ in courses.values())
        return (Course.USUAL if learnt else Course.LEARNING), None

    def course(self, point: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(seconds, velocity) of the last blocks of this point; NaN where there were fewer."""
        return self.history[point, :, 0], self.history[point, :, 1]

    def forecast(self, point: int, since_seconds: float, limit: float) -> Forecast | None:
        """When the velocity of this point reaches a limit, judged from its values since then."""
        seconds, value = self.history[point].T
        chosen = (seconds >= since_seconds) & (value > 0)
        return forecast(seconds[chosen] - since_seconds, value[chosen], limit)
