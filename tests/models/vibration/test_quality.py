import numpy as np
import pytest

from gateway.testkit.rigs.vibration import BPFO, bursts, noise
from models.vibration.quality import clipped, shape_of, trouble
from models.vibration.units import UNITS

RATE = 12_000.0


def name(samples: np.ndarray, rate: float = RATE, unit: str = "g") -> str:
    found = trouble(samples.astype(np.float32), shape_of(samples.astype(np.float32)), rate, UNITS[unit])
    return "" if found is None else found.name


@pytest.mark.parametrize("samples", [noise(1), bursts(1, BPFO), noise(1, unbalance=5.0), noise(1) + 1, noise(1) * 1e-6])
def test_what_a_sensor_gives_is_believed(samples: np.ndarray) -> None:
    assert name(samples) == ""


def test_a_probe_s_gap_is_no_offset_but_a_centimetre_is_no_vibration() -> None:
    assert name(noise(1) * 100 + 1000, unit="um") == ""
    assert name(noise(1) * 300_000, unit="um") == name(noise(1) * 300, unit="mm") == "unit"


@pytest.mark.parametrize("steps", [1, 3, 20, 200])
def test_whole_steps_of_a_converter_are_no_clipping(steps: int) -> None:
    t = np.arange(12_000) / RATE
    assert not clipped(np.round(steps * np.sin(2 * np.pi * 25 * t)).astype(np.float32))
    assert not clipped(np.round(steps * noise(1) / 0.2).astype(np.float32))


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("sign", [-1, 1])
def test_a_range_that_is_too_small_is_clipping(share: float, sign: int) -> None:
    t = np.arange(12_000) / RATE
    wave = np.sin(2 * np.pi * 25 * t) + 0.01 * noise(1)
    assert clipped((sign * np.minimum(wave, share)).astype(np.float32))


def test_a_velocity_sensor_that_drifts_while_nothing_moves_is_believed() -> None:
    assert name(noise(1) * 0.1 + 0.5, unit="mm/s") == ""
    assert name(noise(1) * 0.1 + 50, unit="mm/s") == "offset"


@pytest.mark.parametrize("rate", [1.0, 50.0, 499.0])
def test_slow_samples_are_no_waveform(rate: float) -> None:
    assert name(noise(1), rate) == "too_slow"
