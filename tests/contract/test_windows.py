"""Windows of the week, by the clock on the plant's wall."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from gateway.contract.windows import window

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("sat 06:00-14:00", ["2027-01-16 06:00", "2027-01-16 13:59"], ["2027-01-16 05:59", "2027-01-16 14:00", "2027-01-17 06:00"]),
        ("daily 02:00-02:30", ["2027-01-15 02:00", "2027-01-18 02:29"], ["2027-01-15 02:30", "2027-01-15 14:00"]),
        ("mon-fri 00:00-24:00", ["2027-01-15 23:59", "2027-01-18 00:00"], ["2027-01-16 00:00", "2027-01-17 23:59"]),
        ("fri 22:00-06:00", ["2027-01-15 22:00", "2027-01-16 05:59"], ["2027-01-15 05:00", "2027-01-16 06:00", "2027-01-16 22:00"]),
        ("sun 22:00-06:00", ["2027-01-17 23:00", "2027-01-18 01:00"], ["2027-01-17 01:00"]),
        ("sat-mon 10:00-11:00", ["2027-01-16 10:00", "2027-01-17 10:00", "2027-01-18 10:00"], ["2027-01-15 10:00", "2027-01-19 10:00"]),
        (
            "mon, wed-thu 10:00-11:00",
            ["2027-01-18 10:00", "2027-01-20 10:00", "2027-01-21 10:00"],
            ["2027-01-19 10:00", "2027-01-22 10:00"],
        ),
    ],
)
def test_it_holds_on_its_days_between_its_times(text: str, inside: list[str], outside: list[str]) -> None:
    made = window(text)
    assert [each for each in inside if not made.holds(datetime.fromisoformat(each))] == []
    assert [each for each in outside if made.holds(datetime.fromisoformat(each))] == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("saturday 06:00-14:00", "write for example"),
        ("sat 6-14", "write for example"),
        ("sat 06:00-25:00", "no such time"),
        ("sat 24:00-25:00", "no such time"),
        ("sat 06:60-07:00", "no such time"),
        ("sat 06:00-06:00", "00:00-24:00"),
        ("", "write for example"),
        ("sat 06:00-14:00\n", "write for example"),
    ],
)
def test_what_is_no_window_is_refused_with_what_to_write(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        window(text)
