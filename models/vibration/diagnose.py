"""Which part of a bearing is damaged: searches an envelope spectrum for the four families of lines. Pure.

A family's score is the mean logarithm of how far its lines stand above the noise floor, at the slip that suits it best:
1.0 means e times the floor on average. White noise alone reaches about 0.6 in one block of 30 revolutions, seldom 0.9,
and 0.35 in four. Frequencies are orders (multiples of the shaft frequency), so
that blocks of different speeds can be averaged.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

from models.vibration.bearing import Orders
from models.vibration.spectrum import Samples, Spectrum

HARMONICS = 4
SLIP = 0.02
REVOLUTIONS = 32
"""Of the shaft, per analysed piece: finer lines would only be smeared by slip."""
FEWEST_REVOLUTIONS = 10.0
"""Below, neighbouring families cannot be told apart."""

_STEP = 1 / 64
_TINY = 1e-12
_HIGHEST = 3.0  # ln 20: one giant line that belongs to something else must not make a family
_SIDEBAND_WEIGHT = 0.25
_SIDEBAND_NOISE = 0.35
_CLEAR = 0.2
_CAGE_HANDICAP = 1.0  # healthy bearings modulate with their cage and with fractions of the shaft speed

FAULTS = ("outer_race", "inner_race", "ball", "cage")
LINES = {"outer_race": "BPFO", "inner_race": "BPFI", "ball": "2xBSF", "cage": "FTF"}
UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a family; `prominence` is its height in noise floors."""

    name: str
    order: float
    prominence: float


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """`fault` is one of FAULTS, UNSURE, or empty; `score` and `lines` are the strongest family's, over so many `blocks`."""

    fault: str
    score: float
    scores: dict[str, float]
    lines: tuple[Line, ...]
    blocks: int


def family_order(orders: Orders, fault: str) -> float:
    """Order of a family's first line."""
    return {"outer_race": orders.bpfo, "inner_race": orders.bpfi, "ball": 2 * orders.bsf, "cage": orders.ftf}[fault]


def highest_order(orders: Orders) -> float:
    """Up to where a spectrum must reach: all harmonics with slip, and a sideband."""
    return HARMONICS * max(orders.bpfo, orders.bpfi, 2 * orders.bsf) * (1 + SLIP) + 1.5


def grid(orders: Orders) -> NDArray[np.float64]:
    """Orders at which spectra are compared and averaged."""
    return np.arange(ceil(highest_order(orders) / _STEP), dtype=np.float64) * _STEP


def prominence(spectrum: Spectrum, shaft_hz: float, at: NDArray[np.float64]) -> Samples:
    """float32[len(at)]: power over the local noise floor's power, at these orders; 1 where the spectrum does not reach.

    Whole orders are set to the floor: unbalance, misalignment and looseness modulate there.
    """
    step = spectrum.hz_step / shaft_hz
    amplitude = spectrum.amplitude[: int(at[-1] / step) + 2].astype(np.float64)
    power = np.square(amplitude / _floor(amplitude, max(16, int(1 / step))))
    position = np.arange(len(power)) * step
    power[np.abs(position - np.rint(position)) <= 2.5 * step] = 1.0
    found: Samples = np.interp(at, position, power, right=1.0).astype(np.float32)
    return found


def _floor(amplitude: NDArray[np.float64], cell: int) -> NDArray[np.float64]:
    """Noise floor: median of each cell and its neighbours, joined by straight lines."""
    cells = max(1, len(amplitude) // cell)
    centre = (np.arange(cells) + 0.5) * cell
    median = np.median(amplitude[: cells * cell].reshape(cells, -1), axis=1)
    wide = np.median(np.stack([np.r_[median[:1], median[:-1]], median, np.r_[median[1:], median[-1:]]]), axis=0)
    found: NDArray[np.float64] = np.maximum(np.interp(np.arange(len(amplitude)), centre, wide), _TINY)
    return found


def diagnose(power: NDArray[np.float32], orders: Orders, level: float) -> Diagnosis:
    """Name the family that stands out.

    power   float32[b, len(grid)]: `prominence` of the last b blocks, averaged here
    level   score from which a fault is claimed
    """
    mean = np.sqrt(power.mean(axis=0, dtype=np.float64))
    height = _best_of_three(mean / max(float(np.median(mean)), _TINY))
    rise = np.minimum(np.log(height), _HIGHEST)
    found = {fault: _family(rise, orders, fault) for fault in FAULTS}
    scores = {fault: score for fault, (score, _) in found.items()}
    first, second = sorted(scores, key=lambda fault: -scores[fault])[:2]
    fault = ""
    if scores[first] > level:
        fault = first if scores[first] - scores[second] > _CLEAR else UNSURE
    lines = tuple(Line(_name(first, k), float(point * _STEP), float(height[point])) for k, point in enumerate(found[first][1], 1))
    return Diagnosis(fault, scores[first], scores, lines, len(power))


def _family(rise: NDArray[np.float64], orders: Orders, fault: str) -> tuple[float, NDArray[np.intp]]:
    """Score of one family, and its lines' grid points, at the slip that suits it best."""
    points = _candidates(family_order(orders, fault))
    scores = rise[points].mean(axis=1)
    best = points[int(scores.argmax())]
    handicap = _CAGE_HANDICAP if fault == "cage" else 0.0
    return float(scores.max()) + _sidebands(rise, orders, fault, best[:2]) - handicap, best


@lru_cache(maxsize=256)
def _candidates(order: float) -> NDArray[np.intp]:
    """intp[slips, HARMONICS]: grid points of a family's lines for every slip that makes a difference."""
    slip = np.arange(-SLIP, SLIP + 1e-9, max(_STEP / (order * HARMONICS) / 2, 1e-4))
    points = np.rint(order * (1 + slip)[:, None] * np.arange(1, HARMONICS + 1) / _STEP).astype(np.intp)
    points.setflags(write=False)
    return points


def _sidebands(rise: NDArray[np.float64], orders: Orders, fault: str, points: NDArray[np.intp]) -> float:
    """What the sidebands add: a defect that turns through the load zone is modulated by its own turning."""
    spacing = {"inner_race": 1.0, "ball": orders.ftf}.get(fault)
    if spacing is None:
        return 0.0
    apart = round(spacing / _STEP)
    around = float(np.concatenate([rise[points - apart], rise[points + apart]]).mean())
    return _SIDEBAND_WEIGHT * max(0.0, around - _SIDEBAND_NOISE)


def _best_of_three(height: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest of each point and its neighbours; never 0."""
    padded = np.pad(height, 1, mode="edge")
    found: NDArray[np.float64] = np.maximum(np.maximum(padded[:-2], padded[1:-1]), np.maximum(padded[2:], 1e-3))
    return found


def _name(fault: str, k: int) -> str:
    """
    >>> _name("outer_race", 1), _name("inner_race", 2), _name("ball", 2)
    ('BPFO', '2xBPFI', '4xBSF')
    """
    if fault == "ball":
        return f"{2 * k}xBSF"
    return LINES[fault] if k == 1 else f"{k}x{LINES[fault]}"
