"""Small words in answers."""

from __future__ import annotations

import time
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


@pytest.mark.parametrize("header", ["Fri, 15 Jan 2027 08:00:30 -0000", "Fri Jan 15 08:00:30 2027", "Fri, 15 Jan 2027 09:00:30 +0100"])
def test_retry_after_without_a_zone_is_utc_wherever_the_gateway_stands(header: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Chicago")
    time.tzset()
    try:
        assert wait_seconds(header, NOW) == 30.0
        assert Answer(400, {"date": header}, b"").clock_seconds() == NOW + 30
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("wrong", [-86_400.0, 0.0, 600.0])
def test_date_of_a_retry_after_is_by_the_clock_of_whoever_wrote_it(wrong: float) -> None:
    """A clock that was a day behind made six hours of half a minute."""
    headers = {"date": "Fri, 15 Jan 2027 08:00:00 GMT", "retry-after": "Fri, 15 Jan 2027 08:00:30 GMT"}
    assert Answer(503, headers, b"").wait_seconds(NOW + wrong) == 30.0


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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (rb'"cut \ud83d"', "cut \ufffd"),
        (rb'"\udd25 cut, \ud83d\udd25 whole"', "\ufffd cut, \U0001f525 whole"),
        (rb'"\ud83d\ud83d\udd25"', "\ufffd\U0001f525"),
        (rb'"\\ud83d \uD83D"', r"\ud83d" + " \ufffd"),
    ],
)
def test_half_a_character_in_an_answer_makes_it_no_nonsense(body: bytes, said: str) -> None:
    assert Answer(200, {}, body).document() == said


def test_body_that_broke_off_is_never_read_as_json() -> None:
    with pytest.raises(ValueError, match="breaks off"):
        Answer(200, {}, b"[1]", "it breaks off after 3 bytes").document()


@pytest.mark.parametrize(("date", "seconds"), [("Fri, 15 Jan 2027 08:00:00 GMT", NOW), ("yesterday", None)])
def test_clock_of_the_receiver_is_its_date(date: str, seconds: float | None) -> None:
    assert Answer(400, {"date": date}, b"").clock_seconds() == seconds
    assert Answer(400, {}, b"").clock_seconds() is None
