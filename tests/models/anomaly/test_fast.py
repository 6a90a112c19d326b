"""Readings that come faster than the bank looks (`Bank.due`)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from models.anomaly.bank import Bank
from models.anomaly.columns import LAST
from models.anomaly.settings import EVERY, RIPE, Settings

HZ = 5
BEGIN_NS = 1_800_000_000 * 10**9


def judged(bank: Bank, values: NDArray[np.float64]) -> tuple[NDArray[np.bool_], int]:
    """Which readings of float64[n, k] were judged, and how many alarms began; the readings go on from those before."""
    begin = int(bank.columns.times[LAST].max()) or BEGIN_NS
    k, step = values.shape[1], 10**9 // HZ
    looked, alarms = np.zeros(values.shape, dtype=np.bool_), 0
    for i, x in enumerate(values):
        row, t_ns = np.arange(k), np.full(k, begin + (i + 1) * step)
        due = looked[i] = bank.due(row, t_ns, x)
        if due.any():
            alarms += int(bank.step(row[due], t_ns[due], x[due]).verdicts.began.sum())
        bank.columns.times[LAST] = t_ns
    return looked, alarms


def noise(seconds: float, k: int = 1, seed: int = 3) -> NDArray[np.float64]:
    return 50 + np.random.default_rng(seed).standard_normal((int(seconds * HZ), k))


def test_a_warm_up_that_has_time_takes_a_look_now_and_then() -> None:
    settings = Settings(warm_up=600.0)
    looked, _ = judged(Bank(1, settings, ZoneInfo("UTC")), noise(500))
    assert looked[:RIPE].all()
    pace = EVERY * settings.smooth
    assert looked[RIPE + 10 :].sum() == pytest.approx(500 / pace, rel=0.2)


def test_a_warm_up_that_would_come_late_takes_every_reading_until_it_has_enough() -> None:
    settings = Settings(smooth=300.0, warm_up=60.0)  # a look in 27 s: 300 of them take two hours
    looked, _ = judged(Bank(1, settings, ZoneInfo("UTC")), noise(100))
    assert looked[: settings.warm_up_readings].all()
    assert not looked[settings.warm_up_readings + 20 :].all()


def test_after_a_thin_warm_up_a_step_is_found_at_once_and_nothing_else() -> None:
    bank = Bank(4, Settings(warm_up=600.0), ZoneInfo("UTC"))
    assert judged(bank, noise(900, 4))[1] == 0
    assert judged(bank, noise(6, 4, seed=4) + 8)[1] == 4


def test_rare_pulses_that_were_there_all_along_are_no_alarms() -> None:
    """What was learnt of every reading, and then of one in a second, would be two different things."""
    bank = Bank(4, Settings(warm_up=600.0), ZoneInfo("UTC"))
    pulses = 10 * (np.random.default_rng(5).random((1500 * HZ, 4)) < 0.01)
    assert judged(bank, 0.1 * noise(1500, 4) + pulses)[1] == 0
