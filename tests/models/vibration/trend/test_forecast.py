import numpy as np

from models.vibration.trend.forecast import forecast

HOUR = 3600.0


def test_the_true_time_lies_in_the_interval_in_nearly_all_cases() -> None:
    """Rises by 1 % an hour, 5 % noise; ln(2) / 0.01 - 99 hours are left."""
    t = np.arange(100) * HOUR
    inside = 0
    for seed in range(100):
        value = np.exp(0.01 * t / HOUR + np.random.default_rng(seed).normal(0, 0.05, 100))
        found = forecast(t, value, 3.0)
        assert found is not None
        inside += found.earliest <= (np.log(3.0) / 0.01 - 99) * HOUR <= found.latest
    assert inside >= 90


def test_a_level_that_does_not_rise_has_no_forecast() -> None:
    t = np.arange(100) * HOUR
    found = [forecast(t, np.exp(np.random.default_rng(seed).normal(0, 0.05, 100)), 2.0) for seed in range(100)]
    assert sum(one is not None for one in found) <= 5
    assert forecast(t, np.exp(-0.01 * t / HOUR), 2.0) is None
    assert forecast(t[:3], np.exp(t[:3] / HOUR), 2.0) is None
    assert forecast(np.zeros(10), np.ones(10), 2.0) is None


def test_a_limit_that_is_reached_is_reached_now() -> None:
    t = np.arange(100) * HOUR
    found = forecast(t, np.exp(0.05 * t / HOUR), 1.0)
    assert found is not None
    assert found.seconds == 0
