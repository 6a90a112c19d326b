"""Spectra as JSON, small enough for an event and a page."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Json
from models.vibration.bearing import Orders
from models.vibration.diagnose import FAULTS, LINES, family_order
from models.vibration.spectrum import Samples, Spectrum

MOST_POINTS = 800
_DIGITS = 3


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


def rounded(values: NDArray[np.floating]) -> list[float]:
    """To three significant digits, which is more than a picture shows and half the bytes.

    >>> rounded(np.array([0.0123456, 1234.5, 0.0]))
    [0.0123, 1230.0, 0.0]
    """
    exact = values.astype(np.float64)
    decimals = _DIGITS - 1 - np.floor(np.log10(np.maximum(exact, 1e-12)))
    scale = 10.0 ** np.abs(decimals)
    found: list[float] = np.where(decimals >= 0, np.round(exact * scale) / scale, np.round(exact / scale) * scale).tolist()
    return found


def expected_lines(orders: Orders, shaft_hz: float) -> list[tuple[str, float]]:
    """First line of each family, where it would be without slip."""
    return [(LINES[fault], family_order(orders, fault) * shaft_hz) for fault in FAULTS]


def _largest(amplitude: Samples, together: int) -> Samples:
    if together <= 1:
        return amplitude
    padded = np.pad(amplitude, (0, -len(amplitude) % together))
    found: Samples = padded.reshape(-1, together).max(axis=1)
    return found
