"""What each answer means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import OutcomeKind
from gateway.uplink.https.answers import LONGEST_WAIT, excerpt, outcome, wait_seconds

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT


@pytest.mark.parametrize(
    ("kind", "statuses"),
    [
        (OutcomeKind.SENT, [200, 201, 202, 204]),
        (OutcomeKind.DUPLICATE, [409]),
        (OutcomeKind.RETRY, [408, 425, 429, 500, 502, 503, 504]),
        (OutcomeKind.HOLD, [301, 302, 307, 308, 401, 402, 403, 404, 405, 407, 410, 415]),
        (OutcomeKind.PARK, [400, 406, 411, 413, 414, 417, 422, 431, 451, 501, 505]),
    ],
)
def test_each_status_has_its_outcome(kind: OutcomeKind, statuses: list[int]) -> None:
    assert [outcome(status, None, "", NOW).kind for status in statuses] == [kind] * len(statuses)


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


@pytest.mark.parametrize("status", [429, 503, 401])
def test_retry_after_is_kept_where_waiting_helps(status: int) -> None:
    assert outcome(status, "7", "", NOW).after_seconds == 7.0


def test_reason_holds_status_and_the_receivers_words() -> None:
    assert outcome(422, None, '{"error": "asset unknown"}', NOW).reason == '422: {"error": "asset unknown"}'


@given(st.text(max_size=1000))
def test_excerpt_is_short_and_one_line(body: str) -> None:
    said = excerpt(body)
    assert len(said) <= 200
    assert not [c for c in said if ord(c) < 32 or 127 <= ord(c) < 160]
