"""Squared envelope of a frequency band and its spectrum, pure.

A defect makes short bursts that ring at resonances far above its own repetition rate; the spectrum of the band's
envelope shows the rate (Randall & Antoni 2011, Rolling element bearing diagnostics - a tutorial, MSSP 25(2)).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import fft

from models.vibration.spectrum import Bins, Samples, Spectrum

_WIDTH = 0.01  # of all bins: wider than a line, narrower than a resonance
_TINY = 1e-30
_TREE = (1, 2, 3, 4, 6, 8, 12)
_LOWEST = 50  # the lowest 2 % belong to the shaft
BAND_MARGIN = 2.2
"""A band of width B shows modulations up to B / 2: its envelope has one sample per 1 / B."""


def band_slice(bins: int, hz_step: float, band: tuple[float, float] | None) -> slice:
    """Bins of the band in Hz; default 0.2 to 0.8 of what there is. Empty when the band lies beyond."""
    if band is None:
        return slice(int(0.2 * bins), int(0.8 * bins))
    return slice(min(bins, int(band[0] / hz_step)), min(bins, int(band[1] / hz_step) + 1))


def most_impulsive(bins: Bins, seconds: float, highest_hz: float) -> slice:
    """The band of a tree of bands whose squared envelope has the largest kurtosis (after Antoni 2007, MSSP 21(1), the fast
    kurtogram): halves, thirds, quarters and so on of all bins and those that overlap them, each wide enough for modulations up to
    `highest_hz`.

    bins   whitened, so that no band wins by a tone
    """
    best, chosen = -1.0, slice(0, len(bins))
    for count in _TREE:
        width = len(bins) // count
        if count > 1 and width / seconds < BAND_MARGIN * highest_hz:
            break
        for i in range(2 * count - 1):
            band = slice(max(i * width // 2, len(bins) // _LOWEST), i * width // 2 + width)
            envelope = squared_envelope(bins[band])
            if (kurtosis := float(np.mean(envelope * envelope))) > best:
                best, chosen = kurtosis, band
    return chosen


def whitened(bins: Bins, band: slice) -> Bins:
    """The band's bins divided by the rms of their neighbourhood (1 % of all bins wide).

    Gear meshes and other strong lines then weigh no more than the noise a defect modulates. Milder than cepstrum
    pre-whitening (Borghesani et al. 2013, MSSP 36(2)), which sets every bin to 1.
    """
    part = bins[band]
    power = np.square(part.real) + np.square(part.imag)
    cell = max(3, int(_WIDTH * len(bins) / 3))
    cells = max(1, len(part) // cell)
    mean = power[: cells * cell].reshape(cells, -1).mean(axis=1)
    around = np.concatenate((mean[:1], mean, mean[-1:]))
    rms = np.sqrt((around[:-2] + around[1:-1] + around[2:]) / 3)
    share = np.ones((), dtype=np.float32) / np.maximum(rms, _TINY)
    found = np.empty_like(part)
    whole = min(cells * cell, len(part))
    np.multiply(part[:whole].reshape(cells, -1), share[:, None], out=found[:whole].reshape(cells, -1))
    np.multiply(part[whole:], share[-1], out=found[whole:])
    return found


def squared_envelope(band: Bins) -> Samples:
    """float32[..., m], mean 1: squared magnitude of the analytic signal of these bins, shifted to 0 Hz.

    m is about the number of bins: m samples stand for the whole block. All zero if the band is.
    """
    signal = fft.ifft(band, fft.next_fast_len(band.shape[-1]))
    power = np.square(signal.real) + np.square(signal.imag)
    power /= np.maximum(power.mean(axis=-1, keepdims=True, dtype=np.float64), _TINY).astype(np.float32)
    found: Samples = power
    return found


def envelope_spectrum(envelope: Samples, seconds: float, pieces: int, highest: float) -> Spectrum:
    """Spectrum of the envelope up to `highest` Hz, as depth of modulation: 1 + m cos(wt) shows m.

    envelope  float32[m], or float32[bands, m], whose powers are averaged
    seconds   that the envelope stands for
    pieces    the powers of 2 * pieces - 1 pieces that overlap by half are averaged (Welch 1967, IEEE AU-15(2))
    """
    samples = envelope.shape[-1]
    length = fft.prev_fast_len(samples // pieces, real=True)
    hz_step = samples / seconds / length
    last = max(1, 2 * pieces - 2)
    starts = [i * (samples - length) // last for i in range(2 * pieces - 1)]
    parts = np.stack([envelope[..., start : start + length] for start in starts])
    parts -= np.float32(1)
    parts *= _hann(length)
    bins = fft.rfft(parts.reshape(-1, length), overwrite_x=True)[:, : int(highest / hz_step) + 2]
    power = np.mean(np.square(bins.real) + np.square(bins.imag), axis=0)
    return Spectrum(hz_step, np.sqrt(power) * np.float32(4 / length))


@lru_cache(maxsize=8)
def _hann(length: int) -> Samples:
    """Periodic; kept, because blocks of a tag are of one length."""
    found: Samples = (0.5 - 0.5 * np.cos(2 * np.pi / length * np.arange(length))).astype(np.float32)
    found.setflags(write=False)
    return found
