"""The pure parts against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from models.anomaly.ewma import median3, towards, weight
from models.anomaly.rounds import rounds
from models.anomaly.tail import BINS, STRONGEST, bins, fit, limit, score

RNG = np.random.default_rng(11)


def average(times: np.ndarray, values: np.ndarray, tau: float) -> float:
    mean, last = np.zeros(1), times[0]
    for n, (t, value) in enumerate(zip(times, values, strict=True)):
        mean = towards(mean, np.array([value]), weight(np.array([t - last]), tau, np.array([1e12 if n else 0.0])))
        last = t
    return float(mean[0])


def test_average_of_a_constant_is_the_constant() -> None:
    assert average(np.cumsum(RNG.exponential(1, 100)), np.full(100, 42.5), 7.0) == 42.5


def test_step_response_depends_on_the_time_passed_and_not_on_how_it_was_sampled() -> None:
    """1 - exp(-t/tau), with any spacing."""
    spacing = RNG.exponential(0.3, 200)
    times = np.r_[0.0, np.cumsum(spacing)]
    assert average(times, np.r_[0.0, np.ones(200)], 20.0) == pytest.approx(1 - math.exp(-times[-1] / 20.0), rel=1e-9)


def test_average_begins_as_the_plain_mean() -> None:
    values, mean = RNG.normal(5, 2, 50), np.zeros(1)
    for n, value in enumerate(values):
        mean = towards(mean, np.array([value]), weight(np.array([1.0]), 1e9, np.array([float(n)])))
    assert mean[0] == pytest.approx(values.mean(), rel=1e-12)


def test_middle_of_three() -> None:
    three = RNG.normal(size=(3, 500))
    assert (median3(*three) == np.median(three, axis=0)).all()


NOISE = {"gauss": stats.norm(), "laplace": stats.laplace(scale=0.5**0.5), "student t3": stats.t(3, scale=3**-0.5)}


@pytest.mark.parametrize("name", NOISE)
@pytest.mark.parametrize("p", [1e-3, 1e-4, 1e-5, 1e-6])
def test_extrapolated_limits_are_exceeded_as_often_as_asked(name: str, p: float) -> None:
    """From 86,400 deviations (a day of seconds), without any beyond 1e-5: within a factor of three, on the average of 20 days."""
    z = np.abs(NOISE[name].rvs((20, 86_400), random_state=np.random.default_rng(3)))
    histograms = np.array([np.bincount(bins(day), minlength=BINS) for day in z], dtype=np.float32)
    found = 2 * NOISE[name].sf(limit(fit(histograms), np.full(20, p)))
    assert p / 3 < np.exp(np.log(found).mean()) < p * 3


def test_score_is_the_inverse_of_the_limit_and_never_falls() -> None:
    z = np.abs(NOISE["laplace"].rvs(20_000, random_state=np.random.default_rng(4)))
    tail = fit(np.bincount(bins(z), minlength=BINS).astype(np.float32)[None, :])
    for p in (1e-3, 1e-5, 1e-8):
        assert score(tail, limit(tail, np.array([p])))[0] == pytest.approx(-math.log10(p))
    rising = [float(score(tail, np.array([v]))[0]) for v in np.linspace(0, 300, 500)]
    assert rising == sorted(rising)
    assert rising[0] == 0.0
    assert rising[-1] <= STRONGEST


def test_a_history_without_a_tail_gives_finite_numbers() -> None:
    histogram = np.zeros((1, BINS), dtype=np.float32)
    histogram[0, 0] = 500
    assert np.isfinite(np.array(fit(histogram))).all()
    assert np.isfinite(limit(fit(histogram), np.array([1e-6]))).all()


def test_one_fit_does_not_depend_on_its_neighbours() -> None:
    histograms = RNG.poisson(3, (300, BINS)).astype(np.float32)
    together = np.array(fit(histograms))
    alone = np.hstack([np.array(fit(histograms[i : i + 1])) for i in range(300)])
    assert (together == alone).all()


def test_rounds_hold_each_tag_once_and_keep_its_order() -> None:
    row = RNG.integers(0, 7, 100)
    pieces = [np.arange(100)[piece] for piece in rounds(row)]
    assert all(len(np.unique(row[piece])) == len(piece) for piece in pieces)
    for tag in range(7):
        assert [i for piece in pieces for i in piece if row[i] == tag] == np.flatnonzero(row == tag).tolist()
