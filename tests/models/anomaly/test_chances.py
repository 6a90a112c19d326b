"""What comes off a member's score, the more often one looks (`Bank._chances`)."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from models.anomaly.bank import Bank
from models.anomaly.columns import COUNT, INTERVAL, RAISED, SPREAD, TYPICAL
from models.anomaly.settings import BLOCK, CHANCES, MEMBERS, Settings
from models.anomaly.tail import Tail

SETTINGS = Settings()
BLOCK_SECONDS = BLOCK * SETTINGS.memory
FULL = BLOCK_SECONDS / CHANCES  # seconds between readings at which a block holds CHANCES
SCORE_IS_THE_LOGARITHM = Tail(*(np.array(value) for value in (0.0, 0.0, 0.0, 0.0, 0.0, 1.0)))


def chances(seconds: float) -> float:
    bank = Bank(1, SETTINGS, ZoneInfo("UTC"))
    bank.columns.now[INTERVAL] = seconds
    return float(bank._chances(bank.columns.now)[0])


@pytest.mark.parametrize("seconds", [FULL, FULL * 1.01, 3_600.0, 1e9])
def test_up_to_that_many_readings_a_block_a_score_counts_in_full(seconds: float) -> None:
    assert chances(seconds) == 0.0


@pytest.mark.parametrize("times", [1.5, 10.0, 100.0, 1e4])
def test_then_half_a_digit_comes_off_for_ten_times_as_many(times: float) -> None:
    assert chances(FULL / times) == pytest.approx(0.5 * np.log10(times))


def test_a_tag_that_is_not_known_to_pause_at_all_is_bounded() -> None:
    assert chances(0.0) == chances(1e-6) < 6.0


def peak(seconds: float, rng: np.random.Generator, blocks: int = 40) -> float:
    """Root mean square of the largest sums of blocks, of members each at its rarest at another reading."""
    n = round(BLOCK_SECONDS / seconds)
    bank = Bank(n, SETTINGS, ZoneInfo("UTC"))  # a tag for each reading of the block: all of them at once
    now = bank.columns.now
    now[INTERVAL], now[COUNT], now[SPREAD], now[TYPICAL], now[RAISED] = seconds, 1e6, 1.0, 1.0, 0.0
    for row, part in enumerate(SCORE_IS_THE_LOGARITHM):
        bank.columns.tail[row] = part

    def largest() -> float:
        rare: NDArray[np.float64] = -np.log10(rng.random((len(MEMBERS), n)))
        return float(bank._sums(slice(0, n), now, rare, np.ones(n, bool))[1].max())

    return float(np.sqrt(np.mean([largest() ** 2 for _ in range(blocks)])))


def test_peaks_stay_as_high_however_often_one_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit that was learnt, or assumed, for a reading every five minutes is right for one every three seconds."""
    rng = np.random.default_rng(7)
    usual = peak(FULL, rng)
    often = {seconds: peak(seconds, rng) / usual for seconds in (100.0, 30.0, 10.0, 3.0)}
    assert all(0.75 < ratio < 1.05 for ratio in often.values()), often
    monkeypatch.setattr(Bank, "_chances", lambda _, now: np.zeros(now.shape[1]))
    assert peak(3.0, rng) / usual > 1.3, "nothing taken off, they grow"
