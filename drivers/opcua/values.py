"""From OPC UA data values to columns. One call per publish response."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gateway.contract import BAD, GOOD, UNCERTAIN, Batch, Quality

_EPOCH = datetime(1970, 1, 1)  # asyncua's times are UTC without a zone
_EPOCH_UTC = datetime(1970, 1, 1, tzinfo=UTC)
_SEVERITY_SHIFT = 30  # Part 4, 7.39: the top two bits: 0 good, 1 uncertain, 2 bad


def to_batch(items: Sequence[Any], index_of: Mapping[int, int], now_ns: int) -> Batch:
    """One Batch from the monitored items of a notification.

    items      asyncua MonitoredItemNotification: ClientHandle, Value (DataValue)
    index_of   client handle -> tag-table index; others are left out
    now_ns     for values that carry no time at all
    """
    tags: list[int] = []
    times: list[int] = []
    values: list[float] = []
    qualities: list[int] = []
    for item in items:
        index = index_of.get(item.ClientHandle)
        if index is None or item.Value is None:
            continue
        value, quality = reading(item.Value)
        tags.append(index)
        times.append(_time_ns(item.Value, now_ns))
        values.append(value)
        qualities.append(quality)
    return Batch.of(tags, times, values, qualities)


def reading(data: Any) -> tuple[float, int]:
    """(value, quality) of a DataValue; NaN where bad."""
    variant = data.Value
    raw: Any = None if variant is None else variant.Value
    kind: type = type(raw)
    status = data.StatusCode_.value if data.StatusCode_ is not None else 0
    if status == 0 and kind is float:
        return (raw, GOOD) if math.isfinite(raw) else (math.nan, Quality.BAD_NOT_FINITE)
    severity = status >> _SEVERITY_SHIFT
    if severity >= 2 or raw is None:
        return math.nan, BAD
    good = GOOD if severity == 0 else UNCERTAIN
    if kind is bool or kind is int:
        return float(raw), good
    if kind is float:
        return (raw, good) if math.isfinite(raw) else (math.nan, Quality.BAD_NOT_FINITE)
    return math.nan, Quality.BAD_TYPE


def _time_ns(data: Any, now_ns: int) -> int:
    """Source time, else server time, else ours; whole microseconds, because that is what the library keeps."""
    moment = data.SourceTimestamp or data.ServerTimestamp
    if moment is None:
        return now_ns
    delta = moment - (_EPOCH if moment.tzinfo is None else _EPOCH_UTC)
    t_ns: int = ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1000
    return t_ns
