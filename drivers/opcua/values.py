"""What a value of OPC UA is to us: number, quality, time. Pure; the columns of `decode` follow the same rules."""

from __future__ import annotations

import math

from drivers.opcua.wire import Told
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality

EPOCH_TICKS = 116_444_736_000_000_000  # 1970-01-01 in ticks of 100 ns since 1601-01-01 (Part 6, 5.2.2.5)
LONGEST_TICKS = 92_233_720_368_547_758  # beyond this many ticks from 1970, int64 nanoseconds overflow
SEVERITY_SHIFT = 30  # Part 4, 7.39: the top two bits of a status: 0 good, 1 uncertain, 2 and 3 bad
OVERFLOW_BITS = 0x480  # Part 4, 7.39: "data value" info with the overflow bit: the server's queue lost older values


def judged(value: float | None, status: int) -> tuple[float, int]:
    """(value, quality) of a number the server sent with `status`; None: it is no number. NaN where bad."""
    severity = status >> SEVERITY_SHIFT
    if severity >= 2:
        return math.nan, BAD
    if value is None:
        return math.nan, Quality.BAD_TYPE
    if not math.isfinite(value):
        return math.nan, Quality.BAD_NOT_FINITE
    return value, UNCERTAIN if severity else GOOD


def time_ns(told: Told, now_ns: int) -> int:
    """Source time, else server time, else ours. The year 1601 is how a server says it knows none.

    A time outside int64 nanoseconds is cut to its ends (1677, 2262).
    """
    for ticks, pico in ((told.source, told.source_pico), (told.server, told.server_pico)):
        if ticks > 0:
            return min(max(ticks - EPOCH_TICKS, -LONGEST_TICKS), LONGEST_TICKS) * 100 + min(pico, 9_999) // 100
    return now_ns
