"""The same stream in other pieces, and the same stream again later."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby

import numpy as np

from gateway.contract import Batch, Frame
from gateway.testkit.rigs import Piece


def single(items: Sequence[Piece]) -> list[Piece]:
    """Every reading, every row of a frame, on its own; a waveform or record is one already."""
    return [rows for item in items for rows in _single(item)]


def _single(item: Piece) -> list[Piece]:
    if isinstance(item, Batch):
        return [item.select(np.array([i])) for i in range(len(item))]
    if isinstance(item, Frame):
        return [replace(item, t_ns=item.t_ns[i : i + 1], x=item.x[i : i + 1]) for i in range(len(item.t_ns))]
    return [item]


def merged(items: Sequence[Piece], most: int) -> list[Piece]:
    """Up to `most` neighbours of one kind as one item."""
    found: list[Piece] = []
    for _, group in groupby(items, key=_kind):
        alike = list(group)
        if isinstance(alike[0], Batch | Frame):
            found += [_join(alike[i : i + most]) for i in range(0, len(alike), most)]
        else:
            found += alike
    return found


def _kind(item: Piece) -> object:
    return (Frame, item.machine, item.names) if isinstance(item, Frame) else type(item)


def _join(alike: Sequence[Piece]) -> Piece:
    frames = [item for item in alike if isinstance(item, Frame)]
    if frames:
        return replace(frames[0], t_ns=np.concatenate([f.t_ns for f in frames]), x=np.concatenate([f.x for f in frames]))
    return Batch.concat([item for item in alike if isinstance(item, Batch)])


CUTS: dict[str, Callable[[Sequence[Piece]], list[Piece]]] = {
    "single readings": single,
    "sevens": lambda items: merged(items, 7),
    "one piece": lambda items: merged(items, len(items)),
}


def later(items: Sequence[Piece], by_ns: int) -> list[Piece]:
    """The same readings `by_ns` later."""
    return [_later(item, by_ns) for item in items]


def _later(item: Piece, by_ns: int) -> Piece:
    if isinstance(item, Batch | Frame):
        return replace(item, t_ns=item.t_ns + by_ns)
    return replace(item, t_ns=item.t_ns + by_ns)


def span_ns(items: Sequence[Piece]) -> int:
    """From the first to the last time, and a second more."""
    times = [t for item in items for t in np.atleast_1d(np.asarray(item.t_ns)).tolist()]
    return int(max(times) - min(times)) + 10**9


def rows(items: Sequence[Piece]) -> int:
    """Readings, frame rows, waveforms and records."""
    return sum(len(item.t_ns) if isinstance(item, Batch | Frame) else 1 for item in items)
