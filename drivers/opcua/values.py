"""What a value of OPC UA is to us: number, quality, time. Pure; the columns of `decode` follow the same rules."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from gateway.contract import BAD, GOOD, UNCERTAIN, Quality

EPOCH_TICKS = 116_444_736_000_000_000  # 1970-01-01 in ticks of 100 ns since 1601-01-01 (Part 6, 5.2.2.5)
LONGEST_TICKS = 92_233_720_368_547_758  # beyond this many ticks from 1970, int64 nanoseconds overflow
SEVERITY_SHIFT = 30  # Part 4, 7.39: the top two bits of a status: 0 good, 1 uncertain, 2 and 3 bad
OVERFLOW_BITS = 0x480  # Part 4, 7.39: "data value" info with the overflow bit: the server's queue lost older values

_EPOCH_1601 = datetime(1601, 1, 1, tzinfo=UTC)


def reading(data: Any) -> tuple[float, int]:
    """(value, quality) of an asyncua DataValue; NaN where bad. A missing status is good (Part 6, 5.2.2.17)."""
    raw = None if data.Value is None else data.Value.Value
    severity = status_of(data) >> SEVERITY_SHIFT
    if severity >= 2 or raw is None:
        return math.nan, BAD
    if not isinstance(raw, bool | int | float):
        return math.nan, Quality.BAD_TYPE
    value = float(raw)
    if not math.isfinite(value):
        return math.nan, Quality.BAD_NOT_FINITE
    return value, UNCERTAIN if severity else GOOD


def status_of(data: Any) -> int:
    """Status code of an asyncua DataValue; 0 is good."""
    return 0 if data.StatusCode is None else int(data.StatusCode.value)


def time_ns(data: Any, now_ns: int) -> int:
    """Source time, else server time, else ours. The year 1601 is how a server says it knows none.

    asyncua keeps whole microseconds. A time outside int64 nanoseconds is cut to its ends (1677, 2262).
    """
    for moment in (data.SourceTimestamp, data.ServerTimestamp):
        if moment is not None:
            since_1601 = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH_1601
            ticks = ((since_1601.days * 86_400 + since_1601.seconds) * 1_000_000 + since_1601.microseconds) * 10
            if ticks > 0:
                return int(min(max(ticks - EPOCH_TICKS, -LONGEST_TICKS), LONGEST_TICKS)) * 100
    return now_ns
