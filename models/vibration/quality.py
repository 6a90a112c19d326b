"""Is a block what it says it is? What cannot be believed gets no diagnosis. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np

from models.vibration.spectrum import Samples
from models.vibration.units import STANDARD_GRAVITY, Unit

TROUBLES = ("", "zeros", "dead", "clipped", "unit", "offset", "too_slow", "speed")
"""What an opinion on the blocks means, by its number."""

SLOWEST_HZ = 500.0
_CLIPPED = 0.001
_RUN = 3
_SPIKE = 3
_MOST = {"acceleration": 500 * STANDARD_GRAVITY, "velocity": 1000.0, "displacement": 10_000.0}
"""rms in m/s², mm/s, µm."""
# One g of a sensor that feels gravity is no fault, nor is what a velocity sensor drifts by while nothing moves, nor a probe's gap.
_STILL = {"acceleration": 1.5 * STANDARD_GRAVITY, "velocity": 5.0, "displacement": inf}
_OFFSET = 3.0
_STEPS = 16


@dataclass(frozen=True, slots=True)
class Trouble:
    """`name` for programs, `said` for people."""

    name: str
    said: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a block, in the unit of its samples; rms of what is beside the mean."""

    low: float
    high: float
    mean: float
    rms: float


def shape_of(samples: Samples) -> Shape:
    """
    >>> shape_of(np.array([1, 3, 1, 3], dtype=np.float32))
    Shape(low=1.0, high=3.0, mean=2.0, rms=1.0)
    """
    mean = float(samples.mean(dtype=np.float64))
    centred = samples - np.float32(mean)
    return Shape(float(samples.min()), float(samples.max()), mean, float(np.sqrt(np.dot(centred, centred) / len(centred))))


def trouble(samples: Samples, shape: Shape, rate_hz: float, unit: Unit) -> Trouble | None:
    """The first reason not to believe the block; None if there is none.

    samples   float32[n], finite
    """
    if rate_hz < SLOWEST_HZ:
        return Trouble(
            "too_slow", f"{rate_hz:g} samples a second are no waveform of a machine's vibration; it needs {SLOWEST_HZ:g} at least"
        )
    low, high, mean, rms = shape.low, shape.high, shape.mean, shape.rms
    if not any((low, high)):
        return Trouble("zeros", "every sample is 0")
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return Trouble("dead", f"every sample is {low:g}: the sensor does not move")
    if clipped(samples):
        return Trouble("clipped", f"it stands at {low:g} or {high:g} again and again: the range is too small")
    if rms * unit.factor > _MOST[unit.quantity]:
        return Trouble("unit", f"{rms:.3g} rms is more than any machine stands; is the unit right?")
    if abs(mean) > max(_STILL[unit.quantity] / unit.factor, _OFFSET * rms):
        return Trouble("offset", f"its mean is {mean:.3g}, its rms only {rms:.3g}: an offset of the sensor or its cable")
    return None


def clipped(samples: Samples) -> bool:
    """One sample in a thousand, and three in a row, stand at the largest or the smallest value, and far fewer just inside of it: the
    crest of a slow wave in whole steps of a converter has nearly as many there. A machine that stands, seen in a few of these
    steps, is not clipped either.

    >>> wave = np.sin(np.arange(10_000) / 70, dtype=np.float32)
    >>> clipped(wave), clipped(np.round(wave * 50)), clipped(np.clip(wave, -0.8, 0.8)), clipped(np.clip(np.round(wave * 50), -40, 99))
    (False, False, True, True)
    """
    return any(_stands_at(samples, end, inside) for end, inside in ((samples.max(), np.max), (samples.min(), np.min)))


def _stands_at(samples: Samples, end: np.float32, inside: Callable[[Samples], np.float32]) -> bool:
    at = samples == end
    count = int(np.count_nonzero(at))
    if count < max(_RUN, _CLIPPED * len(samples)) or not (at[2:] & at[1:-1] & at[:-2]).any():
        return False
    rest = samples[~at]
    next_one = inside(rest)
    coarse = abs(float(samples.max()) - float(samples.min())) < _STEPS * abs(float(end) - float(next_one))
    return not coarse and count > _SPIKE * int(np.count_nonzero(rest == next_one))
