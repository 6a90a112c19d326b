"""Brings one machine's tags side by side on a tick, for detectors that take frames."""

from __future__ import annotations

import numpy as np

from gateway.contract import Batch, Frame, Tag
from gateway.engine.stages import leapt, rounds

_LEAP_TICKS = 10
_LEAP_SECONDS = 10.0
_NEVER = np.iinfo(np.int64).min // 2


class Aligner:
    """Last value per tag at the end of each tick, as long as it is valid; NaN otherwise, never invented.

    every      tick in seconds; tick ends are multiples of it since 1970
    valid_for  seconds a value stands for its tag (report by exception sends no repeats); for a tag with a deadband its
               heartbeat is added, because the deadband keeps repeats back that long

    A tick is emitted when a reading of a later tick arrives. Readings older than the last tick are left out: they
    would change the past. Ticks without any reading of the machine are not emitted.

    One tag alone far ahead of the others (a wrong clock, a single wrong time) does not take the machine with it: when a
    reading follows that is more than 10 ticks and 10 s behind, the tick goes back to it, unless a tick in between was
    emitted; the value from the future is forgotten.
    """

    def __init__(self, machine: str, tags: tuple[Tag, ...], *, every: float, valid_for: float) -> None:
        self.machine = machine
        self.names = tuple(tag.name for tag in tags)
        self.tags = np.array([tag.index for tag in tags], dtype=np.int32)
        self._column = np.full(int(self.tags.max()) + 1, -1, dtype=np.int32)
        self._column[self.tags] = np.arange(len(tags), dtype=np.int32)
        self._every_ns = int(every * 1e9)
        held_back = [tag.options.heartbeat if tag.options.deadband > 0 else 0.0 for tag in tags]
        self._valid_ns = np.array([int((valid_for + seconds) * 1e9) for seconds in held_back], dtype=np.int64)
        self._value = np.full(len(tags), np.nan)
        self._t_ns = np.full(len(tags), _NEVER)
        self._tick = -1
        self._next = 0
        self._leapt_ns = 0
        self._leap = max(_LEAP_TICKS, int(_LEAP_SECONDS / every))

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much. If the machine's times go by it, what is held goes with it."""
        self._leapt_ns += delta_ns if self._tick >= 0 else 0

    def _follow(self, t_ns: int) -> None:
        delta_ns, self._leapt_ns = self._leapt_ns, 0
        if leapt(t_ns, self._tick * self._every_ns, delta_ns):
            self._t_ns[self._t_ns != _NEVER] += delta_ns
            self._tick, self._next = t_ns // self._every_ns, 0

    def add(self, batch: Batch) -> Frame | None:
        """Readings of this machine in, finished ticks out."""
        if not len(batch):
            return None
        order = np.argsort(batch.t_ns, kind="stable")
        batch = batch.select(order)
        ticks = batch.t_ns // self._every_ns
        if self._tick < 0:
            self._tick = int(ticks[0])
        if self._leapt_ns:
            self._follow(int(batch.t_ns[0]))
        self._go_back(ticks)
        rows: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []
        ends: list[int] = []
        for tick in dict.fromkeys(ticks[ticks >= self._tick].tolist()):
            if tick > self._tick:
                end = (self._tick + 1) * self._every_ns
                rows.append(self._row(end))
                ends.append(end)
                self._next, self._tick = self._tick + 1, tick
            self._hold(batch.select(ticks == tick))
        if not rows:
            return None
        return Frame(machine=self.machine, names=self.names, tags=self.tags, t_ns=np.array(ends, dtype=np.int64), x=np.array(rows))

    def _go_back(self, ticks: np.ndarray[tuple[int], np.dtype[np.int64]]) -> None:
        """After a leap that only one tag made. Ticks before `_next` are told and stay as they are."""
        behind = ticks[(ticks >= self._next) & (ticks < self._tick - self._leap)]
        ahead = self._t_ns >= self._tick * self._every_ns
        if len(behind) and ahead.sum() == 1:
            self._tick = int(behind[0])
            self._value[ahead], self._t_ns[ahead] = np.nan, _NEVER

    def _hold(self, batch: Batch) -> None:
        for piece in rounds(batch.tag):
            column = self._column[batch.tag[piece]]
            newer = batch.t_ns[piece] >= self._t_ns[column]
            self._value[column[newer]] = batch.value[piece][newer]
            self._t_ns[column[newer]] = batch.t_ns[piece][newer]

    def _row(self, end_ns: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.where(end_ns - self._t_ns <= self._valid_ns, self._value, np.nan)
