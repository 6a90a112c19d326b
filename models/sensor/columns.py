"""What is remembered of each tag and each machine, as arrays: about half a kilobyte per tag."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.sensor.settings import DAY_NS, TICK_NS
from models.sensor.tags import NAMES

(
    LAST, BEFORE, WITHHELD, COUNT, BAD_SHARE, RANGE_SHARE, INTERVAL, LONGEST, SEEN, DUE, STILL, RUN, MOVES, SIZE, USUAL_SIZE,
    STEP, IN_BLOCK, LOW, HIGH, BLOCK_STEP, RATE, OLD_STILL, OLD_SIZE, OLD_STEP, OLD_RATE, NEW_STILL, NEW_SIZE, NEW_STEP, NEW_RATE,
) = range(29)  # fmt: skip
"""Rows of `Columns.now`.

LAST         last good value; BEFORE: the one before it if LAST jumped away from it, else NaN
WITHHELD     readings marked as spikes since LAST
COUNT        good readings
BAD_SHARE, RANGE_SHARE   of the readings, over `window`
INTERVAL, LONGEST        seconds between readings, mean and largest, while its machine was alive; SEEN: alive time of the last one
DUE          alive time from which the tag is missing; infinite: nobody can tell
STILL        readings since the last move; RUN: usual readings per move; MOVES: how many there were
SIZE         mean log2 of the last moves; USUAL_SIZE: over `memory`
STEP         common divisor of the moves in this block, IN_BLOCK: how many, LOW and HIGH: of the values
BLOCK_STEP   log2 of the last block's divisor if it spans enough levels of it and it is no less than half of a usual move; else -inf
RATE         spikes, each fading over an hour
OLD_*, NEW_* extremes in earlier stretches of `warm_up`, fading over `memory`, and in this one: longest stretch without a move,
             smallest SIZE, finest STEP (log2), highest RATE
"""
NEWEST, MOVED, BEGAN = range(3)
"""Rows of `Columns.times`: newest reading, last move, begin of this stretch of `warm_up` (0: none has begun)."""
DAYS = 8


@dataclass(slots=True)
class Table:
    """Arrays whose last axis is the tag, or the machine."""

    def by_row(self) -> dict[str, NDArray[np.generic]]:
        """Each array with the tag or machine as its first axis (views), by name."""
        return {field.name: np.moveaxis(getattr(self, field.name), -1, 0) for field in fields(self)}

    def restart(self, rows: NDArray[np.intp], fresh: Self) -> None:
        """Give these rows the values of `fresh`, which has as many."""
        new = fresh.by_row()
        for name, column in self.by_row().items():
            column[rows] = new[name]


@dataclass(slots=True)
class Columns(Table):
    """Of the tags.

    now      float64[29, k]   see above
    times    int64[3, k]      see above
    stretch  int64[k]         stretches of `warm_up` that are complete
    active   bool[7, k]       which troubles it has; told: whether that was said since the start
    since    int64[7, k]      when they began; wrong: when they were last seen (0: not looked at yet); well: good readings since
    alarms   int64[2, 8, k]   how many troubles began on which day, for a week
    """

    now: NDArray[np.float64]
    times: NDArray[np.int64]
    stretch: NDArray[np.int64]
    active: NDArray[np.bool_]
    told: NDArray[np.bool_]
    since: NDArray[np.int64]
    wrong: NDArray[np.int64]
    well: NDArray[np.int64]
    alarms: NDArray[np.int64]

    @staticmethod
    def fresh(k: int) -> Columns:
        """Nothing known of k tags."""
        t = len(NAMES)
        now = np.zeros((29, k))
        now[[LAST, BEFORE]] = np.nan
        now[[DUE, LOW, OLD_SIZE, OLD_STEP, NEW_SIZE, NEW_STEP]] = np.inf
        now[[HIGH, BLOCK_STEP]] = -np.inf
        return Columns(
            now=now,
            times=np.zeros((3, k), dtype=np.int64),
            stretch=np.zeros(k, dtype=np.int64),
            active=np.zeros((t, k), dtype=np.bool_),
            told=np.zeros((t, k), dtype=np.bool_),
            since=np.zeros((t, k), dtype=np.int64),
            wrong=np.zeros((t, k), dtype=np.int64),
            well=np.zeros((t, k), dtype=np.int64),
            alarms=np.zeros((2, DAYS, k), dtype=np.int64),
        )

    def leap(self, rows: NDArray[np.intp], delta_ns: int) -> None:
        """All times of these tags were so much later; 0 is none. Days go by whole ones."""
        for times in (self.times, self.since, self.wrong):
            times[:, rows] += np.where(times[:, rows] > 0, delta_ns, 0)
        days = round(delta_ns / DAY_NS)
        begun = self.alarms[0][:, rows]
        self.alarms[0][:, rows] = np.where(begun > 0, begun + days, 0)
        self.alarms[:, :, rows] = np.roll(self.alarms[:, :, rows], days, axis=1)

    def forget(self, rows: NDArray[np.intp]) -> None:
        """Start these tags anew, except for their troubles: whether those are over is not known."""
        kept = {name: getattr(self, name)[..., rows].copy() for name in ("active", "since", "alarms")}
        newest = self.times[NEWEST, rows].copy()
        self.restart(rows, Columns.fresh(len(rows)))
        for name, column in kept.items():
            getattr(self, name)[..., rows] = column
        self.times[NEWEST, rows] = newest


@dataclass(slots=True)
class Machines(Table):
    """Of the machines.

    tick    int64[m]    newest step of its time; alive: float64[2, m] seconds it gave readings in, and its usual seconds per step
    paces   int64[m]    steps so far
    due     float64[m]  alive time before which no tag of it is missing
    rests   bool[m]     most of what usually moves stands still
    block   int64[3, m] readings, late ones, and time of the first late one since the last look
    late    bool[2, m]  its times go back; that was said since the start; late_since int64[m]
    """

    tick: NDArray[np.int64]
    alive: NDArray[np.float64]
    paces: NDArray[np.int64]
    due: NDArray[np.float64]
    rests: NDArray[np.bool_]
    block: NDArray[np.int64]
    late: NDArray[np.bool_]
    late_since: NDArray[np.int64]

    def leap(self, m: int, delta_ns: int) -> None:
        """All times of this machine were so much later; 0 is none."""
        self.tick[m] += delta_ns // TICK_NS if self.tick[m] else 0
        self.block[2, m] += delta_ns if self.block[2, m] else 0
        self.late_since[m] += delta_ns if self.late_since[m] else 0

    @staticmethod
    def fresh(m: int) -> Machines:
        """Nothing known of m machines."""
        return Machines(
            tick=np.zeros(m, dtype=np.int64),
            alive=np.zeros((2, m)),
            paces=np.zeros(m, dtype=np.int64),
            due=np.full(m, np.inf),
            rests=np.zeros(m, dtype=np.bool_),
            block=np.zeros((3, m), dtype=np.int64),
            late=np.zeros((2, m), dtype=np.bool_),
            late_since=np.zeros(m, dtype=np.int64),
        )
