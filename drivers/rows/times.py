"""Times as business systems write them, to nanoseconds UTC. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any, Literal, TypeAlias
from zoneinfo import ZoneInfo

from drivers.rows.places import Steps, is_empty, walk

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]
_NS: dict[TimeUnit, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_FRACTION = re.compile(r"(?<=:\d\d)[.,](\d+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LARGEST = 2**63 - 1
_DIGITS = 19  # of the largest int64
_WIDTHS = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2}
_SAMPLE = datetime(2026, 11, 30, 20, 5, 3, tzinfo=UTC)


class TimeReader:
    """Finds and reads the time of a row.

    places   one, or several whose texts are joined by a space (a date and a time of day)
    unit     of a number; None: told by its magnitude
    format   of a text, as `datetime.strptime` has it; None: ISO 8601 or a number. A number that has no unit is the digits of a
             format that is digits only: 20270115090000 for ``%Y%m%d%H%M%S``
    zone     of a text without an offset; an hour that comes twice in autumn is taken as the first one
    """

    def __init__(self, places: Sequence[Steps], unit: TimeUnit | None, format: str | None, zone: ZoneInfo) -> None:  # noqa: A002
        self._places, self._unit, self._format, self._zone = places, unit, format, zone
        pieces = (format or "").split(" ")
        digits = [width(piece) for piece in pieces]
        self._digits = digits if unit is None and all(digits) and len(digits) == len(places) else None

    def __call__(self, fields: Any) -> int | None:
        """Nanoseconds since 1970 UTC; None: it is not there, or is no time."""
        parts = [walk(fields, place) for place in self._places]
        if any(is_empty(part) for part in parts):
            return None
        if self._digits is not None:
            parts = [_padded(part, digits) for part, digits in zip(parts, self._digits, strict=True)]
        raw = parts[0] if len(parts) == 1 else " ".join(str(part).strip() for part in parts)
        if not isinstance(raw, str):
            return number_ns(raw, self._unit)
        return self._text(raw.strip())

    def _text(self, text: str) -> int | None:
        if self._format is not None:
            return _moment(lambda: datetime.strptime(text, self._format or ""), self._zone, 0)
        try:
            return number_ns(Decimal(text), self._unit)
        except InvalidOperation:
            pass
        found = _FRACTION.search(text)
        plain = text if found is None else text[: found.start()] + text[found.end() :]
        return _moment(lambda: datetime.fromisoformat(plain), self._zone, int(found[1][:9].ljust(9, "0")) if found else 0)


def width(format: str) -> int:  # noqa: A002
    """How many digits a time of this format has, if it is digits only; else 0.

    >>> width("%Y%m%d%H%M%S"), width("%H%M"), width("%d.%m.%Y"), width("%b")
    (14, 4, 0, 0)
    """
    letters = format.split("%")
    return sum(_WIDTHS[letter] for letter in letters[1:]) if letters[0] == "" and set(letters[1:]) <= _WIDTHS.keys() else 0


def _padded(part: Any, digits: int) -> Any:
    """With the zeros in front that a number does not keep: half past midnight is 3000."""
    if isinstance(part, bool) or not isinstance(part, int | float):
        return part
    return (f"{part:.0f}" if isinstance(part, float) and part.is_integer() else str(part)).zfill(digits)


def number_ns(raw: Any, unit: TimeUnit | None) -> int | None:
    """A number since 1970: below 1e11 it is seconds, below 1e14 ms, below 1e17 µs, else ns, unless `unit` says it.

    >>> number_ns(1_800_000_000, None), number_ns(1_800_000_000_000, None), number_ns("soon", None)
    (1800000000000000000, 1800000000000000000, None)
    """
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        return None
    if not isinstance(raw, int) and not isfinite(raw):  # an int may be larger than any float
        return None
    number = Decimal(raw) if not isinstance(raw, float) else Decimal(repr(raw))
    if number.adjusted() > _DIGITS:
        return None
    size = abs(number)
    factor = _NS[unit] if unit else 10**9 if size < 10**11 else 10**6 if size < 10**14 else 10**3 if size < 10**17 else 1
    t_ns = int(number * factor)
    return t_ns if abs(t_ns) <= _LARGEST else None


def check_format(text: str) -> None:
    """Raises ValueError for a format that reads no day, or that Python does not know."""
    if text in _NS:
        raise ValueError(f"{text!r} is a unit of numbers: say time_unit: {text}")
    try:
        read = datetime.strptime(_SAMPLE.strftime(text), text)
    except ValueError as exc:
        raise ValueError(f"{text!r} is no format of a time ({exc}); write for example %d.%m.%Y %H:%M:%S") from None
    if read.date() != _SAMPLE.date():
        raise ValueError(
            f"{text!r} reads no day of a year; write for example %d.%m.%Y %H:%M:%S, and in time the two places if there are two"
        )
    if read.hour not in (_SAMPLE.hour, 0):
        raise ValueError(f"{text!r} does not tell morning from evening: %H is the hour of 24, and %I needs %p")


def _moment(read: Any, zone: ZoneInfo, fraction_ns: int) -> int | None:
    try:
        moment: datetime = read()
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone)
        t_ns = (moment - _EPOCH) // timedelta(microseconds=1) * 1_000 + fraction_ns
    except (ValueError, OverflowError):
        return None
    return t_ns if abs(t_ns) <= _LARGEST else None
