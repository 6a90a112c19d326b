"""Against closed forms."""

import math

import numpy as np
import pytest

from models.vibration.analysis import analyse, covered_band
from models.vibration.spectrum import Spectrum, amplitudes, band_rms, integrated, transform, trimmed
from models.vibration.units import STANDARD_GRAVITY, UNITS

RATE = 12_000.0


def sine(hz: float, amplitude: float, n: int = 12_000, rate: float = RATE) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(n) / rate + 0.3)).astype(np.float32)


def spectrum(samples: np.ndarray, rate: float = RATE) -> Spectrum:
    n = len(samples)
    return Spectrum(rate / n, amplitudes(transform(samples), n, n))


@pytest.mark.parametrize("n", [1024, 4095, 12_000, 12_005])
def test_a_sine_on_a_bin_shows_its_amplitude(n: int) -> None:
    k = n // 10
    found = spectrum(sine(k * RATE / n, 2.5, n))
    assert found.amplitude[k] == pytest.approx(2.5, rel=1e-4)
    assert found.amplitude[k - 1] == pytest.approx(1.25, rel=1e-3)  # the Hann window's neighbours
    assert np.delete(found.amplitude, [k - 1, k, k + 1]).max() < 1e-3


@pytest.mark.parametrize("n", [1000, 1001])
def test_the_window_applied_to_bins_is_the_window_applied_to_samples(n: int) -> None:
    samples = np.random.default_rng(1).normal(0, 1, n).astype(np.float32)
    centred = samples - samples.mean(dtype=np.float64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    expected = np.abs(np.fft.rfft(centred * window)) * 4 / n
    assert amplitudes(transform(samples), n, n) == pytest.approx(expected, abs=1e-6)
    assert amplitudes(transform(samples), n, 7) == pytest.approx(expected[:7], abs=1e-6)


def test_white_noise_keeps_its_rms() -> None:
    samples = np.random.default_rng(2).normal(0, 0.7, 120_000).astype(np.float32)
    assert band_rms(spectrum(samples), 0, RATE / 2) == pytest.approx(0.7, rel=0.01)
    assert band_rms(spectrum(samples), 1000, 2500) == pytest.approx(0.7 * math.sqrt(1500 / 6000), rel=0.02)


@pytest.mark.parametrize("hz", [37.0, 37.3, 37.5])
def test_the_rms_of_a_sine_does_not_depend_on_where_its_bin_lies(hz: float) -> None:
    assert band_rms(spectrum(sine(hz, 1.0)), 10, 1000) == pytest.approx(1 / math.sqrt(2), rel=1e-3)


def test_velocity_of_one_g_at_100_hz() -> None:
    """v = a / (2 pi f): 15.6078 mm/s peak, 11.0364 mm/s rms."""
    found = analyse(sine(100, 1.0), RATE, UNITS["g"], None, None, None)
    assert found.rms == pytest.approx(STANDARD_GRAVITY * 1000 / (2 * math.pi * 100) / math.sqrt(2), rel=1e-3)
    assert found.velocity.amplitude[100] == pytest.approx(15.6078, rel=1e-4)


def test_velocity_leaves_out_what_is_below_10_and_above_1000_hz() -> None:
    samples = sine(100, 1.0) + sine(4, 1.0) + sine(1500, 30.0) + np.float32(5)
    found = analyse(samples, RATE, UNITS["g"], 1500.0, None, None)
    assert found.rms == pytest.approx(11.0364, rel=2e-3)
    assert found.band == (10.0, 1000.0)


def test_slow_shafts_are_measured_from_2_hz() -> None:
    samples = sine(5, 0.01, 24_000)
    fast, slow = (analyse(samples, RATE, UNITS["g"], rpm, None, None) for rpm in (1500.0, 300.0))
    assert slow.rms == pytest.approx(98.0665 / (2 * math.pi * 5) / math.sqrt(2), rel=0.01)
    assert fast.rms < 0.05 * slow.rms


def test_a_velocity_sensor_is_not_integrated_and_gives_no_envelope() -> None:
    found = analyse(sine(50, 3.0), RATE, UNITS["mm/s"], None, None, None)
    assert found.rms == pytest.approx(3 / math.sqrt(2), rel=1e-3)
    assert found.envelope is None


def test_a_block_too_short_for_10_hz_has_no_severity() -> None:
    assert covered_band(12_000, 2399, None) is None
    assert covered_band(12_000, 2400, None) == (10.0, 1000.0)
    assert covered_band(1600, 1600, 300.0) == (2.0, 800.0)


def test_lengths_with_large_prime_factors_are_cut() -> None:
    assert len(trimmed(np.zeros(12_007, dtype=np.float32))) == 12_000
    assert len(trimmed(np.zeros(1024, dtype=np.float32))) == 1024


def test_integration_has_no_pole_at_0_hz() -> None:
    found = integrated(Spectrum(1.0, np.ones(3, dtype=np.float32)))
    assert found.amplitude == pytest.approx([0, 1 / (2 * math.pi), 1 / (4 * math.pi)])


def test_the_rms_above_1_khz_leaves_out_what_is_below() -> None:
    found = analyse(sine(100, 5.0) + sine(3000, 2.0), RATE, UNITS["g"], None, None, None)
    assert found.high == pytest.approx(2 / math.sqrt(2), rel=1e-3)


@pytest.mark.parametrize(("unit", "one"), [("um", 1.0), ("mm", 0.001)])
def test_displacement_becomes_velocity(unit: str, one: float) -> None:
    """20 um at 100 Hz: 2 pi 100 * 20 um = 12.57 mm/s peak."""
    found = analyse(sine(100, 20 * one), RATE, UNITS[unit], None, None, None)
    assert found.rms == pytest.approx(2 * math.pi * 100 * 0.02 / math.sqrt(2), rel=1e-3)
    assert found.envelope is None
