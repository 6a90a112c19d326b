"""How a recording is cut: as coarsely as it may be without changing what comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch
from gateway.engine.blackout import Blackout
from gateway.engine.line import Line
from gateway.expression import compile_expression

_SECOND_NS = 1_000_000_000

Flags = NDArray[np.bool_]


def slices(t_ns: NDArray[np.int64], fine: Flags, most: int) -> Iterator[slice]:
    """Findings do not depend on how a stream is cut, but a gate or a blackout is judged once for all readings that came together: where
    one may begin or end (`fine`, bool[n]), only those of the same second do. Elsewhere up to `most`.

    >>> second = 1_000_000_000
    >>> t_ns = np.array([0, 5, second, 3 * second])
    >>> [(s.start, s.stop) for s in slices(t_ns, np.ones(4, dtype=bool), 9)]
    [(0, 2), (2, 3), (3, 4)]
    >>> [(s.start, s.stop) for s in slices(t_ns, np.array([False, False, True, False]), 9)]
    [(0, 2), (2, 3), (3, 4)]
    >>> [(s.start, s.stop) for s in slices(t_ns, np.zeros(4, dtype=bool), 3)]
    [(0, 3), (3, 4)]
    """
    new = np.flatnonzero(np.diff(_seconds(t_ns))) + 1
    begin = 0
    for end in (*new[fine[new] | fine[new - 1]].tolist(), len(t_ns)):
        for at in range(begin, end, most):
            yield slice(at, min(at + most, end))
        begin = end


def judged(readings: Batch, line: Line) -> Flags:
    """bool[n]: where a gate may open or close, or a `blackout` begins or ends."""
    fine = _gates(readings, line)
    for watch in line.watches:
        if watch.settings.options.blackout:
            inside = Blackout(watch.settings.options.blackout, watch.context.timezone).rows(readings.t_ns)
            if inside is not None:
                fine |= np.diff(inside, prepend=inside[:1])
    return fine


def _gates(readings: Batch, line: Line) -> Flags:
    """bool[n]: whole seconds in which a tag that a gate asks changes, and `settle` after that. If such a tag can be stuck, which is
    no change, that is all of them."""
    tags, settle = _asked(line)
    if not tags:
        return np.zeros(len(readings), dtype=bool)
    if bool((line.table.stuck_ns[sorted(tags)] > 0).any()):
        return np.ones(len(readings), dtype=bool)
    second = _seconds(readings.t_ns)
    changes = [second[rows[_changed(readings.value[rows])]] for tag in tags if len(rows := np.flatnonzero(readings.tag == tag))]
    begins = np.unique(np.concatenate(changes)) if changes else np.empty(0, dtype=np.int64)
    last = np.searchsorted(begins, second, side="right") - 1
    return (last >= 0) & (second - begins[last] <= ceil(settle) + 1) if len(begins) else np.zeros(len(readings), dtype=bool)


def _asked(line: Line) -> tuple[set[int], float]:
    """The tags that any gate asks, by index, and the longest `settle`."""
    index = {tag.path: tag.index for tag in line.settings.tags}
    gated = [watch.settings for watch in line.watches if watch.settings.options.only_when]
    tags = {
        index[f"{machine}/{name}"]
        for watch in gated
        for machine in {tag.machine for tag in watch.tags}
        for name in compile_expression(watch.options.only_when).names
    }
    return tags, max((watch.options.settle for watch in gated), default=0.0)


def _changed(value: NDArray[np.float64]) -> Flags:
    """The first one, too; what is no number is always another one."""
    return np.append(True, value[1:] != value[:-1])


def _seconds(t_ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """One that is late came with the newest before it."""
    return np.maximum.accumulate(t_ns) // _SECOND_NS
