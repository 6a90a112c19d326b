"""Against closed forms."""

import numpy as np
import pytest

from models.vibration.envelope import band_slice, envelope_spectrum, squared_envelope, whitened
from models.vibration.spectrum import transform

RATE = 12_000.0


def modulated(depth: float, hz: float, carrier: float = 3000.0, n: int = 12_000) -> np.ndarray:
    t = np.arange(n) / RATE
    return ((1 + depth * np.cos(2 * np.pi * hz * t)) * np.cos(2 * np.pi * carrier * t)).astype(np.float32)


def test_the_squared_envelope_of_an_amplitude_modulated_carrier() -> None:
    """(1 + m cos)^2 = 1 + m^2/2 + 2 m cos + m^2/2 cos 2x, over its mean."""
    bins = transform(modulated(0.4, 100.0))
    found = envelope_spectrum(squared_envelope(bins[band_slice(len(bins), 1.0, None)]), 1.0, 1, 500.0)
    assert found.hz_step == pytest.approx(1.0)
    assert found.amplitude[100] == pytest.approx(0.8 / 1.08, rel=1e-3)
    assert found.amplitude[200] == pytest.approx(0.08 / 1.08, rel=1e-2)
    assert np.delete(found.amplitude, [*range(98, 103), *range(198, 203)]).max() < 1e-3


def test_pieces_keep_the_depth_and_coarsen_the_step() -> None:
    bins = transform(modulated(0.4, 100.0, n=48_000))
    found = envelope_spectrum(squared_envelope(bins[band_slice(len(bins), 0.25, None)]), 4.0, 4, 500.0)
    assert found.hz_step == pytest.approx(1.0, rel=0.01)
    assert found.amplitude.max() == pytest.approx(0.8 / 1.08, rel=0.15)
    assert int(found.amplitude.argmax()) * found.hz_step == pytest.approx(100, abs=1)


def test_modulation_outside_the_band_is_not_seen() -> None:
    noise = np.random.default_rng(1).normal(0, 0.01, 12_000).astype(np.float32)
    bins = transform(modulated(0.9, 100.0, carrier=1000.0) + noise)
    found = envelope_spectrum(squared_envelope(bins[band_slice(len(bins), 1.0, (2000.0, 5000.0))]), 1.0, 1, 500.0)
    assert found.amplitude[100] < 0.1


def test_whitening_takes_the_power_of_strong_lines() -> None:
    random = np.random.default_rng(3)
    samples = (random.normal(0, 1, 12_000) + 50 * np.sin(2 * np.pi * 3000 * np.arange(12_000) / RATE)).astype(np.float32)
    bins = transform(samples)
    power = np.abs(whitened(bins, band_slice(len(bins), 1.0, None))) ** 2
    assert np.median(power) == pytest.approx(np.log(2), rel=0.1)  # of an exponential distribution of mean 1
    assert power.max() < 200  # before: 50^2 * 12000 / 2 / 1 = 1.5e7 times its neighbours


@pytest.mark.parametrize("samples", [np.zeros(4096, dtype=np.float32), np.full(4096, 7, dtype=np.float32)])
def test_a_dead_sensor_has_an_empty_envelope_spectrum(samples: np.ndarray) -> None:
    bins = transform(samples)
    found = envelope_spectrum(squared_envelope(whitened(bins, band_slice(len(bins), 1.0, None))), 1.0, 1, 500.0)
    assert np.isfinite(found.amplitude).all()


def test_a_band_beyond_the_sampling_is_empty() -> None:
    chosen = band_slice(6001, 1.0, (7000.0, 9000.0))
    assert chosen.stop == chosen.start
