"""Against closed forms."""

import numpy as np
import pytest

from models.vibration.bearing import look_up
from models.vibration.diagnosis.comb import Spectrum
from models.vibration.diagnosis.density import STEP, Density
from models.vibration.diagnosis.lines import FAULTS, family, first_order, line_names

ORDERS = look_up("6205")
CELL = 0.03


def density(*lines: tuple[float, float], seed: int = 1, averages: float = 3.0) -> Density:
    """Noise floor of 1, and lines (order, times the floor)."""
    power = np.random.default_rng(seed).gamma(averages, 1 / averages, 24 * 128).astype(np.float32)
    for order, height in lines:
        middle = round(order / STEP)
        power[middle - 2 : middle + 3] += height
    return Density(power, CELL, averages, 150.0)


def comb(fault: str, height: float = 20.0, slip: float = 0.0) -> list[tuple[float, float]]:
    at = family(fault).orders(np.array([first_order(ORDERS, fault) * (1 + slip)]), ORDERS.ftf)[0]
    return [(float(order), height) for order in at]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("slip", [-0.015, 0.0, 0.015])
def test_a_part_s_lines_stand_out_at_its_slip(fault: str, slip: float) -> None:
    found = Spectrum(density(*comb(fault, slip=slip))).strength(ORDERS, fault)
    assert found.score > 6
    assert found.first == pytest.approx(first_order(ORDERS, fault) * (1 + slip), rel=0.012)


@pytest.mark.parametrize("seed", range(10))
def test_noise_reaches_a_score_of_two_whatever_is_averaged(seed: int) -> None:
    for averages in (1.0, 3.0, 100.0):
        found = Spectrum(density(seed=seed, averages=averages))
        assert max(found.strength(ORDERS, fault).score for fault in FAULTS[:3]) < 2.9


def test_depth_is_the_root_of_the_power_of_the_harmonics() -> None:
    """Four lines of 50 times the floor of 1 per order, five steps wide each."""
    found = Spectrum(density(*comb("outer_race", 50.0), averages=100.0)).strength(ORDERS, "outer_race")
    assert found.depth == pytest.approx(np.sqrt(4 * 50 * 5 * STEP), rel=0.06)


def test_one_giant_line_makes_no_part() -> None:
    found = Spectrum(density((ORDERS.bpfo, 1e8))).strength(ORDERS, "outer_race")
    assert found.score < 5


def test_lines_at_whole_orders_are_the_shaft_s() -> None:
    shaft = [(float(k), 1000.0) for k in range(1, 20)]
    found = Spectrum(density(*shaft))
    assert max(found.strength(look_up("6203"), fault).score for fault in FAULTS[:3]) < 2.5


def test_what_suits_a_wrong_speed_as_well_is_not_specific() -> None:
    spectrum = Spectrum(density(*comb("outer_race")))
    score = spectrum.strength(ORDERS, "outer_race").score
    assert spectrum.share_of_wrong_speeds_below(ORDERS, "outer_race", score) == 1.0
    everywhere = Spectrum(density(*((k * 0.31, 30.0) for k in range(1, 70))))
    score = everywhere.strength(ORDERS, "outer_race").score
    assert everywhere.share_of_wrong_speeds_below(ORDERS, "outer_race", score) < 0.9


@pytest.mark.parametrize("fault", FAULTS)
def test_every_line_has_its_name(fault: str) -> None:
    names = line_names(fault)
    assert len(names) == len(set(names)) == len(family(fault).weight)
