"""What detectors share of their saved states: named arrays and a version as npz, no pickle. No plugin."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Json, StateError

Arrays = dict[str, NDArray[Any]]
VERSION, HEAD = "version", "head"


def dump(version: int, arrays: Mapping[str, NDArray[Any]]) -> bytes:
    out = io.BytesIO()
    np.savez(out, **{VERSION: np.int64(version)}, **arrays)  # type: ignore[arg-type]
    return out.getvalue()


def load(state: bytes, version: int) -> Arrays:
    """The arrays, every one of them read; raises StateError when they cannot be, or are of another version."""
    with readable(), np.load(io.BytesIO(state), allow_pickle=False) as saved:
        found = int(saved[VERSION])
        if found != version:
            raise StateError(f"state is of version {found}, not {version}")
        return {name: saved[name] for name in saved.files if name != VERSION}


@contextmanager
def readable() -> Iterator[None]:
    """What a state that is none of ours, or is damaged, makes of the block is a StateError."""
    try:
        yield
    except (ValueError, OSError, KeyError, IndexError, EOFError, TypeError, AttributeError, zipfile.BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc


def text(value: Json) -> NDArray[np.str_]:
    """Names and times as one JSON text, beside the arrays."""
    return np.array(json.dumps(value), dtype=np.str_)


def value(text: NDArray[Any]) -> Any:
    """What `text` was made of. Raises ValueError; belongs into `readable`."""
    return json.loads(str(text))


def under(prefix: str, arrays: Mapping[str, NDArray[Any]]) -> Arrays:
    """Those of this prefix, without it.

    >>> list(under("1_", {"1_mean": np.zeros(2), "11_mean": np.zeros(2)}))
    ['mean']
    """
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
