"""The members of the bank: in how many ways one reading differs from what is usual. Deviations only; how rare they are is `tail`'s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import context, season, subspace
from models.anomaly.calendar import Slots
from models.anomaly.columns import CELL, COUNT, INTERVAL, LAGS, MID, MOVED, POWER_LONG, SHORT, SINCE, SPREAD, USUAL, Columns
from models.anomaly.ewma import weight
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
    season     float64[2, 2, n], window float32[n, 16], before, origin and move intp[n]: see `season`, `subspace`, `context`
    """

    deviation: Floats
    expected: Floats
    moved: Floats
    rest: Floats
    spread: Floats
    season: Floats
    window: NDArray[np.float32]
    before: Places
    origin: Places
    move: Places


def measure(columns: Columns, settings: Settings, row: Places, now: Floats, x: Floats, dt: Floats, slots: Slots) -> Residuals:
    """Look at one reading of each tag; follows the present in `now` (float64[25, n], in place), learns nothing."""
    at, level, since = span(row), now[USUAL], now[SINCE]
    moved = x - level
    known = season.known(columns, row, slots)
    seasonal = season.expected(known)
    expected, rest = level + seasonal, moved - seasonal
    spread = np.sqrt(now[SPREAD]) + 1e-9 * np.abs(level) + 1e-30
    _follow(now, settings, rest, moved, dt, since)
    window = subspace.push(columns, at, rest / spread)
    before = np.where(since > 0, now[CELL], -1).astype(np.intp)
    cell = context.cell(moved, spread)
    origin, move = context.places(row, before, cell)
    deviation = np.empty((len(MEMBERS), len(row)))
    np.abs(rest, out=deviation[0])
    np.abs(now[MID : MOVED + 1], out=deviation[1:4])
    deviation[4] = _louder(now)
    deviation[5] = context.surprise(columns, before, origin, move)
    deviation[6] = np.where(since >= LAGS, subspace.unexplained(columns, at, window), 0.0)
    now[CELL] = cell
    return Residuals(deviation, expected, moved, rest, spread, known, window, before, origin, move)


def _follow(now: Floats, settings: Settings, rest: Floats, moved: Floats, dt: Floats, since: Floats) -> None:
    """The averages of the present: they move in alarm too."""
    tau = np.maximum(now[INTERVAL] * _SHORTEST, settings.smooth * _SMOOTH)
    averages = now[MID : SHORT + 1]
    averages += weight(dt, tau, since) * (np.array((rest, rest, moved, rest * rest)) - averages)


def _louder(now: Floats) -> Floats:
    """ln of how much more power there is than usual, 0 for less: a sensor that goes quiet is `sensor`'s to tell."""
    short, usual = np.log(now[SHORT : POWER_LONG + 1] + (1e-6 * now[POWER_LONG] + 1e-60))
    return np.where(now[COUNT] > 1, np.maximum(short - usual, 0.0), 0.0)
