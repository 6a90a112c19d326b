"""What an anomaly model and a drift model have in common: one machine's rows, and a state of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Finding, Learning

Floats: TypeAlias = NDArray[np.float64]
Arrays: TypeAlias = Mapping[str, NDArray[Any]]


class Member(Protocol):
    """One model of one machine."""

    names: tuple[str, ...]

    @property
    def rare(self) -> float | None:
        """-log10 of the probability of the last row; None: it gives none."""

    def row(self, t_ns: int, x: Floats) -> list[Finding]:
        """One complete row, later than the last; x is float64[k] in the order of `names`, finite."""

    def leap(self, delta_ns: int) -> None:
        """What it remembers of times was so much later."""

    def skip(self) -> None:
        """A row with a missing value was left out."""

    def over_budget(self, rows: int) -> None:
        """So many rows were not given to it."""

    def tune(self, factor: float) -> None:
        """Its threshold, if it has one, is the configured one times this."""

    def learning(self) -> list[Learning]:
        """See `gateway.contract.Learner`, as for the next two; no tags: all of them."""

    def forget(self, tags: frozenset[str]) -> None: ...

    def adopt(self, tags: frozenset[str]) -> None: ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The state."""

    def restore(self, saved: Arrays) -> None:
        """Continue from `arrays`; raises KeyError or ValueError when they do not fit."""


def fitting(saved: Arrays, name: str, *shape: int) -> Floats:
    """A saved array of float64, checked; -1 in `shape` fits any length. Raises KeyError, ValueError."""
    array = saved[name]
    fits = array.ndim == len(shape) and all(want in (-1, have) for want, have in zip(shape, array.shape, strict=True))
    if array.dtype != np.float64 or not fits:
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}")
    return array


def whole(saved: Arrays, name: str, length: int) -> list[int]:
    """A saved array of `length` int64, checked; -1 fits any length."""
    array = saved[name]
    if array.dtype != np.int64 or array.ndim != 1 or length not in (-1, len(array)):
        raise ValueError(f"{name} is {array.dtype}{list(array.shape)}")
    return [int(value) for value in array]
