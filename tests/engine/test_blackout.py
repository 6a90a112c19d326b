"""`blackout`: judged on the readings' own time, in plant time."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np

from gateway.engine.blackout import Blackout

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60_000_000_000


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


def minutes(blackout: Blackout, first: str, last: str) -> list[str]:
    """Of a stretch of UTC, those inside, as HH:MM."""
    t_ns = np.arange(utc(first), utc(last), MINUTE)
    inside = blackout.rows(t_ns)
    found = t_ns if inside is None else t_ns[inside]
    return [datetime.fromtimestamp(int(t) // 10**9, UTC).strftime("%H:%M") for t in (found if inside is not None else [])]


def test_it_is_an_hour_earlier_by_utc_in_summer() -> None:
    night = Blackout(["daily 02:00-02:30"], BERLIN)
    assert minutes(night, "2027-01-15 00:00", "2027-01-15 06:00")[:1] == ["01:00"]
    assert minutes(night, "2027-07-15 00:00", "2027-07-15 06:00")[:1] == ["00:00"]


def test_the_hour_that_is_left_out_in_spring_has_none_and_the_one_that_is_repeated_in_autumn_has_two() -> None:
    night = Blackout(["daily 02:00-02:30"], BERLIN)
    assert minutes(night, "2027-03-28 00:00", "2027-03-28 06:00") == []
    twice = minutes(night, "2027-10-31 00:00", "2027-10-31 06:00")
    assert [twice[0], twice[29], twice[30], twice[59], len(twice)] == ["00:00", "00:29", "01:00", "01:29", 60]


def test_a_window_over_the_change_of_clocks_ends_by_the_clock_on_the_wall() -> None:
    weekend = Blackout(["sat 22:00-06:00"], BERLIN)
    assert len(minutes(weekend, "2027-03-27 12:00", "2027-03-28 12:00")) == 7 * 60
    assert len(minutes(weekend, "2027-10-30 12:00", "2027-10-31 12:00")) == 9 * 60
    assert len(minutes(weekend, "2027-01-16 12:00", "2027-01-17 12:00")) == 8 * 60


def test_readings_of_one_minute_are_judged_together_and_their_end_is_exact() -> None:
    blackout = Blackout(["fri 08:00-08:01"], ZoneInfo("UTC"))
    t_ns = utc("2027-01-15 08:00") + np.array([0, MINUTE - 1], dtype=np.int64)
    inside = blackout.rows(t_ns)
    assert inside is not None
    assert inside.tolist() == [True, True]
    assert blackout.rows(t_ns + MINUTE) is None
    assert blackout.at(int(t_ns[1]))
    assert not blackout.at(int(t_ns[1]) + 1)
