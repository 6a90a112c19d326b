import numpy as np
import pytest

from gateway.testkit.rigs.vibration import BPFI, BPFO, RATE_HZ, RPM, bursts, noise
from models.vibration.analysis import Turning, analyse
from models.vibration.bearing import Orders, look_up
from models.vibration.diagnose import UNSURE, Diagnosis, diagnose, grid

ORDERS = look_up("6205")
LEVEL = 1.0


def diagnosis(blocks: list[np.ndarray], *, orders: Orders = ORDERS) -> Diagnosis:
    found = [analyse(block, RATE_HZ, 9.80665, RPM, Turning(orders, RPM / 60), None).prominence for block in blocks]
    return diagnose(np.stack([one for one in found if one is not None]), orders, LEVEL)


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
    assert max(one.score for one in found) < 0.95


@pytest.mark.parametrize("n", [4096, 12_000, 60_000])
def test_unbalance_alone_is_no_bearing_damage(n: int) -> None:
    assert diagnosis([noise(1, n, unbalance=20.0)]).fault == ""


def test_noise_modulated_by_the_shaft_is_no_bearing_damage() -> None:
    """Looseness and cavitation make lines at whole orders; those of a 6203 lie next to 3, 4 and 5."""
    t = np.arange(12_000) / RATE_HZ
    modulation = 10 * np.exp(15 * (np.cos(2 * np.pi * RPM / 60 * t) - 1))
    found = diagnosis([(noise(seed) * modulation).astype(np.float32) for seed in range(3)], orders=look_up("6203"))
    assert found.fault == ""


def test_averaging_finds_what_one_block_does_not() -> None:
    weak = [bursts(seed, BPFO, size=0.13) for seed in range(8)]
    alone = [diagnosis([block]).score for block in weak]
    healthy = [diagnosis([noise(seed)]).score for seed in range(8)]
    averaged_healthy = diagnosis([noise(seed) for seed in range(8)]).score
    assert diagnosis(weak).score - averaged_healthy > max(alone) - max(healthy)
    assert averaged_healthy < min(healthy)


def test_blocks_of_different_speeds_are_averaged_by_order() -> None:
    turnings = [(rpm, bursts(seed, BPFO, rpm=rpm)) for seed, rpm in enumerate((1500.0, 1797.0, 2100.0))]
    power = [analyse(block, RATE_HZ, 9.80665, rpm, Turning(ORDERS, rpm / 60), None).prominence for rpm, block in turnings]
    found = diagnose(np.stack([one for one in power if one is not None]), ORDERS, LEVEL)
    assert found.fault == "outer_race"
    assert found.blocks == 3


def test_two_faults_of_one_strength_are_a_fault_whose_type_is_not_sure() -> None:
    found = diagnosis([bursts(1, BPFO) + bursts(2, BPFI)])
    assert min(found.scores["outer_race"], found.scores["inner_race"]) > 2 * LEVEL
    assert found.fault == UNSURE


def test_one_giant_line_makes_no_family() -> None:
    power = np.random.default_rng(1).exponential(1.0, (4, len(grid(ORDERS)))).astype(np.float32)
    power[:, round(BPFO * 64)] = 1e8
    assert diagnose(power, ORDERS, LEVEL).fault == ""


@pytest.mark.parametrize(("fault", "order", "apart"), [("inner_race", ORDERS.bpfi, 1.0), ("ball", 2 * ORDERS.bsf, ORDERS.ftf)])
def test_sidebands_speak_for_a_defect_that_turns(fault: str, order: float, apart: float) -> None:
    power = np.ones((1, len(grid(ORDERS))), dtype=np.float32)
    power[0, [round(k * order * 64) for k in (1, 2, 3, 4)]] = 9
    plain = diagnose(power, ORDERS, LEVEL).scores[fault]
    power[0, [round((k * order + side) * 64) for k in (1, 2) for side in (-apart, apart)]] = 9
    assert plain == pytest.approx(np.log(3), abs=0.01)
    assert diagnose(power, ORDERS, LEVEL).scores[fault] - plain == pytest.approx(0.25 * (np.log(3) - 0.35), abs=0.01)


@pytest.mark.parametrize("rpm", [500.0, 599.0])
def test_fewer_than_ten_revolutions_give_no_opinion(rpm: float) -> None:
    assert analyse(noise(1), RATE_HZ, 9.8, rpm, Turning(ORDERS, rpm / 60), None).prominence is None


@pytest.mark.parametrize("value", [0.0, 7.0])
def test_a_dead_sensor_is_no_damage(value: float) -> None:
    assert diagnosis([np.full(12_000, value, dtype=np.float32)]).fault == ""
