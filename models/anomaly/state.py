"""The bank's state as bytes: npz without pickle, one row per tag path, so that tags may come and go."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.contract import StateError
from models.anomaly.columns import TOLD, Columns

VERSION = 3


def dump(columns: Columns, paths: Sequence[str]) -> bytes:
    out = io.BytesIO()
    arrays = {name: np.ascontiguousarray(column) for name, column in columns.by_tag().items()}
    np.savez(out, version=np.int64(VERSION), paths=np.array(paths, dtype=np.str_), **arrays)  # type: ignore[arg-type]
    return out.getvalue()


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
    columns.alarm[TOLD] = 0  # after a start the first opinion is told, whatever it is


def _read(state: bytes) -> dict[str, NDArray[np.generic]]:
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as saved:
            arrays = {name: saved[name] for name in saved.files}
            version = int(arrays.pop("version"))
    except (ValueError, OSError, KeyError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc
    if version != VERSION:
        raise StateError(f"state is of version {version}, not {VERSION}")
    if "paths" not in arrays:
        raise StateError("state is damaged: it names no tags")
    return arrays
