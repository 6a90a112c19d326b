"""Everything that is computed from one block, pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal, TypeAlias

import numpy as np

from models.vibration.bearing import Orders
from models.vibration.diagnosis import density
from models.vibration.diagnosis.density import Density
from models.vibration.diagnosis.lines import highest_order
from models.vibration.envelope import band_slice, envelope_spectrum, most_impulsive, squared_envelope, whitened
from models.vibration.spectrum import Bins, Samples, Spectrum, amplitudes, band_rms, differentiated, integrated, transform, trimmed
from models.vibration.units import Unit

FEWEST_SAMPLES = 1024
STANDSTILL_RPM = 30.0
_LARGEST = 1e9
_LOWER_HZ, _LOWER_HZ_SLOW, _SLOW_RPM = 10.0, 2.0, 600.0
SHOWN_HZ = 1000.0
"""Upper end of the velocity (ISO 20816-1), and of the envelope when the bearing is not known."""
_FEWEST_BINS = 64  # of the demodulated band
_SHOWN_REVOLUTIONS = 32  # in a piece of the envelope spectrum that is shown


@dataclass(frozen=True, slots=True)
class Turning:
    """A known bearing on a shaft of known speed."""

    orders: Orders
    shaft_hz: float

    @property
    def highest_hz(self) -> float:
        """Up to where the envelope spectrum tells something about the bearing."""
        return highest_order(self.orders) * self.shaft_hz

    @property
    def points(self) -> int:
        """Of the grid of orders."""
        return ceil(highest_order(self.orders) / density.STEP)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Of one block.

    velocity    mm/s peak
    band        Hz the overall value covers; None: the block is too short to tell one
    rms         overall velocity, mm/s
    high        rms above SHOWN_HZ, in the unit of the samples
    envelope    of acceleration; None unless the unit is one, and where the band is beyond the sampling
    bearing     densities of the whitened and of the conventional envelope, see `diagnosis.density`; None without bearing, speed,
                enough revolutions or a band wide enough
    """

    velocity: Spectrum
    band: tuple[float, float] | None
    rms: float
    high: float
    envelope: Spectrum | None
    bearing: tuple[Density, Density] | None


Band: TypeAlias = tuple[float, float] | Literal["kurtogram"] | None
"""To demodulate, in Hz; None: 0.2 to 0.8 of half the sampling rate; "kurtogram": the most impulsive one of each block."""


def analyse(samples: Samples, rate_hz: float, unit: Unit, rpm: float | None, turning: Turning | None, band: Band) -> Analysis:
    """Severity and envelope of one block.

    samples   float32[n], n >= FEWEST_SAMPLES, finite; cut to a length that is fast to transform
    rpm       shaft speed, > 0 if known
    """
    samples = trimmed(samples)
    n = len(samples)
    bins = transform(samples)
    spectrum = Spectrum(rate_hz / n, amplitudes(bins, n, int(SHOWN_HZ * n / rate_hz) + 2))
    velocity = _velocity(spectrum, unit)
    covered = covered_band(rate_hz, n, rpm)
    envelope, bearing = _demodulated(bins, n / rate_hz, turning, band) if unit.hears_bearings else (None, None)
    return Analysis(velocity, covered, band_rms(velocity, *covered) if covered else 0.0, _rms_above(bins, n, rate_hz), envelope, bearing)


def _rms_above(bins: Bins, n: int, rate_hz: float) -> float:
    """By Parseval's theorem; the bin at half the rate, which counts once, is left out."""
    part = bins[int(SHOWN_HZ * n / rate_hz) + 1 : (n + 1) // 2]
    return float(np.sqrt(2 * float(np.vdot(part, part).real))) / n


def _demodulated(bins: Bins, seconds: float, turning: Turning | None, band: Band) -> tuple[Spectrum | None, tuple[Density, Density] | None]:
    """The envelope spectrum that is shown, and what the diagnosis looks at."""
    highest = SHOWN_HZ if turning is None else turning.highest_hz
    if band == "kurtogram":
        every = whitened(bins, slice(0, len(bins)))
        demodulated = every[most_impulsive(every, seconds, highest)]
    else:
        chosen = band_slice(len(bins), 1 / seconds, band)
        if chosen.stop - chosen.start < _FEWEST_BINS:
            return None, None
        demodulated = whitened(bins, chosen)
    wanted = 1 if turning is None else int(turning.shaft_hz * seconds // _SHOWN_REVOLUTIONS)
    pieces = max(1, min(wanted, len(demodulated) // _FEWEST_BINS))
    envelope = squared_envelope(demodulated)
    shown = envelope_spectrum(envelope, seconds, pieces, highest)
    return shown, None if turning is None else _densities(bins, envelope, seconds, turning)


def _densities(bins: Bins, envelope: Samples, seconds: float, turning: Turning) -> tuple[Density, Density] | None:
    shaft_hz, points = turning.shaft_hz, turning.points
    bands = density.split(len(bins), seconds, turning.highest_hz)
    if not bands or shaft_hz * seconds < density.FEWEST_REVOLUTIONS:
        return None
    phases = density.whitened(bins)
    whitened_envelopes = squared_envelope(np.stack([phases[band] for band in bands]))
    return (
        density.density(whitened_envelopes, seconds, shaft_hz, points),
        density.density(envelope[None], seconds, shaft_hz, points),
    )


def covered_band(rate_hz: float, n: int, rpm: float | None) -> tuple[float, float] | None:
    """10-1000 Hz, from 2 Hz for shafts below 600 rpm (ISO 20816-1); None for a block too short to resolve 10 Hz.

    >>> covered_band(12000.0, 12000, 1480.0), covered_band(12000.0, 12000, 300.0), covered_band(12000.0, 1024, 1480.0)
    ((10.0, 1000.0), (2.0, 1000.0), None)
    """
    resolved = 2 * rate_hz / n
    if resolved > _LOWER_HZ:
        return None
    lower = _LOWER_HZ_SLOW if rpm is not None and rpm < _SLOW_RPM else _LOWER_HZ
    return max(lower, resolved), min(SHOWN_HZ, rate_hz / 2)


def unusable(samples: Samples) -> str:
    """Why it cannot be computed with: `short`, `not_finite`; empty if it can."""
    if len(samples) < FEWEST_SAMPLES:
        return "short"
    # NaN is not below anything; what is beyond would overflow float32 when squared and is no vibration.
    return "" if float(samples.max()) < _LARGEST and float(samples.min()) > -_LARGEST else "not_finite"


def _velocity(spectrum: Spectrum, unit: Unit) -> Spectrum:
    """In mm/s."""
    if unit.quantity == "velocity":
        return spectrum
    found, thousand = (integrated(spectrum), 1000.0) if unit.quantity == "acceleration" else (differentiated(spectrum), 0.001)
    return Spectrum(found.hz_step, found.amplitude * np.float32(unit.factor * thousand))
