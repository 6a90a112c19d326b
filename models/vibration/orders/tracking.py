"""A block of varying speed resampled by angle, so that what turns with the shaft is a line again. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from models.vibration.spectrum import Samples

PER_REVOLUTION = 1024
_FEWEST = 3
_FINER = 4


def tracked(samples: Samples, rate_hz: float, turns_at: NDArray[np.float64]) -> tuple[Samples, float]:
    """(samples at equal angles, as many a second as there would be at the mean speed).

    What turns with the shaft is a line then, however the speed varied; times and what does not turn with it are smeared instead.
    """
    shaft_hz = (len(turns_at) - 1) / float(turns_at[-1] - turns_at[0])
    # As fine as the samples are at the slowest speed, so that nothing is lost.
    per_revolution = int(np.ceil(rate_hz * float(np.diff(turns_at).max())))
    return by_angle(samples, rate_hz, turns_at, per_revolution), per_revolution * shaft_hz


def by_angle(samples: Samples, rate_hz: float, turns_at: NDArray[np.float64], per_revolution: int = PER_REVOLUTION) -> Samples:
    """float32[per_revolution * (revolutions - 1)]: samples at equal steps of the shaft's angle.

    samples    float32[n]; what is faster than half of `per_revolution` times the slowest speed should not be in it
    turns_at   seconds from the first sample at which each revolution begins, at least three
    Between the revolutions' beginnings the time is a cubic of the angle (Hermite); between samples four-fold band-limited
    interpolation, then straight lines.
    Raises ValueError for fewer than three revolutions.

    >>> t = np.arange(24_000) / 12_000
    >>> angle = 20 * t + 2.5 * t**2  # 1200 rpm, rising to 1800 in two seconds
    >>> turns = np.interp(np.arange(1, 50), angle, t)
    >>> tracked = by_angle(np.sin(2 * np.pi * 7 * angle).astype(np.float32), 12_000.0, turns, 256)
    >>> spectrum = np.abs(np.fft.rfft(tracked)) * 2 / len(tracked)
    >>> int(spectrum.argmax()) / (len(tracked) / 256), bool(spectrum.max() > 0.95)
    (7.0, True)
    """
    if len(turns_at) < _FEWEST:
        raise ValueError("fewer than three revolutions")
    angles = np.arange((len(turns_at) - 1) * per_revolution) / per_revolution
    whole = angles.astype(np.intp)
    part, slope = angles - whole, np.gradient(turns_at)
    begin, length = turns_at[whole], turns_at[whole + 1] - turns_at[whole]
    time = begin + length * part**2 * (3 - 2 * part)
    time += slope[whole] * part * (1 - part) ** 2 - slope[whole + 1] * part**2 * (1 - part)
    dense = fft.irfft(fft.rfft(samples), _FINER * len(samples)) * np.float32(_FINER)
    found: Samples = np.interp(time * rate_hz * _FINER, np.arange(len(dense)), dense).astype(np.float32)
    return found
