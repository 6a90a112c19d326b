"""Spectra of one block, pure. Amplitudes are peak values corrected for the Hann window: a sine of 1 shows 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Samples: TypeAlias = NDArray[np.float32]
Bins: TypeAlias = NDArray[np.complex64]

_NOISE_BANDWIDTH = 1.5  # of the Hann window, in bins (Harris 1978, Proc. IEEE 66(1), table I)


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Amplitudes at 0, hz_step, 2 hz_step ... Hz; peak, not rms."""

    hz_step: float
    amplitude: Samples


def trimmed(samples: Samples) -> Samples:
    """The beginning of a block, cut to a length the FFT is fast for (no large prime factors).

    >>> len(trimmed(np.zeros(25_601, dtype=np.float32)))
    25600
    """
    return samples[: fft.prev_fast_len(len(samples), real=True)]


def transform(samples: Samples) -> Bins:
    """complex64[n // 2 + 1]: the block without its mean, not windowed."""
    centred = samples - samples.mean(dtype=np.float64).astype(np.float32)
    found: Bins = fft.rfft(centred, overwrite_x=True)
    return found


def amplitudes(bins: Bins, n: int, count: int) -> Samples:
    """float32[count]: first peak amplitudes under a Hann window, applied to the bins of n samples.

    A product in time is a convolution in frequency, and the Hann window has three bins: -1/4, 1/2, -1/4.
    """
    count = min(count, len(bins))
    beyond = bins[-2] if n % 2 == 0 else bins[-1]
    padded = np.concatenate(([np.conj(bins[1])], bins[: count + 1], [np.conj(beyond)]))[: count + 2]
    windowed = padded[1:-1] / 2 - (padded[:-2] + padded[2:]) / 4
    found = np.abs(windowed) * np.float32(4 / n)
    return found.astype(np.float32)


def averaged(samples: Samples, rate_hz: float, hz_step: float, overlap: float = 0.5) -> Spectrum:
    """Root of the mean power of pieces under a Hann window (Welch 1967, IEEE AU-15(2)): noise becomes smooth, lines stay.

    hz_step   at most; the whole block is one piece if it is too short for it
    overlap   of the pieces, 0 to below 1; the Hann window wastes nothing with half

    >>> t = np.arange(48_000) / 12_000
    >>> found = averaged(np.sin(2 * np.pi * 100 * t).astype(np.float32), 12_000.0, 2.0)
    >>> found.hz_step, round(float(found.amplitude[50]), 3)
    (2.0, 1.0)
    """
    length = min(len(samples), fft.next_fast_len(round(rate_hz / hz_step), real=True))
    starts = range(0, len(samples) - length + 1, max(1, round(length * (1 - overlap))))
    pieces = [amplitudes(transform(samples[start : start + length]), length, length) for start in starts]
    power = np.mean(np.square(pieces), axis=0)
    return Spectrum(rate_hz / length, np.sqrt(power).astype(np.float32))


def zoomed(spectrum: Spectrum, low: float, high: float) -> tuple[float, Samples]:
    """(Hz of the first, amplitudes) of the bins in low <= f <= high Hz: the whole block's spectrum is the finest there is."""
    first = _bin(low, spectrum.hz_step, up=True)
    return first * spectrum.hz_step, spectrum.amplitude[first : _bin(high, spectrum.hz_step, up=False) + 1]


def integrated(spectrum: Spectrum) -> Spectrum:
    """Divide by 2 pi f: acceleration becomes velocity. The bin at 0 Hz becomes 0."""
    hz = np.arange(len(spectrum.amplitude), dtype=np.float32) * np.float32(spectrum.hz_step)
    hz[0] = np.inf
    return Spectrum(spectrum.hz_step, spectrum.amplitude / (np.float32(2 * np.pi) * hz))


def differentiated(spectrum: Spectrum) -> Spectrum:
    """Multiply by 2 pi f: displacement becomes velocity.

    >>> differentiated(Spectrum(50.0, np.array([9, 1], dtype=np.float32))).amplitude.astype(int).tolist()  # 1 at 50 Hz
    [0, 314]
    """
    hz = np.arange(len(spectrum.amplitude), dtype=np.float32) * np.float32(spectrum.hz_step)
    return Spectrum(spectrum.hz_step, spectrum.amplitude * (np.float32(2 * np.pi) * hz))


def band_rms(spectrum: Spectrum, low: float, high: float) -> float:
    """Root mean square of what lies in low <= f <= high Hz, by Parseval's theorem.

    >>> band_rms(Spectrum(1.0, np.array([0, 0, 0.5, 1, 0.5, 0], dtype=np.float32)), 1, 5)  # a sine of 1 under Hann
    0.7071067811865476
    """
    inside = spectrum.amplitude[_bin(low, spectrum.hz_step, up=True) : _bin(high, spectrum.hz_step, up=False) + 1]
    return float(np.sqrt(np.sum(np.square(inside, dtype=np.float64)) / 2 / _NOISE_BANDWIDTH))


def _bin(hz: float, hz_step: float, *, up: bool) -> int:
    # A band edge that falls on a bin must not lose it to the last bit of a division.
    position = hz / hz_step
    return int(np.ceil(position - 1e-9) if up else np.floor(position + 1e-9))
