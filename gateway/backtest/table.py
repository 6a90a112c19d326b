"""The figures as people read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.backtest.figures import Row
from gateway.contract import Json

_LABELLED = ("windows hit", "median delay", "false alarms/week")


def head(labelled: bool) -> list[str]:
    return ["watch", "tag", "readings", "weeks", "alarms", "alarms/week", *(_LABELLED if labelled else ())]


def cells(row: Row, labelled: bool) -> list[str]:
    plain = [row.watch, row.channel, f"{row.readings:,}", f"{row.weeks:.2f}", str(row.alarms), f"{row.alarms_per_week:.2f}"]
    if not labelled:
        return plain
    hit = f"{row.windows_hit}/{row.windows}" if row.windows else "-"
    false = "-" if row.false_alarms_per_week is None else f"{row.false_alarms_per_week:.2f}"
    return [*plain, hit, delay(row.median_delay_seconds), false]


def delay(seconds: float | None) -> str:
    """
    >>> delay(None), delay(42.0), delay(600.0), delay(86_400.0 * 1.5)
    ('-', '42 s', '10 min', '36 h')
    """
    if seconds is None:
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.3g} h"


def differences(rows: Sequence[Row], others: Sequence[Row]) -> list[Json]:
    """The first less the second, of each watch and tag that both have."""
    known = {(row.watch, row.channel): row for row in others}
    return [
        {
            "watch": row.watch,
            "tag": row.channel,
            "alarms": row.alarms - other.alarms,
            "alarms_per_week": row.alarms_per_week - other.alarms_per_week,
            "windows_hit": row.windows_hit - other.windows_hit,
            "median_delay_seconds": _less(row.median_delay_seconds, other.median_delay_seconds),
            "false_alarms_per_week": _less(row.false_alarms_per_week, other.false_alarms_per_week),
        }
        for row in rows
        if (other := known.get((row.watch, row.channel))) is not None
    ]


def _less(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
