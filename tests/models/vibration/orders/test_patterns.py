import numpy as np
import pytest

from models.vibration.analysis import analyse
from models.vibration.orders.patterns import Machine, hints, peaks
from models.vibration.units import UNITS

RATE, SHAFT = 12_000.0, 25.0


def said(lines: dict[float, float], machine: Machine | None = None) -> list[str]:
    """Velocity lines (Hz, mm/s peak) over a little noise."""
    t = np.arange(48_000) / RATE
    x = np.random.default_rng(1).normal(0, 0.02, len(t))
    for hz, height in lines.items():
        x += height * np.sin(2 * np.pi * hz * t + hz)
    found = analyse(x.astype(np.float32), RATE, UNITS["mm/s"], 1500.0, None, None)
    return hints(peaks(found.velocity, machine or Machine(SHAFT)), found.rms)


@pytest.mark.parametrize(
    ("lines", "machine", "hint"),
    [
        ({25: 4.0, 50: 0.2}, None, "unbalance"),
        ({25: 2.0, 50: 2.4, 75: 1.0}, None, "misalignment"),
        ({k * 25.0: 2.0 / k for k in range(1, 9)}, None, "looseness"),
        ({12.5: 1.0, 25: 2.0, 37.5: 0.8, 50: 0.7}, None, "looseness"),
        ({25: 0.5, 575: 3.0, 550: 1.5, 600: 1.5}, Machine(SHAFT, teeth=23), "gear mesh stands out, with sidebands"),
        ({25: 0.5, 175: 3.0}, Machine(SHAFT, blades=7), "blade pass"),
        ({24.6: 0.5, 100: 3.0}, Machine(24.6, mains_hz=50.0), "twice the mains"),
    ],
)
def test_each_fault_has_its_pattern(lines: dict[float, float], machine: Machine | None, hint: str) -> None:
    assert [one for one in said(lines, machine) if one.startswith(hint)]


def test_noise_has_none() -> None:
    assert said({}) == []
