"""How far each tag has come, and which stretches are still to be read from the server's history. Survives restarts."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Clock, Tag

WRITE_SECONDS = 60.0
_SECONDS_PER_TAG = 0.06  # 10,000 tags are written every ten minutes: half a megabyte each time must not wear out a card
MOST_GAPS_PER_TAG = 4
_SET_BACK_NS = 86_400 * 10**9
"""A reading so much older than the one before it, which was of a time to come: the clock was ahead, and nothing would be missed until then.
"""


@dataclass(slots=True)
class Gap:
    """Between two readings of one tag, both of which we have.

    from_ns   moves on as what was read is handed over
    read_ns   moves on as it is read; `read`: to the end
    """

    position: int
    from_ns: int
    to_ns: int
    read_ns: int = field(default=0, compare=False)
    read: bool = field(default=False, compare=False)


class Cursor:
    """Source times by position of the tag. `path` is written seldom and at the end; what came since is read again after a crash."""

    def __init__(self, path: Path, tags: Sequence[Tag], clock: Clock) -> None:
        self._path, self._names, self._clock = path, [tag.name for tag in tags], clock
        self._last: NDArray[np.int64] = np.zeros(len(tags), np.int64)
        self._seen = np.zeros(len(tags), np.bool_)
        self._written_at = -np.inf
        self._loaded = False
        self.gaps: list[Gap] = []

    def connected(self, reach_seconds: float) -> None:
        """A new connection: until a tag has told its first value, what lies between is a gap. Not more than `reach_seconds` of it."""
        if not self._loaded:
            self._load()
            self._loaded = True
        oldest = self._clock.now_ns() - int(reach_seconds * 1e9)
        self._last = np.where(self._last > 0, np.maximum(self._last, oldest), 0)
        self._seen[:] = False
        for gap in self.gaps:
            gap.from_ns = max(gap.from_ns, oldest)
            gap.read_ns, gap.read = gap.from_ns, False
        self.gaps = [gap for gap in self.gaps if gap.to_ns > gap.from_ns]

    def took(self, positions: NDArray[np.int64], t_ns: NDArray[np.int64]) -> bool:
        """Live readings, in order; whether there are new gaps in front of them."""
        fresh = np.flatnonzero(~self._seen[positions])
        new = False
        for row in fresh.tolist():
            position, first = int(positions[row]), int(t_ns[row])
            if not self._seen[position]:
                self._seen[position] = True
                new |= self._open(position, first)
        last = self._last[positions]
        was_ahead = (last > self._clock.now_ns()) & (t_ns < last - _SET_BACK_NS)  # a PLC that begins in 1970 was not: it has no time yet
        self._last[positions] = np.where(was_ahead, t_ns, np.maximum(last, t_ns))
        return new

    def _open(self, position: int, first_ns: int) -> bool:
        last = int(self._last[position])
        if not 0 < last < first_ns or sum(gap.position == position for gap in self.gaps) >= MOST_GAPS_PER_TAG:
            return False
        self.gaps.append(Gap(position, last, first_ns, last))
        return True

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        return self._clock.monotonic() - self._written_at >= max(WRITE_SECONDS, _SECONDS_PER_TAG * len(self._names))

    def write(self) -> None:
        """Raises OSError."""
        if not self._loaded:
            return
        self._written_at = self._clock.monotonic()
        last = {name: int(t) for name, t in zip(self._names, self._last.tolist(), strict=True) if t}
        gaps = [[self._names[gap.position], gap.from_ns, gap.to_ns] for gap in self.gaps]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        with temporary.open("w") as file:
            json.dump({"last": last, "gaps": gaps}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def _load(self) -> None:
        """A file that is not there, or not ours, means that nothing is known: nothing is filled."""
        place = {name: position for position, name in enumerate(self._names)}
        try:
            told: Any = json.loads(self._path.read_bytes())
            for name, t_ns in told["last"].items():
                if name in place:
                    self._last[place[name]] = int(t_ns)
            self.gaps = [Gap(place[name], int(start), int(end)) for name, start, end in told["gaps"] if name in place]
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
            self._last[:], self.gaps = 0, []
