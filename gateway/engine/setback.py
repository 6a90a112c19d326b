"""Sees that a clock of a source was set back: what a tag tells is older than before, at the pace of the gateway's clock, and stays so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

EVIDENT_NS = 60_000_000_000
"""Nothing newer has come for so long: what is late for less puts itself in order."""
FEWEST = 3
"""Readings, so that two that were on their way for long are no clock."""
_SWAY_NS = 10_000_000_000
"""How evenly it goes on: what is sent later from a store comes faster than it was measured."""
_LOOK_NS = 1_000_000_000

Times = NDArray[np.int64]
Tags = NDArray[np.int32]


class Behind:
    """Tags whose readings are late, one after the other. Arrays are [number of tags]; nothing is done while none is late.

    any       there is such a tag
    first_ns  the time of the first late one
    """

    def __init__(self, tags: int) -> None:
        self.any = False
        self._looked_ns = 0
        self._count = np.zeros(tags, np.int32)
        self._row = np.zeros(tags, np.intp)
        self.first_ns, self._since_ns, self._ahead_ns = (np.zeros(tags, np.int64) for _ in range(3))

    def late(self, tag: Tags, t_ns: Times, now_ns: int) -> None:
        """These are older than what their tags told before, in the order of their time; `now_ns` is the gateway's clock."""
        self.any = True
        rows = np.arange(len(tag))
        self._row[tag] = rows
        last = self._row[tag] == rows  # of what came together the newest one says how late it is
        tag, t_ns = tag[last], t_ns[last]
        ahead_ns = t_ns - now_ns
        begins = (self._count[tag] == 0) | (np.abs(ahead_ns - self._ahead_ns[tag]) > _SWAY_NS)
        first = tag[begins]
        self._since_ns[first], self._ahead_ns[first], self.first_ns[first] = now_ns, ahead_ns[begins], t_ns[begins]
        self._count[first] = 0
        self._count[tag] += 1

    def in_time(self, tag: Tags) -> None:
        """These are not, or not any more."""
        self._count[tag] = 0
        self.any = bool(self._count.any())

    def newest_ns(self, tags: list[int], now_ns: int) -> int:
        """None of these, which are late, has told anything newer since."""
        return now_ns + int(self._ahead_ns[tags].max()) + _SWAY_NS

    def clear(self) -> None:
        """The gateway's clock was put right: what was measured against it says nothing."""
        self._count[:], self._looked_ns, self.any = 0, 0, False

    def adopt(self, old: Behind, tags: int) -> None:
        """After a reload: what was seen of the first so many tags goes on."""
        for mine, before in zip(self._columns(), old._columns(), strict=True):
            mine[:tags] = before[:tags]
        self.any = bool(self._count.any())

    def _columns(self) -> tuple[NDArray[Any], ...]:
        return self._count, self.first_ns, self._since_ns, self._ahead_ns

    def evident(self, now_ns: int) -> list[int]:
        """Tags whose clock was set back, beyond doubt; looked for once a second."""
        if now_ns - self._looked_ns < _LOOK_NS:
            return []
        self._looked_ns = now_ns
        found: list[int] = np.flatnonzero((self._count >= FEWEST) & (now_ns - self._since_ns >= EVIDENT_NS)).tolist()
        return found


class Resumed:
    """The same over a start: detectors remember what came before it, the stages do not. By machine, for its readings all together.

    newest_ns   what each machine told last, as it was noted before the start; forgotten as soon as it tells something newer
    noted_ns    how long before the start that may have been; detectors may remember what came later
    """

    def __init__(self, newest_ns: Mapping[str, int], noted_ns: int = 0) -> None:
        self._newest_ns, self._noted_ns = dict(newest_ns), noted_ns
        self._seen: dict[str, tuple[int, int, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._newest_ns)

    def __contains__(self, machine: str) -> bool:
        return machine in self._newest_ns

    def set_back(self, machine: str, t_ns: int, now_ns: int) -> int:
        """By how much its clock was (below 0), once, when that is evident; else 0. `t_ns` is the newest time of what came now."""
        newest_ns = self._newest_ns.get(machine, 0)
        if t_ns >= newest_ns:
            self._newest_ns.pop(machine, None)
            return 0
        count, since_ns, first_ns = self._seen.get(machine, (0, now_ns, t_ns))
        if abs((t_ns - first_ns) - (now_ns - since_ns)) > _SWAY_NS:
            count, since_ns, first_ns = 0, now_ns, t_ns
        self._seen[machine] = count + 1, since_ns, first_ns
        if count + 1 < FEWEST or now_ns - since_ns < EVIDENT_NS:
            return 0
        del self._newest_ns[machine]
        return first_ns - newest_ns - self._noted_ns
