"""The rows a model learnt last: what it is built from again after a restart."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Past:
    """A ring of learnt rows that begins at a multiple of the model's window.

    A model that forgets by whole windows (half-space trees: the last full one and the present one) is then rebuilt
    exactly; one that has learnt no more than `keep` rows as well; any other one as if it had begun `keep` rows ago.
    """

    def __init__(self, keep: int, window: int) -> None:
        self._window = window
        self._keep = max(keep, 2 * window)
        self._rows: deque[Floats] = deque()

    def add(self, row: Floats) -> None:
        self._rows.append(row.copy())  # a row may be a view of its frame
        if len(self._rows) >= self._keep + self._window:
            for _ in range(self._window):
                self._rows.popleft()

    def table(self, k: int) -> Floats:
        """float64[rows, k]"""
        return np.array(self._rows, dtype=np.float64).reshape(len(self._rows), k)

    def last(self, n: int, k: int) -> Floats:
        """float64[at most n, k]"""
        rows = [self._rows[i] for i in range(max(0, len(self._rows) - n), len(self._rows))]
        return np.array(rows, dtype=np.float64).reshape(len(rows), k)

    def forget(self, i: int) -> None:
        """One column: NaN."""
        for row in self._rows:
            row[i] = np.nan

    def restore(self, table: Floats) -> None:
        self._rows = deque(row.copy() for row in table)


def window(model: Any) -> int:
    """Rows after which the model forgets, or 1."""
    size = getattr(model, "window_size", None)
    return size if isinstance(size, int) and size > 0 else 1
