"""The spectrum of the squared envelope by order, as power density, so that blocks of any length and speed can be averaged. Pure.

Two demodulations see different things, and each has its own density:

whitened       every bin of the block's spectrum set to magnitude 1 (cepstrum pre-whitening in its simplest form: Borghesani et
               al. 2013, MSSP 36(2)); the envelopes of overlapping bands are averaged, so no band need be chosen. What modulates
               broadband noise remains; deterministic tones and what they beat with are gone.
conventional   one band, each bin divided by the rms of its neighbourhood: the given one, else the most impulsive of a tree of
               bands (after Antoni 2007, MSSP 21(1), the fast kurtogram)
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from models.vibration.envelope import BAND_MARGIN, envelope_spectrum
from models.vibration.spectrum import Bins, Samples

STEP = 1 / 128
"""Of the grid of orders; a piece of `REVOLUTIONS` resolves about this."""
REVOLUTIONS = 160
"""Of the shaft, in one piece: a longer block is averaged in pieces (Welch), since slip would only smear finer lines."""
FEWEST_REVOLUTIONS = 10.0
"""Below, neighbouring parts cannot be told apart."""
BANDS = 3
"""The whitened block is demodulated in this many bands side by side, and those between them; fewer where they would be too narrow."""

_HANN_CELL = 1.5  # of the Hann window: its noise bandwidth in bins
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Density:
    """power        float32[n]: squared depth of modulation per order, at 0, STEP, 2 STEP ... orders; 1 + m cos has m² in all
    cell         orders that one independent value covers
    averages     so many independent values are averaged in each
    revolutions  of the shaft that were seen
    """

    power: NDArray[np.float32]
    cell: float
    averages: float
    revolutions: float


def whitened(bins: Bins) -> Bins:
    """Every bin of magnitude 1: only the phases remain."""
    found: Bins = (bins / np.maximum(np.abs(bins), np.float32(_TINY))).astype(np.complex64, copy=False)
    return found


def split(bins: int, seconds: float, highest_hz: float) -> list[slice]:
    """BANDS bands side by side and those that overlap them by half, each wide enough for modulations up to `highest_hz`.

    Empty if the whole block is too narrow.

    >>> split(6000, 1.0, 700.0)
    [slice(0, 2000, None), slice(1000, 3000, None), slice(2000, 4000, None), slice(3000, 5000, None), slice(4000, 6000, None)]
    """
    count = min(BANDS, int(bins / seconds / (BAND_MARGIN * highest_hz)))
    if count < 1:
        return []
    width = bins // count
    return [slice(i * width // 2, i * width // 2 + width) for i in range(2 * count - 1)]


def density(envelopes: Samples, seconds: float, shaft_hz: float, points: int) -> Density:
    """envelopes   float32[bands, m], squared, of bands of one width that overlap by half
    points      of the grid of orders
    """
    pieces = max(1, ceil(seconds * shaft_hz / REVOLUTIONS))
    spectrum = envelope_spectrum(envelopes, seconds, pieces, points * STEP * shaft_hz)
    power = np.square(spectrum.amplitude)
    order_step = spectrum.hz_step / shaft_hz
    cell = _HANN_CELL * order_step
    found = np.interp(np.arange(points) * (STEP / order_step), np.arange(len(power)), power, right=0.0)
    # Half of the bands between others are new; pieces that overlap by half under a Hann window are nearly independent.
    independent = (1 + (len(envelopes) - 1) / 2) * (1 if pieces == 1 else 0.55 * (2 * pieces - 1))
    return Density((found / cell).astype(np.float32), cell, independent, seconds * shaft_hz)
