"""When readings came that a recording has by a clock which was set back: it tells some times twice, and no other clock is in it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch
from gateway.engine.setback import EVIDENT_NS, FEWEST

Flags = NDArray[np.bool_]
Times = NDArray[np.int64]


def ahead(t_ns: Times, tag: NDArray[np.int32]) -> Times:
    """int64[n]: how far a clock that was never set back is ahead of these times, which are of one file and in its order.

    What lies behind what came before it was late, came from a store, or is of a clock that was set back. The last tells anew of times that
    its tags have told of, for longer than what is only late, or nothing newer ever comes; a store fills a hole. Where the times leap
    forward by as much again (the hour that comes twice in autumn is over), both clocks are one.

    >>> minute = 60_000_000_000
    >>> t_ns = np.array([0, 1, 2, 3, 4, 1, 2, 3, 4, 9]) * minute
    >>> (ahead(t_ns, np.zeros(10, np.int32)) // minute).tolist()
    [0, 0, 0, 0, 0, 3, 3, 3, 3, 0]
    """
    found = np.zeros(len(t_ns), np.int64)
    newest = np.maximum.accumulate(t_ns)
    begins = [0, *(np.flatnonzero(np.diff(t_ns) < 0) + 1).tolist(), len(t_ns)]
    reached, by = 0, 0
    for begin, end in pairwise(begins) if len(t_ns) else ():
        rows = t_ns[begin:end]
        late = begin + int(np.searchsorted(rows, reached)) if begin else 0
        if late > begin and t_ns[late - 1] - rows[0] >= EVIDENT_NS and _told_before(begin, late, t_ns, newest, tag):
            by, reached = by + reached - int(rows[0]), int(rows[0])
        reached = max(reached, int(rows[-1])) if begin else int(rows[-1])
        found[begin:end] = by
        back = np.flatnonzero(np.diff(rows) >= by) + 1
        if by and len(back):
            found[begin + back[0] : end], by = 0, 0
    return found


def _told_before(begin: int, end: int, t_ns: Times, newest: Times, tag: NDArray[np.int32]) -> bool:
    """Of the time that these rows tell of, their tags have told, and about as much; or they are the last that is told."""
    if newest[begin] == newest[-1]:
        return True
    first, last = np.searchsorted(newest[:begin], [t_ns[begin], t_ns[end - 1] + 1])
    return 2 * int(np.isin(tag[first:last], tag[begin:end]).sum()) >= end - begin


def came(t_ns: Times, ahead_ns: Times) -> Times:
    """int64[n]: when they came by that clock, never before the one in front of them."""
    return np.maximum.accumulate(t_ns + ahead_ns)


def set_back(batch: Batch, ahead_ns: Times) -> Flags:
    """bool[n]: of each tag, the readings that show that its clock was: as many as the stages want to see, one by one."""
    found = np.zeros(len(batch), dtype=bool)
    for tag in np.unique(batch.tag[ahead_ns > 0]).tolist():
        rows = np.flatnonzero(batch.tag == tag)
        for first in np.flatnonzero(np.diff(ahead_ns[rows], prepend=0) > 0).tolist():
            t_ns = batch.t_ns[rows[first:]]
            found[rows[first : first + max(FEWEST + 1, int(np.searchsorted(t_ns, t_ns[0] + 2 * EVIDENT_NS)))]] = True
    return found
