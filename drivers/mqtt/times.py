"""Times as senders write them, to nanoseconds UTC. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Literal, TypeAlias

TimeUnit: TypeAlias = Literal["s", "ms", "us", "ns"]

_NS: dict[TimeUnit, int] = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LARGEST = 2**63 - 1


def to_ns(raw: Any, unit: TimeUnit | None = None) -> int | None:
    """Nanoseconds since 1970 UTC, or None if `raw` is no time.

    A number without a unit is told by its magnitude: below 1e11 seconds, below 1e14 ms, below 1e17 µs, else ns
    (1e11 s is the year 5138, 1e11 ms is 1973). Text is a number or ISO 8601; without an offset it is UTC.
    A time no clock of today shows stays what it is; beyond int64 it is cut to it.

    >>> to_ns(1_800_000_000), to_ns(1_800_000_000_000), to_ns("2027-01-15T08:00:00Z")
    (1800000000000000000, 1800000000000000000, 1800000000000000000)
    """
    if raw.__class__ is int and unit is None and 100_000_000_000 <= raw < 100_000_000_000_000_000:
        return int(raw * (1_000_000 if raw < 100_000_000_000_000 else 1_000))  # what most senders send: ms or µs
    if isinstance(raw, str):
        return _text(raw, unit)
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not isfinite(raw):
        return None
    factor = _NS[unit] if unit else _factor(abs(raw))
    t_ns = raw * factor if isinstance(raw, int) else round(raw * factor) if abs(raw) < 1e19 else LARGEST
    return min(max(t_ns, -LARGEST), LARGEST)


def _factor(size: float) -> int:
    return 1_000_000_000 if size < 1e11 else 1_000_000 if size < 1e14 else 1_000 if size < 1e17 else 1


def _text(raw: str, unit: TimeUnit | None) -> int | None:
    try:
        return to_ns(float(raw) if "." in raw else int(raw), unit)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(raw.strip())
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1_000
