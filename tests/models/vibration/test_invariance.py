"""What must not change the diagnosis: scale, a shift in time, polarity, an offset, some noise. By hypothesis."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.testkit.rigs.vibration import BPFI, BPFO, RATE_HZ, RPM, bursts, noise
from models.vibration.analysis import Turning, analyse
from models.vibration.bearing import look_up
from models.vibration.diagnosis.knowledge import Knowledge
from models.vibration.units import UNITS

ORDERS = look_up("6205")
N = 24_000
CASES = {
    "outer_race": bursts(1, BPFO, N + 2_000),
    "inner_race": bursts(1, BPFI, N + 2_000, modulation=0.7),
    "ball": bursts(1, 2 * ORDERS.bsf, N + 2_000),
    "": noise(1, N + 2_000, 0.05),
}


def fault(samples: np.ndarray) -> str:
    turning = Turning(ORDERS, RPM / 60)
    found = analyse(samples.astype(np.float32), RATE_HZ, UNITS["g"], RPM, turning, None).bearing
    assert found is not None
    verdict = Knowledge(turning.points, 1).learn(found, ORDERS, 3.0)
    assert verdict is not None
    return verdict.fault


@given(
    case=st.sampled_from(list(CASES)),
    scale=st.floats(1e-4, 1e3),
    sign=st.sampled_from([-1, 1]),
    shift=st.integers(0, 2_000),
    offset=st.floats(-5, 5),
)
def test_scale_polarity_shift_and_offset_change_nothing(case: str, scale: float, sign: int, shift: int, offset: float) -> None:
    assert fault((CASES[case][shift : shift + N] + offset) * sign * scale) == case


@given(case=st.sampled_from(list(CASES)), seed=st.integers(0, 10_000), level=st.floats(0, 0.05))
def test_as_much_noise_again_changes_nothing(case: str, seed: int, level: float) -> None:
    added = np.random.default_rng(seed).normal(0, level, N)
    assert fault(CASES[case][:N] + added) == case


@given(seed=st.integers(0, 100_000), unbalance=st.floats(0, 2), rpm=st.floats(700, 3500))
def test_a_healthy_machine_of_any_speed_shows_nothing(seed: int, unbalance: float, rpm: float) -> None:
    samples = noise(seed, N, unbalance, rpm)
    turning = Turning(ORDERS, rpm / 60)
    found = analyse(samples, RATE_HZ, UNITS["g"], rpm, turning, None).bearing
    if found is not None:
        verdict = Knowledge(turning.points, 1).learn(found, ORDERS, 3.0)
        assert verdict is not None
        assert verdict.fault == ""
