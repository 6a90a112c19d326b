import numpy as np
import pytest

from models.vibration.analysis import analyse
from models.vibration.orders.speed import disagrees, from_spectrum
from models.vibration.spectrum import Spectrum
from models.vibration.units import UNITS

RATE = 12_000.0


def velocity(rpm: float, heights: tuple[float, ...] = (0.2, 0.1, 0.05, 0.05), seconds: float = 4.0, seed: int = 1) -> Spectrum:
    t = np.arange(int(RATE * seconds)) / RATE
    x = np.random.default_rng(seed).normal(0, 0.05, len(t))
    for k, height in enumerate(heights, 1):
        x += height * np.sin(2 * np.pi * k * rpm / 60 * t + k)
    return analyse(x.astype(np.float32), RATE, UNITS["g"], None, None, None).velocity


@pytest.mark.parametrize("rpm", [1203.3, 1480.0, 1797.0, 2977.0, 5903.0])
def test_a_shaft_with_multiples_is_found_to_a_thousandth(rpm: float) -> None:
    found = from_spectrum(velocity(rpm))
    assert found is not None
    assert found.rpm == pytest.approx(rpm, rel=1e-3)
    assert found.confidence > 0.6


@pytest.mark.parametrize("seed", range(5))
def test_noise_has_no_sure_speed(seed: int) -> None:
    found = from_spectrum(velocity(1480.0, (), seed=seed))
    assert found is None or found.confidence < 0.7


def test_one_line_of_something_else_is_no_sure_speed() -> None:
    found = from_spectrum(velocity(1480.0, (0.0, 0.0, 0.0, 0.0, 0.0, 3.0)))
    assert found is None or found.confidence < 0.7


@pytest.mark.parametrize("given", [1797.0, 1790.0, 1760.0])
def test_a_speed_within_the_slip_is_not_contradicted(given: float) -> None:
    assert disagrees(velocity(1797.0), given) is None


@pytest.mark.parametrize("given", [1797 * 1.05, 1797 / 1.05])
def test_a_speed_that_is_wrong_by_five_percent_is_contradicted(given: float) -> None:
    found = disagrees(velocity(1797.0), given)
    assert found is not None
    assert found.rpm == pytest.approx(1797, rel=1e-3)


def test_a_spectrum_of_nothing_has_no_speed() -> None:
    assert from_spectrum(Spectrum(0.25, np.zeros(4000, dtype=np.float32))) is None
    assert from_spectrum(Spectrum(10.0, np.ones(3, dtype=np.float32))) is None
