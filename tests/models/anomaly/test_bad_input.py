"""What should not come, and comes: silent, or told once; numpy's warnings are errors here."""

import numpy as np
import pytest

from gateway.contract import Batch, Detector, Finding, State
from gateway.testkit.contexts import detector_context
from models.anomaly import plugin

START, SECOND, HOUR = 1_800_000_000 * 10**9, 10**9, 3_600


def anomaly(k: int = 1) -> Detector:
    """With the defaults of the configuration."""
    return plugin.build(plugin.options.model_validate({"on": "*/*"}), detector_context(plugin, [f"m{i}/t{i}" for i in range(k)]))


def run(detector: Detector, value: "np.ndarray[tuple[int], np.dtype[np.float64]]", every: float, start: float = 0.0) -> list[Finding]:
    """Alarms of readings of one tag, at a regular pace, one item each."""
    found: list[Finding] = []
    for i, one in enumerate(value):
        found += detector.process(Batch.of([0], [START + int((start + i * every) * SECOND)], [one]))
    return [finding for finding in found if finding.state is State.ACTIVE]


@pytest.fixture(autouse=True)
def strict() -> object:
    with np.errstate(all="raise", under="ignore"):
        yield


def hourly(n: int) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    return 50 + np.random.default_rng(4).normal(0, 1, n)


@pytest.fixture(scope="module")
def learnt() -> bytes:
    """400 readings, one a minute."""
    detector = anomaly()
    run(detector, hourly(400), 60.0)
    return detector.dump()


def after(learnt: bytes) -> Detector:
    detector = anomaly()
    detector.load(learnt)
    return detector


def test_one_value_an_hour_is_learnt_and_a_jump_in_it_found() -> None:
    detector, x = anomaly(), hourly(700)
    x[650:] += 15
    assert len(run(detector, x[:650], HOUR)) <= 4  # in four weeks, one a week allowed
    found = run(detector, x[650:660], HOUR, 650 * HOUR)
    assert found
    assert found[0].t_ns - START <= 652 * HOUR * SECOND


def test_another_unit_is_one_incident_until_it_is_the_usual_one(learnt: bytes) -> None:
    found = run(after(learnt), hourly(500)[400:] * 1e6, 60.0, 400 * 60.0)
    assert found
    assert len({finding.since_ns for finding in found}) == 1
    assert len(found) <= 3  # a spike at first, then a level, then an error


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300, -1e300, 1e151])
def test_what_no_sensor_measures_is_left_out(learnt: bytes, value: float) -> None:
    detector = after(learnt)
    before = detector.dump()
    assert not run(detector, np.full(50, value), 60.0, 400 * 60.0)
    assert detector.dump() == before


def test_very_small_and_very_large_values_are_values() -> None:
    detector, x = anomaly(3), hourly(360)[:, None] * [1e-15, 1e-3, 1e140]
    x[320:] *= 1.5
    found: list[Finding] = []
    for i, row in enumerate(x):
        found += detector.process(Batch.of([0, 1, 2], [START + i * 60 * SECOND] * 3, row))
    assert {finding.condition for finding in found if finding.state is State.ACTIVE} == {"t0_anomaly", "t1_anomaly", "t2_anomaly"}


def test_a_tag_that_vanishes_for_a_day_and_comes_back_is_silent(learnt: bytes) -> None:
    x = hourly(800)
    assert not run(anomaly(), x[:400], 60.0)
    assert not run(after(learnt), x[400:600], 60.0, 86_400 + 400 * 60.0)


def test_a_tag_that_appears_late_learns_while_the_others_are_judged() -> None:
    detector, x = anomaly(2), hourly(500)
    found: list[Finding] = []
    for i, one in enumerate(x):
        tags = [0, 1] if i >= 450 else [0]
        found += detector.process(Batch.of(tags, [START + i * 60 * SECOND] * len(tags), [one + (20 if i >= 480 else 0)] * len(tags)))
    assert {finding.condition for finding in found if finding.state is State.ACTIVE} == {"t0_anomaly"}
