"""What is normal in one operating state: level, spread and common movement of k tags."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.machine.tail import Tail

Floats = NDArray[np.float64]

WAIT, LEVEL = 3.0, 15.0  # times `smooth`: before a row is learnt; over which the level follows
_QUEUE = 128  # rows that wait, at most
_YOUNG = 2 * WAIT  # times `smooth`: a level that is younger tells no deviation
_MOVES = 8  # a tag that changed less often has shown no spread
_ROUNDING = 1e-9  # a spread that is smaller, in parts of the level, is of the arithmetic
_HELD = 3.0  # standard deviations: in an alarm, levels of such tags wait
_LONGEST, _SHORTEST = 0.98, float(np.exp(-WAIT))  # autocorrelation over WAIT
MEMBERS = 4  # own, given the others, T2, Q

TAG_COLUMNS = ("smooth", "factor", "usual_factor", "level", "noise", "rows", "seconds", "learnt", "roughness", "moves", "held_for")


class Waiting(NamedTuple):
    """A row that is not yet judged: what was seen, its deviation (NaN: too young or missing), its rarities (none: too young to tell
    of a tail), seconds it stands for."""

    x: Floats
    deviation: Floats
    rarities: tuple[float, ...]
    seconds: float
    alarm: bool


class Known(NamedTuple):
    """What was known of k tags when it was last looked at; float64.

    correlation  of the deviations [k, k]; a tag without spread is correlated with none
    variance     of the deviations [k]; 0: the tag has shown none
    freedom      independent looks behind the variance [k]: seconds learnt over the correlation time. A slow tag was seen few times
    warm         1: it has been seen for as long as the warm-up takes [k]
    """

    correlation: Floats
    variance: Floats
    freedom: Floats
    warm: Floats


class Baseline:
    """See README.md, "How it works". All is float64; missing values are NaN; `dt` in seconds.

    smooth, factor       mean over `smooth` [k], and its variance in parts of a single row's [k]; usual_factor: in the mean
    level                slow mean [k]; learnt from rows that waited and were judged normal
    noise                variance of single rows about `smooth` [k]
    covariance, weight   of the deviations smooth - level [k, k], and rows in it
    roughness            mean square change of the deviation over WAIT [k]
    learnt               seconds behind covariance [k]; moves: changes of value [k]; held_for: seconds a level has been held [k]
    """

    def __init__(self, k: int, smooth_seconds: float, memory_seconds: float) -> None:
        self.k, self._tau, self._memory = k, smooth_seconds, memory_seconds
        for name in TAG_COLUMNS:
            setattr(self, name, np.zeros(k))
        self.covariance, self.weight = np.zeros((k, k)), np.zeros((k, k))
        self.recent: Floats = np.full((2, k), np.nan)
        self.tails = [Tail() for _ in range(MEMBERS + 1)]
        self.known, self.known_for = Known(np.eye(k), np.zeros(k), np.ones(k), np.zeros(k)), 0
        self.queue: deque[Waiting] = deque()
        self.queued, self.waited = 0.0, 0.0  # seconds since a row was put there, and that the rows there stand for
        self.calm = False

    smooth: Floats
    factor: Floats
    usual_factor: Floats
    level: Floats
    noise: Floats
    rows: Floats
    seconds: Floats
    learnt: Floats
    roughness: Floats
    moves: Floats
    held_for: Floats

    def enter(self) -> None:
        """The machine begins to run in this state, or was not seen for a while: what was smoothed is of another time."""
        self.recent[:] = np.nan
        self.factor[:] = 0.0
        self._drop_queue()

    def _drop_queue(self) -> None:
        self.queue.clear()
        self.queued, self.waited = 0.0, 0.0

    def see(self, dt: float, x: Floats, *, alarm: bool) -> Floats:
        """The deviation of the smoothed row from the level [k], NaN where there is none."""
        there = ~np.isnan(x)
        x = self._without_spikes(x, there)
        fresh = there & (self.factor == 0.0)
        if fresh.any():
            self.smooth[fresh], self.factor[fresh] = x[fresh], 1.0
            first = there & (self.rows == 0)
            self.level[first] = x[first]
        share = np.maximum(1 - math.exp(-dt / self._tau), 1 / (self.rows + 1)) * there
        step = np.where(there, x - self.smooth, 0.0)
        self.smooth += share * step
        self.factor = np.where(fresh, 1.0, (1 - share) ** 2 * self.factor + share**2)
        self.rows += there
        self.seconds += dt * there
        if not alarm:
            weight = np.maximum(1 / np.maximum(self.rows, 1), 1 - math.exp(-dt / (LEVEL * self._tau))) * there
            self.noise += weight * (step * step - self.noise)
            self.usual_factor += weight * (self.factor - self.usual_factor)
        self._x = np.where(there, x, np.nan)
        return np.where(there & (self.seconds >= _YOUNG * self._tau), self.smooth - self.level, np.nan)

    def _without_spikes(self, x: Floats, there: NDArray[np.bool_]) -> Floats:
        """The median of the last three rows: what lasts one row is of the sensor."""
        older, last = self.recent
        self.moves += there & (x != last) & ~np.isnan(last)
        middle = np.maximum(np.minimum(older, last), np.minimum(np.maximum(older, last), x))
        if there.all():
            self.recent = np.array([last, x])
        else:
            self.recent = np.where(there, np.array([last, x]), self.recent)
        return np.where(np.isnan(older), x, middle)

    def look(self, rows: float, seconds: float) -> None:
        """Take the variances and correlations as they are now; `rows` and `seconds` of the warm-up."""
        usual = np.diag(self.covariance)
        shown = (usual > (_ROUNDING * self.level) ** 2) & (self.moves >= _MOVES)
        scale = np.where(shown, 1 / np.sqrt(np.where(shown, usual, 1.0)), 0.0)
        matrix = np.clip(self.covariance * scale[:, None] * scale, -1.0, 1.0)
        np.fill_diagonal(matrix, 1.0)
        kept = np.clip(1 - self.roughness / (2 * np.maximum(usual, 1e-300)), _SHORTEST, _LONGEST)
        freedom = np.maximum(self.learnt * -np.log(kept) / (WAIT * self._tau), 1.0)
        warm = self.warm_ups(rows, seconds) >= 1
        self.known = Known(matrix, np.where(shown, usual, 0.0), freedom, warm.astype(np.float64))

    def spread(self) -> Floats:
        """Standard deviation that a deviation has now [k]; 0: the tag has shown none."""
        tau, variance = self._tau, self.known.variance
        # A level that is held is as uncertain as one that walks as fast as the level follows (Muth 1960: tau^2 = noise / walk).
        walk = 1 / (LEVEL * tau) ** 2 / (1 / (2 * tau) + 1 / (LEVEL * tau) + WAIT / LEVEL**2 / tau)
        unsmoothed = self.noise * np.maximum(self.factor - self.usual_factor, 0.0)
        found: Floats = np.where(variance > 0, np.sqrt(variance * (1 + walk * self.held_for) + unsmoothed), 0.0)
        return found

    def warm_ups(self, rows: float, seconds: float) -> Floats:
        """How often each tag has been seen for as long as the warm-up takes [k]."""
        return np.minimum(self.rows / rows, self.seconds / seconds if seconds else np.inf)

    def wait(self, dt: float, deviation: Floats, z: Floats, rarities: tuple[float, ...], *, alarm: bool) -> None:
        """Put the row into the queue, and learn the one that has waited long enough."""
        held = alarm & (np.abs(z) > _HELD)
        self.held_for = np.where(held, self.held_for + dt, np.maximum(0.0, self.held_for - 2 * dt))
        self.queued += dt
        if self.queued < WAIT * self._tau / _QUEUE and self.queue:
            return
        self.queue.append(Waiting(self._x, deviation, rarities, self.queued, alarm))
        self.waited, self.queued = self.waited + self.queued, 0.0
        while self.waited - self.queue[0].seconds >= WAIT * self._tau:
            row = self.queue.popleft()
            self.waited -= row.seconds
            self._learn(row, deviation, held, alarm=alarm)

    def _learn(self, row: Waiting, now: Floats, held: NDArray[np.bool_], *, alarm: bool) -> None:
        there = ~(np.isnan(row.x) | held)
        share = np.maximum(1 - math.exp(-row.seconds / (LEVEL * self._tau)), 1 / np.maximum(self.rows - len(self.queue), 1))
        self.level += np.where(there, share * (row.x - self.level), 0.0)
        if alarm or row.alarm:
            return
        known = ~np.isnan(row.deviation)
        if not known.any():
            return
        keep = math.exp(-row.seconds / self._memory)
        e = np.where(known, row.deviation, 0.0)
        pairs = known[:, None] & known
        self.weight += pairs
        part = np.where(pairs, np.maximum(1 - keep, 1 / np.maximum(self.weight, 1)), 0.0)
        self.covariance += part * (e[:, None] * e - self.covariance)
        change = now - e
        both = known & ~np.isnan(change)
        self.roughness += np.where(both, part.diagonal() * (change * change - self.roughness), 0.0)
        self.learnt = np.where(known, self.learnt * keep + row.seconds, self.learnt)
        for tail, rarity in zip(self.tails, row.rarities, strict=False):
            tail.learn(rarity, row.seconds / (2 * self._tau), keep)

    def adopt(self, which: NDArray[np.bool_]) -> None:
        """The levels of these tags are where they are now."""
        self.level[which] = self.smooth[which]
        self.held_for[which] = 0.0
        self._drop_queue()

    def forget(self, which: NDArray[np.bool_]) -> None:
        """Begin anew with these tags."""
        for name in TAG_COLUMNS:
            getattr(self, name)[which] = 0.0
        for matrix in (self.covariance, self.weight):
            matrix[which, :] = 0.0
            matrix[:, which] = 0.0
        self.recent[:, which] = np.nan
        self._drop_queue()
        self.known, self.known_for = Known(np.eye(self.k), np.zeros(self.k), np.ones(self.k), np.zeros(self.k)), 0
        if which.all():
            self.tails, self.calm = [Tail() for _ in range(MEMBERS + 1)], False
