"""Spectra as JSON, small enough for an event and a page."""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Json
from models.vibration.bearing import Orders
from models.vibration.diagnosis.lines import FAULTS, LINES, first_order
from models.vibration.spectrum import Samples, Spectrum

MOST_POINTS = 800
EXCERPT_SECONDS = 0.25
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


def waveform_json(samples: Samples, rate_hz: float, t_ns: int, unit: str) -> dict[str, Json]:
    """``{t_ns, step_seconds, values, unit}``: the EXCERPT_SECONDS around the largest peak, at most MOST_POINTS values.

    A longer excerpt is the smallest and the largest value of each piece, in turn, so no peak is lost; `t_ns` is of the first value.
    """
    count = min(len(samples), round(EXCERPT_SECONDS * rate_hz))
    centred = samples - np.float32(samples.mean(dtype=np.float64))
    begin = min(max(0, int(np.abs(centred).argmax()) - count // 4), len(samples) - count)
    shown, step = samples[begin : begin + count], 1.0
    if count > MOST_POINTS:
        together = -(-count // (MOST_POINTS // 2))
        pieces = shown[: count // together * together].reshape(-1, together)
        shown, step = np.stack([pieces.min(axis=1), pieces.max(axis=1)], axis=1).ravel(), together / 2
    start_ns = t_ns + round(begin / rate_hz * 1e9)
    return {"t_ns": start_ns, "step_seconds": step / rate_hz, "values": rounded(shown), "unit": unit}


def trend_json(seconds: NDArray[np.float64], value: NDArray[np.float64], limits: tuple[float, ...]) -> dict[str, Json]:
    """``{from_ns, t, v, unit, limits}``: velocity of the last blocks, `t` in seconds from the first of them."""
    known = np.isfinite(seconds)
    at, shown = seconds[known], value[known].astype(np.float32)
    first = float(at[0]) if len(at) else 0.0
    offsets = np.round(at - first, 1).tolist()
    return {"from_ns": int(first * 1e9), "t": offsets, "v": rounded(shown), "unit": "mm/s rms", "limits": list(limits)}


def lines_json(lines: Iterable[tuple[str, float]]) -> list[Json]:
    return [{"name": name, "hz": round(hz, 3)} for name, hz in lines]


def rounded(values: Samples) -> list[float]:
    """To a ten-thousandth of the largest: more than a picture shows, and a third of the bytes.

    >>> rounded(np.array([0.0123456, 12.345678, 0.0], dtype=np.float32))
    [0.012, 12.346, 0.0]
    """
    largest = float(np.abs(values).max(initial=0.0))
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
