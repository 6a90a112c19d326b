"""The bank's state as bytes: npz without pickle, one row per tag path, so that tags may come and go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.contract import StateError
from models import npz
from models.anomaly.columns import TOLD, Columns

VERSION = 3
Rows = NDArray[np.int64]


def dump(columns: Columns, paths: Sequence[str]) -> bytes:
    arrays = {name: np.ascontiguousarray(column) for name, column in columns.by_tag().items()}
    return npz.dump(VERSION, {"paths": np.array(paths, dtype=np.str_), **arrays})


def load(state: bytes, columns: Columns, paths: Sequence[str]) -> None:
    """Give the tags that the state knows their rows back; raises StateError, with `columns` unchanged, if it does not fit."""
    saved = _read(state)
    known = {str(path): row for row, path in enumerate(saved.pop("paths"))}
    target = columns.by_tag()
    for name, column in target.items():
        if name not in saved or saved[name].dtype != column.dtype or saved[name].shape != (len(known), *column.shape[1:]):
            raise StateError(f"state is damaged: {name} is missing or of another shape")
    here = np.array([row for row, path in enumerate(paths) if path in known], dtype=np.intp)
    there = np.array([known[path] for path in paths if path in known], dtype=np.intp)
    for name, column in target.items():
        column[here] = saved[name][there]
    columns.leader[here] = _moved(columns.leader[here], here, there)
    columns.alarm[TOLD] = 0  # after a start the first opinion is told, whatever it is


def _moved(leader: Rows, here: Rows, there: Rows) -> Rows:
    """The leaders of these tags by their rows of today. Where one is gone, the first of those that followed it leads."""
    found = np.full(len(leader), -1, dtype=np.int64)
    row_of = dict(zip(there.tolist(), here.tolist(), strict=True))
    for one in np.unique(leader[leader >= 0]).tolist():
        followers = np.flatnonzero(leader == one)
        found[followers] = row_of.get(one, here[followers[0]])
    return np.where(found == here, -1, found)


def _read(state: bytes) -> npz.Arrays:
    arrays = npz.load(state, VERSION)
    if "paths" not in arrays:
        raise StateError("state is damaged: it names no tags")
    return arrays
