"""On seeded signals whose fault is known."""

import numpy as np
import pytest

from gateway.testkit.rigs.vibration import BPFI, BPFO, RATE_HZ, RPM, bursts, noise
from models.vibration.analysis import Turning, analyse
from models.vibration.bearing import Orders, look_up
from models.vibration.diagnosis.knowledge import Knowledge
from models.vibration.diagnosis.verdict import OPEN, Verdict
from models.vibration.units import UNITS

ORDERS = look_up("6205")
LEVEL = 3.0


def diagnosis(blocks: list[np.ndarray], *, orders: Orders = ORDERS, rpm: float = RPM, memory: int = 64) -> Verdict:
    turning = Turning(orders, rpm / 60)
    knowledge, found = Knowledge(turning.points, memory), None
    for block in blocks:
        densities = analyse(block, RATE_HZ, UNITS["g"], rpm, turning, None).bearing
        assert densities is not None
        found = knowledge.learn(densities, orders, LEVEL) or found
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(5))
def test_jittered_bursts_at_bpfo_are_outer_race_damage(seed: int) -> None:
    found = diagnosis([bursts(seed, BPFO)])
    assert found.fault == "outer_race"
    assert found.lines[0].order == pytest.approx(BPFO, rel=0.02)


@pytest.mark.parametrize("seed", range(5))
def test_bursts_at_bpfi_modulated_by_the_shaft_are_inner_race_damage(seed: int) -> None:
    assert diagnosis([bursts(seed, BPFI, modulation=0.7)]).fault == "inner_race"


@pytest.mark.parametrize("seed", range(3))
def test_bursts_at_twice_the_spin_of_a_ball_are_ball_damage(seed: int) -> None:
    assert diagnosis([bursts(seed, 2 * ORDERS.bsf)]).fault == "ball"


def test_a_cage_needs_more_than_others() -> None:
    assert diagnosis([bursts(1, ORDERS.ftf, size=2.0)]).fault == "cage"


@pytest.mark.parametrize("slip", [-0.018, 0.018])
def test_slip_within_two_percent_is_tolerated(slip: float) -> None:
    found = diagnosis([bursts(1, BPFO * (1 + slip))])
    assert found.fault == "outer_race"
    assert found.lines[0].order == pytest.approx(BPFO * (1 + slip), abs=0.03)


def test_bursts_that_fit_no_family_are_no_bearing_damage() -> None:
    assert diagnosis([bursts(1, 2.6)]).fault == ""


def test_two_hundred_healthy_pieces_give_no_diagnosis() -> None:
    """Single blocks; the detector asks for three in a row besides."""
    found = [diagnosis([noise(seed, unbalance=0.2)]) for seed in range(200)]
    assert [one.fault for one in found if one.fault] == []
    assert max(one.score for one in found) < LEVEL


@pytest.mark.parametrize("n", [4096, 12_000, 60_000])
def test_unbalance_alone_is_no_bearing_damage(n: int) -> None:
    assert diagnosis([noise(1, n, unbalance=20.0)]).fault == ""


def test_noise_modulated_by_the_shaft_is_no_bearing_damage() -> None:
    """Looseness and cavitation make lines at whole orders; those of a 6203 lie next to 3, 4 and 5."""
    t = np.arange(12_000) / RATE_HZ
    modulation = 10 * np.exp(15 * (np.cos(2 * np.pi * RPM / 60 * t) - 1))
    found = diagnosis([(noise(seed) * modulation).astype(np.float32) for seed in range(3)], orders=look_up("6203"))
    assert found.fault == ""


def test_the_hundredth_block_knows_more_than_the_first() -> None:
    """Bursts too faint for every single block of a second."""
    weak = [bursts(seed, BPFO, size=0.085) for seed in range(40)]
    alone = [diagnosis([block]).fault for block in weak[:10]]
    assert alone.count("outer_race") <= 2
    assert diagnosis(weak).fault == "outer_race"
    assert diagnosis([noise(seed) for seed in range(100)]).score < LEVEL


def test_a_fault_that_is_new_is_found_although_all_blocks_before_were_healthy() -> None:
    assert diagnosis([*(noise(seed) for seed in range(30)), *(bursts(seed, BPFO) for seed in range(6))]).fault == "outer_race"


def test_a_repair_is_noticed_within_a_few_blocks() -> None:
    damaged, healthy = [bursts(seed, BPFO) for seed in range(20)], [noise(seed) for seed in range(10)]
    assert diagnosis(damaged).fault == "outer_race"
    assert diagnosis([*damaged, *healthy]).fault == ""


def test_blocks_of_different_speeds_are_averaged_by_order() -> None:
    turning = Turning(ORDERS, 1.0)
    knowledge = Knowledge(turning.points, 64)
    for seed, rpm in enumerate((1500.0, 1797.0, 2100.0)):
        densities = analyse(bursts(seed, BPFO, rpm=rpm), RATE_HZ, UNITS["g"], rpm, Turning(ORDERS, rpm / 60), None).bearing
        assert densities is not None
        found = knowledge.learn(densities, ORDERS, LEVEL)
    assert found is not None
    assert found.fault == "outer_race"
    assert knowledge.blocks == 3


def test_two_faults_of_one_strength_are_a_fault_of_an_open_type() -> None:
    found = diagnosis([bursts(1, BPFO) + bursts(2, BPFI, size=0.6)])
    assert min(found.whitened[part].score for part in ("outer_race", "inner_race")) > 2 * LEVEL
    assert found.fault == OPEN


@pytest.mark.parametrize("rpm", [RPM * 1.05, RPM / 1.05])
def test_a_speed_that_is_wrong_by_five_percent_gives_no_diagnosis(rpm: float) -> None:
    found = diagnosis([bursts(seed, BPFO) for seed in range(4)], rpm=rpm)
    assert found.fault in ("", OPEN)


@pytest.mark.parametrize("rpm", [500.0, 599.0])
def test_fewer_than_ten_revolutions_give_no_opinion(rpm: float) -> None:
    assert analyse(noise(1), RATE_HZ, UNITS["g"], rpm, Turning(ORDERS, rpm / 60), None).bearing is None


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_dead_sensor_is_no_damage(value: float) -> None:
    assert diagnosis([np.full(12_000, value, dtype=np.float32)]).fault == ""
