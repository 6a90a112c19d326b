"""The members of the bank: in how many ways one reading differs from what is usual. Deviations only; how rare they are is `tail`'s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import context, season, subspace
from models.anomaly.columns import CELL, COUNT, INTERVAL, LAGS, MID, MOVED, POWER_LONG, SHORT, SINCE, SLOW, SPREAD, USUAL, Columns
from models.anomaly.ewma import towards, weight
from models.anomaly.rounds import span
from models.anomaly.settings import LONG_SMOOTH, MEMBERS, SHORTEST, Settings

_SHORTEST = np.array([SHORTEST[0], SHORTEST[1], SHORTEST[1], 2 * SHORTEST[0]])[:, None]
_SMOOTH = np.array([1.0, LONG_SMOOTH, LONG_SMOOTH, 2.0])[:, None]

Floats = NDArray[np.float64]
Places = NDArray[np.intp]


@dataclass(slots=True)
class Residuals:
    """What n readings, each of another tag, show.

    deviation  float64[7, n]  of each member, >= 0; engineering units where there are any
    expected   float64[n]     usual level and season
    moved      float64[n]     value - usual level; `rest`: what the season does not explain of it
    spread     float64[n]     standard deviation of `moved`, > 0
    window     float32[n, 16] cell intp[n]: see `subspace`, `context`
    """

    deviation: Floats
    expected: Floats
    moved: Floats
    rest: Floats
    spread: Floats
    window: NDArray[np.float32]
    cell: Places


def measure(columns: Columns, settings: Settings, row: Places, now: Floats, x: Floats, dt: Floats, half: Places, hour: Places) -> Residuals:
    """Look at one reading of each tag; follows the present in `now` (float64[25, n], in place), learns nothing."""
    level, since = now[USUAL], now[SINCE]
    moved = x - level
    seasonal = season.expected(columns, row, half, hour)
    rest = moved - seasonal
    spread = np.sqrt(now[SPREAD]) + 1e-9 * np.abs(level) + 1e-30
    _follow(now, settings, rest, moved, dt, since)
    at = span(row)
    window = subspace.push(columns, at, rest / spread)
    before = np.where(since > 0, now[CELL], -1).astype(np.intp)
    cell = context.cell(moved, spread)
    deviation = np.empty((len(MEMBERS), len(row)))
    deviation[0] = np.abs(rest)
    deviation[1], deviation[2], deviation[3] = np.abs(now[MID]), np.abs(now[SLOW]), np.abs(now[MOVED])
    deviation[4] = _louder(now[SHORT], now[POWER_LONG], now[COUNT])
    deviation[5] = context.surprise(columns, row, before, cell)
    deviation[6] = np.where(since >= LAGS, subspace.unexplained(columns, at, window), 0.0)
    now[CELL] = cell
    return Residuals(deviation, level + seasonal, moved, rest, spread, window, cell)


def _follow(now: Floats, settings: Settings, rest: Floats, moved: Floats, dt: Floats, since: Floats) -> None:
    """The averages of the present: they move in alarm too."""
    least = now[INTERVAL] * _SHORTEST
    tau = np.maximum(least, settings.smooth * _SMOOTH)
    now[MID : SHORT + 1] = towards(now[MID : SHORT + 1], np.stack([rest, rest, moved, rest * rest]), weight(dt, tau, since))


def _louder(short: Floats, long: Floats, count: Floats) -> Floats:
    """ln of how much more power there is than usual, 0 for less: a sensor that goes quiet is `sensor`'s to tell."""
    floor = 1e-6 * long + 1e-60
    return np.where(count > 1, np.maximum(np.log(short + floor) - np.log(long + floor), 0.0), 0.0)
