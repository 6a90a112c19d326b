"""What came back from a receiver, and the small words in it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from gateway.events.halves import mended

LONGEST_WAIT = 6 * 3600.0
_LOOKED_AT = 64 * 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Answer:
    """`cut` says why the body is not whole; empty: it is. Header names are in small letters.

    hide   takes secrets out of what is told to people; what is parsed is the answer as it came
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: str = ""
    hide: Callable[[str], str] = field(default=str, compare=False)

    @property
    def taken(self) -> bool:
        return 200 <= self.status < 300

    def document(self) -> Any:
        """The JSON of the whole body; raises ValueError, saying why there is none."""
        if self.cut:
            raise ValueError(self.cut)
        try:
            return _decode(mended(self.body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ValueError("it is no JSON") from exc

    def said(self) -> str:
        """Hidden before it is cut: half a secret is one, too."""
        return excerpt(self.hide(self.body[:_LOOKED_AT].decode("utf-8", "replace")))

    def wait_seconds(self, ours: float) -> float:
        return wait_seconds(self.headers.get("retry-after"), self.now_seconds(ours))

    def now_seconds(self, ours: float) -> float:
        """By the receiver's clock, which times of its own are to be compared with; ours, where it does not tell, may be wrong."""
        theirs = self.clock_seconds()
        return ours if theirs is None else theirs

    def clock_seconds(self) -> float | None:
        """The receiver's clock, from its Date header."""
        try:
            return _seconds(self.headers["date"])
        except (KeyError, ValueError, TypeError, OverflowError):
            return None


def wait_seconds(retry_after: str | None, now_seconds: float) -> float:
    """Seconds of a Retry-After header, as a number or a date; nonsense is 0, more than six hours is six hours.

    >>> wait_seconds("120", 0.0), wait_seconds("Thu, 01 Jan 1970 00:00:30 GMT", 10.0), wait_seconds("soon", 0.0)
    (120.0, 20.0, 0.0)
    """
    if not retry_after:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = _seconds(retry_after) - now_seconds
        except (ValueError, TypeError, OverflowError):
            return 0.0
    return min(LONGEST_WAIT, max(0.0, seconds)) if seconds == seconds else 0.0


def _seconds(date: str) -> float:
    """Since 1970, of a date of HTTP; one without a zone is UTC. Raises ValueError, TypeError or OverflowError."""
    found = parsedate_to_datetime(date)
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def excerpt(body: str) -> str:
    """The first 200 characters without control characters. Bytes that are no UTF-8, in a header or the words of a status, come as half a
    surrogate pair each, which no file takes.
    """
    return _CONTROL.sub(" ", body.encode("utf-8", "replace").decode())[:200].strip()
