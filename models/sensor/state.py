"""The state as bytes: npz without pickle, one row per tag path and machine name, so that tags may come and go."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.contract import StateError
from models import npz
from models.sensor.columns import Columns, Machines, Table

VERSION = 1
_TAGS, _MACHINES = "tag", "machine"


def dump(columns: Columns, paths: Sequence[str], machines: Machines, names: Sequence[str]) -> bytes:
    arrays: npz.Arrays = {}
    for prefix, table, keys in ((_TAGS, columns, paths), (_MACHINES, machines, names)):
        arrays[prefix] = np.array(keys, dtype=np.str_)
        arrays |= {f"{prefix}_{name}": np.ascontiguousarray(column) for name, column in table.by_row().items()}
    return npz.dump(VERSION, arrays)


def load(state: bytes, columns: Columns, paths: Sequence[str], machines: Machines, names: Sequence[str]) -> None:
    """Give what the state knows its rows back; raises StateError, with nothing changed, if it does not fit."""
    saved = _read(state)
    places = [
        (prefix, table, _rows(saved, prefix, table, keys))
        for prefix, table, keys in ((_TAGS, columns, paths), (_MACHINES, machines, names))
    ]
    for prefix, table, (here, there) in places:
        for name, column in table.by_row().items():
            column[here] = saved[f"{prefix}_{name}"][there]
    # After a start the first opinion is told, whatever it is; that nothing is wrong needs a look of its own.
    columns.told[:] = False
    columns.wrong[~columns.active] = 0
    columns.well[~columns.active] = 0
    machines.late[1] = False
    machines.due[:] = -np.inf  # what is missing is told again, too


def _rows(saved: npz.Arrays, prefix: str, table: Table, keys: Sequence[str]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where the rows are here, and in the state."""
    known = {str(key): row for row, key in enumerate(saved[prefix])}
    for name, column in table.by_row().items():
        found = saved.get(f"{prefix}_{name}")
        if found is None or found.dtype != column.dtype or found.shape != (len(known), *column.shape[1:]):
            raise StateError(f"state is damaged: {prefix}_{name} is missing or of another shape")
    here = [row for row, key in enumerate(keys) if key in known]
    return np.array(here, dtype=np.intp), np.array([known[keys[row]] for row in here], dtype=np.intp)


def _read(state: bytes) -> npz.Arrays:
    arrays = npz.load(state, VERSION)
    if _TAGS not in arrays or _MACHINES not in arrays:
        raise StateError("state is damaged: it names no tags")
    return arrays
