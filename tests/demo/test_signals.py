"""The plant's signals against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.demo.machines import OIL_DRIFTED, OIL_NORMAL, STEPS, Mes, Press, Pump
from gateway.demo.signals import DAMPING, GRAVITY, RESONANCE_HZ, SKF_6205, Geometry, Lag, Vibration, burst

RATE = 12_000.0


def envelope_spectrum(signal: NDArray[np.float32], rate_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(Hz, amplitude) of the squared signal, without a window: enough to see what repeats."""
    squared = signal.astype(np.float64) ** 2
    return np.fft.rfftfreq(len(signal), 1 / rate_hz), np.abs(np.fft.rfft(squared - squared.mean())) / len(signal)


def test_outer_race_order_of_a_bearing_whose_cage_turns_at_a_third() -> None:
    assert Geometry(balls=12, ball_diameter=1, pitch_diameter=3).outer_race_order == pytest.approx(12 / 2 * (1 - 1 / 3))
    assert Geometry(balls=12, ball_diameter=1, pitch_diameter=3, contact_angle=60).outer_race_order == pytest.approx(6 * (1 - 1 / 6))


def test_burst_is_nothing_before_the_strike_and_decays_by_its_damping() -> None:
    period = 1 / RESONANCE_HZ
    peaks = burst(np.array([-0.001, 0.0, period / 4, period / 4 + period]))
    assert peaks[:2].tolist() == [0.0, 0.0]
    assert peaks[3] / peaks[2] == pytest.approx(math.exp(-2 * math.pi * DAMPING))


def test_healthy_pump_shows_the_velocity_it_was_given() -> None:
    signal = Vibration(RATE, velocity=2.0, noise_g=0.0).block(12_000, speed_rpm=1500)
    peak = math.sqrt(2) * 2.0e-3 * 2 * math.pi * 25 / GRAVITY
    assert signal.max() == pytest.approx(peak, rel=1e-3)
    assert np.sqrt(np.mean(signal.astype(float) ** 2)) == pytest.approx(peak / math.sqrt(2), rel=1e-3)


def test_noise_has_the_rms_it_was_given() -> None:
    signal = Vibration(RATE, velocity=0.0, noise_g=0.05).block(60_000, speed_rpm=1500)
    assert np.std(signal) == pytest.approx(0.05, rel=0.02)


def test_signal_is_the_same_however_it_is_cut_into_blocks() -> None:
    whole = Vibration(RATE, velocity=1.0, noise_g=0.03, seed=5).block(9000, 1480, fault_g=1.0)
    pieces = Vibration(RATE, velocity=1.0, noise_g=0.03, seed=5)
    joined = np.concatenate([pieces.block(n, 1480, fault_g=1.0) for n in (1, 2999, 100, 5900)])
    np.testing.assert_allclose(joined, whole, atol=1e-6)


def test_strikes_repeat_at_the_outer_race_frequency_and_only_with_a_fault() -> None:
    bpfo = SKF_6205.outer_race_order * 1500 / 60
    faulty = Vibration(RATE, velocity=0.9, noise_g=0.03).block(120_000, 1500, fault_g=1.0)
    hz, amplitude = envelope_spectrum(faulty, RATE)
    band = (hz > 60) & (hz < 130)
    assert hz[band][amplitude[band].argmax()] == pytest.approx(bpfo, rel=0.01)
    healthy = Vibration(RATE, velocity=0.9, noise_g=0.03).block(120_000, 1500)
    _, quiet = envelope_spectrum(healthy, RATE)
    assert amplitude[band].max() > 50 * quiet[band].max()


def test_strikes_slip_by_one_to_two_percent() -> None:
    signal = Vibration(RATE, velocity=0.0, noise_g=0.0).block(240_000, 1500, fault_g=1.0)
    started = np.flatnonzero((np.abs(signal[1:]) > 0.3) & (np.abs(signal[:-1]) <= 0.3))
    first = started[np.r_[True, np.diff(started) > 60]]
    gaps = np.diff(first) / RATE * SKF_6205.outer_race_order * 25
    assert gaps.mean() == pytest.approx(1.0, rel=0.003)
    assert 0.01 < gaps.std() < 0.02


def test_fault_does_not_hide_in_the_velocity_but_in_the_resonance() -> None:
    pump = Vibration(RATE, velocity=0.0, noise_g=0.0).block(120_000, 1500, fault_g=1.0)
    power = np.abs(np.fft.rfft(pump.astype(float))) ** 2
    hz = np.fft.rfftfreq(len(pump), 1 / RATE)
    assert power[(hz > 2000) & (hz < 4000)].sum() > 20 * power[hz < 1000].sum()


def test_lag_follows_an_exponential_in_any_steps() -> None:
    tank = Lag(50.0, seconds=8.0)
    for _ in range(100):
        tank.step(0.08, target=80.0)
    assert tank.value == pytest.approx(80 - 30 / math.e)


def test_oil_drifts_over_its_limit_when_told_and_comes_back() -> None:
    press = Press()
    assert all(abs(press.step(0.1)["oil_temperature"] - OIL_NORMAL) < 1 for _ in range(100))
    press.drift(8.0)
    hot = [press.step(0.1)["oil_temperature"] for _ in range(200)]
    crossing = next(i for i, value in enumerate(hot) if value > 70) * 0.1
    assert crossing == pytest.approx(8 * math.log((OIL_DRIFTED - OIL_NORMAL) / (OIL_DRIFTED - 70)), abs=0.3)
    press.repair()
    assert [press.step(0.1)["oil_temperature"] for _ in range(300)][-1] < 54


def test_pit_of_the_pump_grows_and_is_repaired() -> None:
    pump = Pump()
    healthy = np.std(pump.step()[2])
    pump.outer_race(0.8, seconds=3.0)
    growing = [float(np.std(pump.step()[2])) for _ in range(3)]
    assert healthy < growing[0] < growing[1] < growing[2]
    assert growing[-1] > 2 * healthy
    pump.repair()
    pump.step()
    assert np.std(pump.step()[2]) == pytest.approx(healthy, rel=0.05)


def test_orders_pass_every_step_one_after_another() -> None:
    mes = Mes()
    told = [mes.next() for _ in range(len(STEPS) + 1)]
    assert [step for _, step in told] == [*STEPS, STEPS[0]]
    assert [order for order, _ in told] == ["4711"] * len(STEPS) + ["4712"]
