"""What a finding says: always of the sensor, never of the process."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gateway.contract import BAD as BAD_QUALITY
from gateway.contract import Json, Quality, Severity, Tag, reason
from models.sensor.bank import rate_limit, still_limit
from models.sensor.columns import (
    BAD_SHARE,
    BLOCK_STEP,
    INTERVAL,
    LAST,
    OLD_SIZE,
    OLD_STEP,
    RANGE_SHARE,
    RATE,
    SIZE,
    STILL,
)
from models.sensor.numerics import Floats
from models.sensor.settings import SPIKES_READINGS, SPIKES_SECONDS
from models.sensor.tags import BAD, COARSE, GAP, QUIET, RANGE, SPIKES, STUCK

SEVERITIES = {
    BAD: Severity.WARNING,
    RANGE: Severity.WARNING,
    STUCK: Severity.WARNING,
    GAP: Severity.WARNING,
    QUIET: Severity.INFO,
    COARSE: Severity.INFO,
    SPIKES: Severity.INFO,
}
TITLE_MOST = 255
Facts = Mapping[str, Json]


def facts(tag: Tag, trouble: int, now: Floats, quality: int, seconds: float) -> dict[str, Json]:
    """What is known of a trouble. now: the tag's column of `Columns.now`; quality: of its reading; seconds: since it began."""
    unit = tag.options.unit
    if trouble in (BAD, RANGE):
        share = float(now[BAD_SHARE if trouble == BAD else RANGE_SHARE])
        more: Facts = (
            {"range": list(tag.options.range or ()), "unit": unit}
            if trouble == RANGE
            else {"reason": reason(quality) if quality >= BAD_QUALITY else ""}
        )
        return {"share": share, **more}
    if trouble == STUCK:
        rule = "stuck_after" if quality == Quality.BAD_STUCK else "learnt"
        limit = {} if rule == "stuck_after" else {"readings": int(now[STILL]), "limit_readings": float(still_limit(now))}
        return {"value": _finite(now[LAST]), "unit": unit, "seconds": seconds, "rule": rule, **limit}
    if trouble == QUIET:
        return {"step": _power(now[SIZE]), "usual_at_least": _power(now[OLD_SIZE]), "unit": unit}
    if trouble == COARSE:
        return {"resolution": _power(now[BLOCK_STEP]), "usual": _power(now[OLD_STEP]), "unit": unit}
    if trouble == SPIKES:
        hours = float(max(SPIKES_SECONDS, SPIKES_READINGS * now[INTERVAL]) / 3_600)
        return {"spikes": float(now[RATE]), "hours": hours, "limit": float(rate_limit(now)), "step_back": tag.options.kind == "counter"}
    return {"seconds": seconds, "usual_seconds": float(now[INTERVAL])}


def title(tag: Tag, trouble: int, told: Facts) -> str:
    unit = f" {tag.options.unit}" if tag.options.unit else ""
    if trouble == BAD:
        why = f" ({told['reason']})" if told["reason"] else ""
        what = f"gives no usable value: {told['share']:.0%} of its readings are bad{why}"
    elif trouble == RANGE:
        what = f"is out of its range {_range(told['range'])}{unit} in {told['share']:.0%} of its readings"
    elif trouble == STUCK:
        what = f"is stuck at {told['value']:.6g}{unit} for {span(told['seconds'])}"
    elif trouble == QUIET:
        what = f"hardly moves: by {told['step']:.2g}{unit} a reading, usually by {told['usual_at_least']:.2g} at least"
    elif trouble == COARSE:
        what = f"has become coarse: it resolves {told['resolution']:.2g}{unit}, usually {told['usual']:.2g}"
    elif trouble == SPIKES:
        name = "steps back" if told["step_back"] else "spikes of one sample"
        what = f"has {name}: about {max(told['spikes'], 1):.0f} in the last {span(3_600 * told['hours'])}"
    else:
        what = f"has given no reading for {span(told['seconds'])}, usually one every {span(told['usual_seconds'])}"
    return f"{tag.machine}: sensor {tag.name} {what}"[:TITLE_MOST]


def over(tag: Tag, trouble: int) -> str:
    return f"{tag.machine}: sensor {tag.name} is well again, it was {_WAS[trouble]}"[:TITLE_MOST]


def score(trouble: int, told: Facts) -> float:
    """See the README: a share, seconds, octaves or a number."""
    if trouble in (BAD, RANGE):
        return float(told["share"])
    if trouble in (STUCK, GAP):
        return float(told["seconds"])
    if trouble == SPIKES:
        return float(told["spikes"])
    small, large = (told["step"], told["usual_at_least"]) if trouble == QUIET else (told["usual"], told["resolution"])
    return float(np.log2(large / small)) if small > 0 and large > 0 else 0.0


def span(seconds: float) -> str:
    """
    >>> span(0.5), span(45), span(1_200), span(7_500), span(200_000)
    ('0.5 s', '45 s', '20 min', '2 h 5 min', '2 d 7 h')
    """
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _range(ends: list[float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}" if len(ends) == 2 else ""


def _power(octaves: float) -> float:
    """2 to the power of it; 0 for what is not known."""
    return float(2.0**octaves) if abs(octaves) < 1_020 else 0.0


def _finite(value: float) -> float:
    return float(value) if np.isfinite(value) else 0.0


_WAS = {
    BAD: "bad",
    RANGE: "out of range",
    STUCK: "stuck",
    QUIET: "too quiet",
    COARSE: "too coarse",
    SPIKES: "spiking",
    GAP: "missing",
}
