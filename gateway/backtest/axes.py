"""Where the marks of an axis stand, and what is written there. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from math import floor, isfinite, log10
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_STEPS = (
    *(1, 2, 5, 10, 15, 30),
    *(_MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(_HOUR * number for number in (1, 2, 3, 6, 12)),
    *(_DAY * number for number in (1, 2, 7, 14, 30, 90)),
)


def values(low: float, high: float, count: int = 4) -> list[float]:
    """Round numbers from `low` to `high`, about `count` of them.

    >>> values(0.0, 10.0), values(71.3, 98.9)
    ([0.0, 5.0, 10.0], [80.0, 90.0])
    """
    width = high - low
    if not (isfinite(width) and width > 0):
        return [low]
    rough = width / count
    ten = 10.0 ** floor(log10(rough))
    step = next(ten * factor for factor in (1, 2, 5, 10) if ten * factor >= rough)
    first = np.ceil(low / step)
    return [float(number * step) + 0.0 for number in np.arange(first, np.floor(high / step) + 1)]


def number(value: float, step: float) -> str:
    """With as many decimals as the step between two marks needs.

    >>> number(80.0, 10.0), number(0.25, 0.05), number(3.0e9, 1.0e9)
    ('80', '0.25', '3e+09')
    """
    if abs(value) >= 1e6 or (value and abs(value) < 1e-4):
        return f"{value:.4g}"
    return f"{value:.{max(0, -floor(log10(step))) if step > 0 else 2}f}"


def times(begin_ns: int, end_ns: int, zone: ZoneInfo, count: int = 6) -> list[tuple[int, str]]:
    """Round moments of the plant's clock, about `count` of them, and how they are written.

    >>> [label for _, label in times(0, 7200 * 10**9, ZoneInfo("UTC"), 4)]
    ['1970-01-01 00:00', '00:30', '01:00', '01:30', '02:00']
    """
    seconds = (end_ns - begin_ns) / 1e9
    step = next((one for one in _STEPS if one * count >= seconds), _STEPS[-1])
    begin = datetime.fromtimestamp(begin_ns / 1e9, zone)
    midnight = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    found: list[tuple[int, str]] = []
    at = midnight + timedelta(seconds=step * int((begin - midnight).total_seconds() // step))
    shown = None
    while (t_ns := int(at.timestamp() * 1e9)) <= end_ns:
        if t_ns >= begin_ns:
            found.append((t_ns, _label(at, step, new_day=at.date() != shown)))
            shown = at.date()
        at += timedelta(seconds=step)
    return found


def _label(at: datetime, step: int, *, new_day: bool) -> str:
    if step >= _DAY:
        return f"{at:%Y-%m-%d}"
    clock = f"{at:%H:%M:%S}" if step < _MINUTE else f"{at:%H:%M}"
    return f"{at:%Y-%m-%d} {clock}" if new_day else clock


def thinned(
    t_ns: NDArray[np.int64], value: NDArray[np.float64], begin_ns: int, end_ns: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The smallest and the largest reading of each of `most` pieces: a line through them looks the same. NaN is left out.

    >>> t, v = thinned(np.arange(1000), np.sin(np.arange(1000.0)), 0, 1000, 10)
    >>> len(t), bool(v.max() > 0.99)
    (20, True)
    """
    good = np.isfinite(value)
    t_ns, value = t_ns[good], value[good]
    if len(t_ns) <= 2 * most:
        return t_ns, value
    piece = np.minimum((t_ns - begin_ns) * most // max(1, end_ns - begin_ns), most - 1)
    order = np.lexsort((value, piece))
    last = np.flatnonzero(np.append(np.diff(piece[order]) != 0, True))
    first = np.append(0, last[:-1] + 1)
    rows = np.unique(order[np.concatenate([first, last])])
    return t_ns[rows], value[rows]
