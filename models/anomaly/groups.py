"""Which tags' alarms are one incident: those of a machine that begin within a short time of the first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Tag
from models.anomaly.columns import BEGAN, KIND, SEVERITY, Columns
from models.anomaly.settings import NONE

_INTERVALS = 5.0  # readings of a slow tag that "together" allows for, at least
_MANY, _MOST = 4, 0.6  # tags, and share of the machine's, that move together when its operating point changes


@dataclass(frozen=True, slots=True)
class Told:
    """One tag's news, in numbers.

    at          position in the item it came with
    limit       z from which it is an alarm
    width       half width of the usual band, engineering units
    shares      of each member in the sum
    interval    seconds between its readings
    alarms      of the last week
    """

    at: int
    row: int
    t_ns: int
    value: float
    expected: float
    deviation: float
    width: float
    kind: int
    severity: int
    z: float
    limit: float
    began_ns: int
    began: bool
    accepted: bool
    shares: tuple[float, ...]
    interval: float
    alarms: int


class Groups:
    """What has been told of each tag, and whose incident it is part of; follows `Told` in their order."""

    def __init__(self, tags: Sequence[Tag], columns: Columns, together: float) -> None:
        self._columns, self._together = columns, together
        names = {machine: number for number, machine in enumerate(dict.fromkeys(tag.machine for tag in tags))}
        self._machine = np.array([names[tag.machine] for tag in tags])
        self.restore()

    def restore(self) -> None:
        """Begin where the columns are: after `load`."""
        c = self._columns
        self.kind, self.severity, self.since = c.alarm[KIND].copy(), c.alarm[SEVERITY].copy(), c.times[BEGAN].copy()

    def speaker(self, news: Told) -> int | None:
        """Row of the tag whose condition tells this; None: nothing new is to be told, the incident goes on."""
        c, row = self._columns, news.row
        was, leader = int(self.kind[row]), int(c.leader[row])
        self.kind[row], self.severity[row], self.since[row] = news.kind, news.severity, news.began_ns
        c.said[:, row] = news.z, news.deviation
        if news.kind > NONE:
            if was == NONE:
                leader = int(c.leader[row]) if leader >= 0 and self._lives(leader, but=row) else self._join(row, news)
                c.leader[row] = leader
            return row if leader < 0 else leader
        if leader >= 0:
            c.leader[row] = -1
            return None if self._lives(leader, but=row) else leader
        return None if self._followers(row).any() else row

    def members(self, row: int) -> list[int]:
        """Rows in alarm of the incident of `row`, strongest first."""
        rows = np.flatnonzero((self._columns.leader == row) & (self.kind > NONE))
        own = [row] if self.kind[row] > NONE else []
        found = [*own, *rows.tolist()]
        return sorted(found, key=lambda one: (-float(self._columns.said[0, one]), one))

    def operating_point(self, members: Sequence[int]) -> bool:
        """Do most of a machine's tags move together?"""
        return len(members) >= max(_MANY, _MOST * int((self._machine == self._machine[members[0]]).sum()))

    def _join(self, row: int, news: Told) -> int:
        """The incident that began shortly before; -1: none."""
        c = self._columns
        window = int(max(self._together, _INTERVALS * news.interval) * 1e9)
        open_ = (self._machine == self._machine[row]) & (self.kind > NONE) & (c.leader < 0) & (np.abs(news.t_ns - self.since) <= window)
        open_[row] = False
        found = np.flatnonzero(open_)
        return int(found[np.argmin(self.since[found])]) if len(found) and not self._followers(row).any() else -1

    def _lives(self, leader: int, *, but: int) -> bool:
        followers = self._followers(leader)
        followers[but] = False
        return bool(self.kind[leader] > NONE or followers.any())

    def _followers(self, leader: int) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = (self._columns.leader == leader) & (self.kind > NONE)
        return found
