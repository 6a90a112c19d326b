"""The lines each damaged part makes in an envelope spectrum. Pure.

The outer race stands in the load zone: harmonics of BPFO. The inner race and the balls pass through it: harmonics of BPFI with
sidebands one shaft revolution apart, harmonics of 2 x BSF with sidebands one cage revolution apart, and the cage itself
(Randall & Antoni 2011, MSSP 25(2), table 1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from models.vibration.bearing import Orders

FAULTS = ("outer_race", "inner_race", "ball", "cage")
LINES = {"outer_race": "BPFO", "inner_race": "BPFI", "ball": "2xBSF", "cage": "FTF"}
SLIP = 0.02


@dataclass(frozen=True, slots=True)
class Family:
    """Lines at ``harmonic * first + cage * ftf + shaft`` orders, each with its weight: float64[lines].

    harmonics   so many lines at the beginning are the harmonics themselves
    """

    harmonic: NDArray[np.float64]
    cage: NDArray[np.float64]
    shaft: NDArray[np.float64]
    weight: NDArray[np.float64]
    harmonics: int

    def orders(self, first: NDArray[np.float64], ftf: NDArray[np.float64] | float) -> NDArray[np.float64]:
        """float64[n, lines] for n positions of the first line."""
        cage = np.asarray(ftf, dtype=np.float64).reshape(-1, 1)
        return first[:, None] * self.harmonic + cage * self.cage + self.shaft


def first_order(orders: Orders, fault: str) -> float:
    """Order of a part's first line."""
    return {"outer_race": orders.bpfo, "inner_race": orders.bpfi, "ball": 2 * orders.bsf, "cage": orders.ftf}[fault]


def highest_order(orders: Orders) -> float:
    """Up to where a spectrum must reach: all harmonics with slip, and a sideband."""
    return 4 * max(orders.bpfo, orders.bpfi, 2 * orders.bsf) * (1 + SLIP) + 1.5


@lru_cache(maxsize=4)
def family(fault: str) -> Family:
    """
    >>> family("outer_race").orders(np.array([3.5]), 0.4).tolist()
    [[3.5, 7.0, 10.5, 14.0]]
    >>> family("inner_race").orders(np.array([5.0]), 0.4).tolist()
    [[5.0, 10.0, 15.0, 20.0, 6.0, 4.0, 11.0, 9.0]]
    """
    harmonic, cage, shaft = np.array(_rows(fault), dtype=np.float64).T
    sidebands = np.abs(cage) + np.abs(shaft)
    weight = np.where(harmonic == 0, 0.25, np.where(sidebands == 0, 1.0, 0.5 / np.maximum(sidebands, 1.0)))
    return Family(harmonic, cage, shaft, weight, int(np.sum((sidebands == 0) & (harmonic > 0))))


def _rows(fault: str) -> list[tuple[int, int, int]]:
    """(harmonic, cage, shaft) of each line, the harmonics first. A ball's have three: it turns about changing axes."""
    rows = [(k, 0, 0) for k in range(1, 4 if fault == "ball" else 5)]
    if fault == "inner_race":
        rows += [(k, 0, side) for k in (1, 2) for side in (1, -1)]
    if fault == "ball":
        rows += [(k, side, 0) for k in (1, 2) for side in (1, -1, 2, -2)]
        rows += [(0, m, 0) for m in (1, 2, 3)]
    return rows


def line_names(fault: str) -> list[str]:
    """
    >>> line_names("inner_race")
    ['BPFI', '2xBPFI', '3xBPFI', '4xBPFI', 'BPFI+1x', 'BPFI-1x', '2xBPFI+1x', '2xBPFI-1x']
    >>> line_names("ball")[:6]
    ['2xBSF', '4xBSF', '6xBSF', '2xBSF+FTF', '2xBSF-FTF', '2xBSF+2FTF']
    """
    return [_name(fault, *row) for row in _rows(fault)]


def _name(fault: str, harmonic: int, cage: int, shaft: int) -> str:
    if harmonic == 0:
        return _times("FTF", cage)
    name = f"{2 * harmonic}xBSF" if fault == "ball" else _times(LINES[fault], harmonic)
    if cage:
        return f"{name}{cage:+d}FTF".replace("1FTF", "FTF")
    return f"{name}{shaft:+d}x" if shaft else name


def _times(name: str, k: int) -> str:
    return name if k == 1 else f"{k}x{name}"
