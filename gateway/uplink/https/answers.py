"""What an HTTP answer means for the events of the request. Pure."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime

from gateway.contract import DUPLICATE, SENT, Outcome

LONGEST_WAIT = 3600.0
_LATER = {408, 425, 429, 500, 502, 503, 504}
# Nothing an event could be guilty of: parking them one by one would empty the outbox into the dead letters.
_NOT_FOR_NOW = {
    401: "the receiver refuses our credentials",
    402: "the receiver wants to be paid",
    403: "the receiver forbids it",
    404: "no such address",
    405: "the address takes no POST",
    407: "a proxy wants credentials",
    410: "the address is gone",
    415: "the receiver does not take CloudEvents in this mode",
}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def outcome(status: int, retry_after: str | None, body: str, now_seconds: float) -> Outcome:
    """One outcome for the whole request."""
    if 200 <= status < 300:
        return SENT
    if status == 409:
        return DUPLICATE
    said = f"{status}{': ' + excerpt(body) if body.strip() else ''}"
    if status in _LATER:
        return Outcome.retry(said, wait_seconds(retry_after, now_seconds))
    if status in _NOT_FOR_NOW:
        return Outcome.hold(f"{_NOT_FOR_NOW[status]} ({said})", wait_seconds(retry_after, now_seconds))
    if 300 <= status < 400:
        return Outcome.hold(f"the receiver redirects ({status}); redirects are not followed")
    return Outcome.park(said)


def wait_seconds(retry_after: str | None, now_seconds: float) -> float:
    """Seconds of a Retry-After header, as a number or a date; nonsense is 0, more than an hour is an hour.

    >>> wait_seconds("120", 0.0), wait_seconds("Thu, 01 Jan 1970 00:00:30 GMT", 10.0), wait_seconds("soon", 0.0)
    (120.0, 20.0, 0.0)
    """
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now_seconds
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(LONGEST_WAIT, max(0.0, seconds)) if seconds == seconds else 0.0


def excerpt(body: str) -> str:
    """The first 200 characters without control characters."""
    return _CONTROL.sub(" ", body)[:200].strip()
