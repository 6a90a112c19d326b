"""Times, values and qualities as recordings write them."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.replay.cells import to_ns, to_reading
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality

NS = 1_790_902_923_456_789_012


@pytest.mark.parametrize(
    "text",
    [
        "2026-10-02T01:02:03.456789012Z",
        "2026-10-02 03:02:03.456789012+02:00",
        "2026-10-02T01:02:03.4567890129",
        "1790902923.456789012",
        "1790902923456.789012",
        "1790902923456789.012",
        "1790902923456789012",
        " 1.790902923456789012e9 ",
    ],
)
def test_every_way_to_write_one_moment_keeps_its_nanoseconds(text: str) -> None:
    assert to_ns(text) == NS


def test_before_1970_and_before_2015_stay_what_they_are() -> None:
    assert to_ns("1969-12-31T23:59:59.5Z") == -500_000_000
    assert to_ns("2000-01-01") == 946_684_800_000_000_000


@pytest.mark.parametrize(
    "text", ["", "yesterday", "nan", "sNaN", "inf", "1e400", "2026-13-01", "9999-12-31T00:00:00Z", "1e999999999", "0x10"]
)
def test_what_is_no_time_or_does_not_fit_is_none(text: str) -> None:
    assert to_ns(text) is None


@given(st.integers(0, 2**62))
def test_seconds_with_nine_decimals_are_exact(t_ns: int) -> None:
    assert to_ns(f"{t_ns // 10**9}.{t_ns % 10**9:09d}") == t_ns


@given(st.integers(0, 4 * 10**18))
def test_rfc_3339_is_exact(t_ns: int) -> None:
    assert to_ns(f"{np.datetime64(t_ns, 'ns')}Z") == t_ns


@pytest.mark.parametrize(
    ("text", "quality", "expected"),
    [
        ("21.5", "", (21.5, GOOD)),
        (" -1e3 ", "good", (-1000.0, GOOD)),
        (".5", "uncertain", (0.5, UNCERTAIN)),
        ("5.", "1", (5.0, UNCERTAIN)),
        ("True", "", (1.0, GOOD)),
        ("false", "", (0.0, GOOD)),
    ],
)
def test_good_cells(text: str, quality: str, expected: tuple[float, int]) -> None:
    assert to_reading(text, quality) == expected


@pytest.mark.parametrize(
    ("text", "quality", "expected"),
    [
        ("RUN", "", Quality.BAD_TYPE),
        ("1_000", "", Quality.BAD_TYPE),
        ("1,5", "", Quality.BAD_TYPE),
        ("nan", "", Quality.BAD_NOT_FINITE),
        ("-inf", "", Quality.BAD_NOT_FINITE),
        ("1e999", "", Quality.BAD_NOT_FINITE),
        ("21.5", "bad", BAD),
        ("", "Device", Quality.BAD_DEVICE),
        ("21.5", "23", Quality.BAD_RANGE),
        ("21.5", "so-so", Quality.BAD_FORMAT),
    ],
)
def test_bad_cells_carry_no_number(text: str, quality: str, expected: int) -> None:
    reading = to_reading(text, quality)
    assert reading is not None
    assert isnan(reading[0])
    assert reading[1] == expected


def test_an_empty_cell_is_no_reading() -> None:
    assert to_reading(" ") is None
    assert to_reading("", "good") is None


@given(st.text(max_size=30), st.text(max_size=10))
def test_no_text_raises_anything(text: str, quality: str) -> None:
    to_ns(text)
    reading = to_reading(text, quality)
    assert reading is None or isnan(reading[0]) == (reading[1] >= BAD)


def test_a_long_text_of_digits_that_is_no_number_is_seen_at_once() -> None:
    """In as many steps as it has digits; their square would be hours in which nothing else runs."""
    found = to_reading("1" * 1_000_000 + "x")
    assert found is not None
    assert found[1] == Quality.BAD_TYPE
