"""What stands in a cell: a time, a value, a quality. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from math import isfinite, nan

from gateway.contract import GOOD, Quality, reason

# Each digit can be matched in one way only: a cell of digits that is no number would hold the gateway for minutes otherwise.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?|[+-]?(nan|inf|infinity)", re.IGNORECASE)
_FRACTION = re.compile(r"[.,](\d+)")
_WORDS = {"true": 1.0, "false": 0.0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1
_DIGITS = 19  # of the largest int64; beyond, decimal arithmetic itself overflows
_QUALITIES = {reason(quality): int(quality) for quality in Quality} | {str(int(quality)): int(quality) for quality in Quality}


def to_ns(text: str, zone: tzinfo = UTC) -> int | None:
    """Nanoseconds since 1970 UTC, or None if it is no time that fits them.

    RFC 3339 (without an offset it is of `zone`; an hour that comes twice in autumn is taken as the first one), or a number since
    1970 whose unit its size tells: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds (1e11 s is
    the year 5138, 1e11 ms is 1973). All nine decimals are kept.

    >>> to_ns("2027-01-15T08:00:00.000000001Z"), to_ns("1800000000.5"), to_ns("1800000000500"), to_ns("yesterday")
    (1800000000000000001, 1800000000500000000, 1800000000500000000, None)
    """
    text = text.strip()
    try:
        t_ns = _number(Decimal(text))
    except InvalidOperation:
        t_ns = _moment(text, zone)
    return t_ns if t_ns is not None and abs(t_ns) <= _LARGEST else None


def _number(number: Decimal) -> int | None:
    if not number.is_finite() or number.adjusted() > _DIGITS:
        return None
    size = abs(number)
    return int(number * (10**9 if size < 10**11 else 10**6 if size < 10**14 else 10**3 if size < 10**17 else 1))


def _moment(text: str, zone: tzinfo) -> int | None:
    found = _FRACTION.search(text)
    try:
        moment = datetime.fromisoformat(text if found is None else text[: found.start()] + text[found.end() :])
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    fraction = int(found[1][:9].ljust(9, "0")) if found else 0
    return (moment - _EPOCH) // timedelta(seconds=1) * 1_000_000_000 + fraction


def to_reading(text: str, quality: str = "") -> tuple[float, int] | None:
    """(value, quality) of a cell; None if it is empty and no quality says why. A bad one carries NaN.

    >>> to_reading("21.5"), to_reading("true"), to_reading(""), to_reading("RUN"), to_reading("21.5", "uncertain")
    ((21.5, 0), (1.0, 0), None, (nan, 18), (21.5, 1))
    """
    text, quality = text.strip(), quality.strip().lower()
    told = _QUALITIES.get(quality, int(Quality.BAD_FORMAT)) if quality else GOOD
    if told >= Quality.BAD:
        return nan, told
    if not text:
        return None
    value = float(text) if _NUMBER.fullmatch(text) else _WORDS.get(text.lower())
    if value is None:
        return nan, int(Quality.BAD_TYPE)
    return (value, told) if isfinite(value) else (nan, int(Quality.BAD_NOT_FINITE))
