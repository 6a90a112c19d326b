"""Shaft speed where no tag tells it: from a tacho's pulses, or from the spectrum. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.vibration.spectrum import Samples, Spectrum

_HARMONICS = 4
_LOWEST_HZ, _HIGHEST_HZ = 5.0, 200.0
_CELL = 65
_NOISE = 1.0  # of the logarithm: the largest of three bins of noise
_MOST = 3.0  # ln 20: one giant line that belongs to something else must not make a shaft
_NEAR = 0.12
_SURE = 0.6
_OFF = 0.025  # more than a bearing may slip, so that its lines are missed
_TINY = 1e-12
LOBE = 4
"""Bins: under the Hann window, and with its neighbours, a line stands out of so many to each side."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Speed:
    """`confidence` 0 to 1: how much better this speed suits than the next one that is no multiple of it."""

    rpm: float
    confidence: float


def from_spectrum(velocity: Spectrum, near_rpm: float | None = None, width: float = 0.1, apart: int = 0) -> Speed | None:
    """The speed whose multiples stand out most, 300 to 12,000 rpm, or within `width` of a nominal one.

    velocity   reaches at least to a few multiples
    apart      bins that another speed must be away to be another one: with LOBE blocks of two seconds are as sure as long ones; without
               it short blocks are surer of nothing, which is wanted where a given speed is doubted
    returns    None: the spectrum has no lines that stand out

    The sum over four multiples of the logarithm of a line's height over its surroundings, the first one double: so that half the speed,
    whose every other line is missing, does not win. Confidence is 1 minus the runner-up's share,
    less if fewer than three multiples stand out.
    """
    height = _heights(velocity)
    low, high = (_LOWEST_HZ, _HIGHEST_HZ) if near_rpm is None else ((1 - width) * near_rpm / 60, (1 + width) * near_rpm / 60)
    fine = velocity.hz_step / 4
    hz = np.arange(low, min(high, (len(height) - 2) * velocity.hz_step), fine)
    if len(hz) == 0:
        return None
    multiples = np.arange(1, _HARMONICS + 1)
    at = np.minimum(np.rint(hz[:, None] * multiples / velocity.hz_step).astype(np.intp), len(height) - 1)
    inside = hz[:, None] * multiples < (len(height) - 1) * velocity.hz_step
    rise = np.clip(np.log(height[at]) - _NOISE, 0.0, _MOST) * inside
    score = rise @ np.array([2.0, 1.0, 0.5, 0.5])
    best = int(score.argmax())
    if rise[best, 0] <= 0:
        return None
    ratio = hz / hz[best]
    rival = np.abs(ratio - np.maximum(np.rint(ratio), 1)) > 0.04
    rival &= np.abs(1 / ratio - np.maximum(np.rint(1 / ratio), 1)) > 0.04
    rival &= np.abs(hz - hz[best]) > apart * velocity.hz_step
    second = float(score[rival].max(initial=0.0))
    refined = _refined(velocity, float(hz[best]))
    if not low <= refined <= high:
        return None
    standing = int(np.count_nonzero(rise[best] > 0))
    return Speed(refined * 60, max(0.0, 1 - second / float(score[best])) * min(1.0, standing / 3))


def _heights(spectrum: Spectrum) -> Floats:
    """Amplitude over the median of its surroundings, at least 1; the largest of a bin and its neighbours."""
    amplitude = spectrum.amplitude.astype(np.float64)
    amplitude[: int(_LOWEST_HZ / 2 / spectrum.hz_step) + 1] = 0.0  # what integration makes of slow noise
    cell = min(_CELL, len(amplitude))
    cells = len(amplitude) // cell
    median = np.median(amplitude[: cells * cell].reshape(cells, -1), axis=1)
    floor = np.interp(np.arange(len(amplitude)), (np.arange(cells) + 0.5) * cell, median)
    height = np.maximum(amplitude / np.maximum(floor, max(_TINY, 1e-3 * float(amplitude.max(initial=0.0)))), 1.0)
    around = np.pad(height, 1, mode="edge")
    found: Floats = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
    return found


def _refined(spectrum: Spectrum, hz: float) -> float:
    """Between bins, from the strongest multiple: power-weighted mean of a line's bins."""
    strongest, found = 0.0, hz
    for multiple in range(1, _HARMONICS + 1):
        middle = round(hz * multiple / spectrum.hz_step)
        if middle + 3 > len(spectrum.amplitude):
            break
        bins = np.arange(max(1, middle - 2), middle + 3)
        power = np.square(spectrum.amplitude[bins].astype(np.float64)) * multiple
        if float(power.sum()) > strongest:
            strongest = float(power.sum())
            found = float(np.sum(bins * power)) / strongest * spectrum.hz_step / multiple
    return found


def disagrees(velocity: Spectrum, rpm: float) -> Speed | None:
    """The speed the spectrum shows near the given one, if it is surely another."""
    found = from_spectrum(velocity, rpm, _NEAR)
    return found if found is not None and found.confidence >= _SURE and abs(found.rpm / rpm - 1) > _OFF else None


def from_tacho(pulses: Samples, rate_hz: float, per_revolution: int = 1) -> Floats:
    """Times in seconds at which a pulse rises through the middle of its range, one in each revolution.

    >>> t = np.arange(12_000) / 12_000
    >>> turns = from_tacho((np.sin(2 * np.pi * 25 * t - 1) > 0.9).astype(np.float32), 12_000.0)
    >>> len(turns), round(float(60 / np.diff(turns).mean()))
    (25, 1500)
    """
    middle = (float(pulses.min()) + float(pulses.max())) / 2
    above = pulses > middle
    rises = np.flatnonzero(above[1:] & ~above[:-1])
    part = (middle - pulses[rises]) / (pulses[rises + 1] - pulses[rises])
    found: Floats = ((rises + part) / rate_hz).astype(np.float64)[::per_revolution]
    return found
