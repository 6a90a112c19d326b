"""Spectra as JSON, small enough for an event and a page."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

import numpy as np

from gateway.contract import Json
from models.vibration.bearing import Orders
from models.vibration.diagnosis.lines import FAULTS, LINES, first_order
from models.vibration.spectrum import Samples, Spectrum

MOST_POINTS = 800
_DIGITS = 4


def spectrum_json(spectrum: Spectrum, unit: str, highest_hz: float, lines: Iterable[tuple[str, float]]) -> dict[str, Json]:
    """``{hz_step, hz_start, amplitudes, unit, lines: [{name, hz}]}`` with at most MOST_POINTS points.

    Of neighbouring bins the largest is kept, so no line is lost; `hz_start` is the middle of the first ones.
    """
    shown = spectrum.amplitude[: int(highest_hz / spectrum.hz_step) + 1]
    together = -(-len(shown) // MOST_POINTS)
    return {
        "hz_start": (together - 1) / 2 * spectrum.hz_step,
        "hz_step": together * spectrum.hz_step,
        "amplitudes": rounded(_largest(shown, together)),
        "unit": unit,
        "lines": lines_json(lines),
    }


def lines_json(lines: Iterable[tuple[str, float]]) -> list[Json]:
    return [{"name": name, "hz": round(hz, 3)} for name, hz in lines]


def rounded(values: Samples) -> list[float]:
    """To a ten-thousandth of the largest: more than a picture shows, and a third of the bytes.

    >>> rounded(np.array([0.0123456, 12.345678, 0.0], dtype=np.float32))
    [0.012, 12.346, 0.0]
    """
    largest = float(values.max(initial=0.0))
    decimals = _DIGITS - floor(log10(largest)) if largest > 0 else 0
    found: list[float] = np.round(values.astype(np.float64), decimals).tolist()
    return found


def expected_lines(orders: Orders, shaft_hz: float) -> list[tuple[str, float]]:
    """First line of each family, where it would be without slip."""
    return [(LINES[fault], first_order(orders, fault) * shaft_hz) for fault in FAULTS]


def _largest(amplitude: Samples, together: int) -> Samples:
    if together <= 1:
        return amplitude
    padded = np.zeros(-(-len(amplitude) // together) * together, dtype=np.float32)
    padded[: len(amplitude)] = amplitude
    found: Samples = padded.reshape(-1, together).max(axis=1)
    return found
