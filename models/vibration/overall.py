"""Overall values of one block, pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.vibration.spectrum import Samples, Spectrum, band_rms

BANDS_HZ = ((10.0, 100.0), (100.0, 1000.0), (1000.0, 5000.0), (5000.0, 20_000.0))
"""Of acceleration: the shaft and its multiples, gears and blades, resonances a bearing excites, the highest ones."""


@dataclass(frozen=True, slots=True)
class Overall:
    """Of the block without its mean, in the unit of the samples.

    peak           largest distance from the mean
    peak_to_peak   largest less smallest: the true one, not that of a sine with the same rms
    crest          peak over rms; 1.41 for a sine, 3 to 5 for noise, more for impacts
    kurtosis       1.5 for a sine, 3 for noise, more for impacts
    mean           what was taken off
    """

    rms: float
    peak: float
    peak_to_peak: float
    crest: float
    kurtosis: float
    mean: float


def overall(samples: Samples) -> Overall:
    """
    samples   float32[n], n >= 1

    >>> t = np.arange(12_000) / 12_000
    >>> found = overall((5 + 2 * np.sin(2 * np.pi * 100 * t)).astype(np.float32))
    >>> [round(value, 3) for value in (found.rms, found.peak, found.peak_to_peak, found.crest, found.kurtosis, found.mean)]
    [1.414, 2.0, 4.0, 1.414, 1.5, 5.0]
    """
    mean = float(samples.mean(dtype=np.float64))
    centred = samples.astype(np.float64) - mean
    power = np.square(centred)
    square = float(power.mean())
    rms, peak = float(np.sqrt(square)), float(np.abs(centred).max())
    if square == 0:
        return Overall(0.0, 0.0, 0.0, 0.0, 0.0, mean)
    kurtosis = float(np.mean(np.square(power))) / square**2
    return Overall(rms, peak, float(centred.max() - centred.min()), peak / rms, kurtosis, mean)


def band_powers(spectrum: Spectrum, highest_hz: float) -> dict[str, float]:
    """rms in each of BANDS_HZ as far as the spectrum reaches, by its limits.

    >>> line = np.zeros(2001, dtype=np.float32)
    >>> line[49:52] = 0.5, 1, 0.5  # a sine of 1 at 50 Hz under Hann
    >>> {name: round(rms, 3) for name, rms in band_powers(Spectrum(1.0, line), 2000.0).items()}
    {'10-100 Hz': 0.707, '100-1000 Hz': 0.0, '1000-2000 Hz': 0.0}
    """
    found = {}
    for low, high in BANDS_HZ:
        top = min(high, highest_hz)
        if top > low:
            found[f"{low:g}-{top:g} Hz"] = band_rms(spectrum, low, top)
    return found
