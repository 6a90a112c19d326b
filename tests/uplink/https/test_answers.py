"""Small words in answers."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.https.answers import LONGEST_WAIT, Answer, excerpt, wait_seconds

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0.0),
        ("", 0.0),
        ("120", 120.0),
        ("0", 0.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("86400", LONGEST_WAIT),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 30.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("Sat, 16 Jan 2027 08:00:00 GMT", LONGEST_WAIT),
        ("soon", 0.0),
        ("nan", 0.0),
        ("inf", LONGEST_WAIT),
        ("Fri, 99 Jan 2027 08:00:30 GMT", 0.0),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_nonsense_is_nothing(header: str | None, seconds: float) -> None:
    assert wait_seconds(header, NOW) == seconds


@given(st.text(max_size=60))
def test_no_retry_after_breaks_anything(header: str) -> None:
    assert 0.0 <= wait_seconds(header, NOW) <= LONGEST_WAIT


@given(st.text(max_size=1000))
def test_excerpt_is_short_and_one_line(body: str) -> None:
    said = excerpt(body)
    assert len(said) <= 200
    assert not [c for c in said if ord(c) < 32 or 127 <= ord(c) < 160]


@given(st.binary(max_size=300))
def test_any_body_is_json_or_a_reason_why_not(body: bytes) -> None:
    """No body raises anything but that reason."""
    with suppress(ValueError):
        Answer(200, {}, body).document()


def test_body_that_broke_off_is_never_read_as_json() -> None:
    with pytest.raises(ValueError, match="breaks off"):
        Answer(200, {}, b"[1]", "it breaks off after 3 bytes").document()


@pytest.mark.parametrize(("date", "seconds"), [("Fri, 15 Jan 2027 08:00:00 GMT", NOW), ("yesterday", None)])
def test_clock_of_the_receiver_is_its_date(date: str, seconds: float | None) -> None:
    assert Answer(400, {"date": date}, b"").clock_seconds() == seconds
    assert Answer(400, {}, b"").clock_seconds() is None
