"""The alarm in words and numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gateway.contract import Finding, Json, Severity, State
from models.machine.baseline import Baseline
from models.machine.chance import STRONGEST, deviate, student_of_normal

if TYPE_CHECKING:
    from models.machine.watch import Opinion, Watch

CONDITION = "machine_anomaly"
_TELLING = 8  # tags told of
_RELATION = 1.5  # times as far from the others as from its own level
_MEMBERS = ("own", "given_others", "t2", "q")


def found(watch: Watch, baseline: Baseline, opinion: Opinion) -> Finding:
    """The anomaly has begun, or is over."""
    tags = _tags(watch, baseline, opinion)
    names = tuple(str(tag["tag"]) for tag in tags)
    if not watch.alarm.active:
        return _finding(watch, opinion, f"{watch.machine}: as usual again", names, {"tags": tags})
    first = tags[0]
    how = "does not fit the others" if first["kind"] == "relation" else f"is {first['direction']} than usual"
    title = f"{watch.machine}: {first['tag']} {how}, {first['value']:.4g} instead of {first['expected']:.4g}"
    return _finding(watch, opinion, title, names, {"tags": tags, "kind": first["kind"]})


def accepted(watch: Watch, opinion: Opinion) -> Finding:
    """It lasted so long that it is the new normal."""
    return _finding(watch, opinion, f"{watch.machine}: accepts this as usual", watch.names[:_TELLING], {"accepted": True})


def changed(watch: Watch, opinion: Opinion) -> Finding:
    """Most tags moved together."""
    far = np.flatnonzero(opinion.scored)[np.argsort(-np.abs(opinion.z[opinion.scored]), kind="stable")]
    names = tuple(watch.names[i] for i in far[:_TELLING])
    return Finding(
        machine=watch.machine,
        condition="operating_point_changed",
        state=State.FACT,
        t_ns=opinion.t_ns,
        since_ns=opinion.t_ns,
        severity=Severity.INFO,
        title=f"{watch.machine}: operating point changed, learns anew"[:255],
        score=min(opinion.score, STRONGEST),
        tags=names,
        explanation={"standard_deviations": {watch.names[i]: float(opinion.z[i]) for i in far[:_TELLING]}, "state": watch.state},
        key="operating_point_changed",
    )


def _finding(watch: Watch, opinion: Opinion, title: str, tags: tuple[str, ...], more: dict[str, Json]) -> Finding:
    alarm = watch.alarm
    return Finding(
        machine=watch.machine,
        condition=CONDITION,
        state=State.ACTIVE if alarm.active else State.OVER,
        t_ns=opinion.t_ns,
        since_ns=min(alarm.since_ns or opinion.t_ns, opinion.t_ns),
        severity=Severity.WARNING,
        title=title[:255],
        score=opinion.score,
        tags=tags,
        explanation={
            "score": opinion.score,
            "threshold": alarm.threshold,
            "members": dict(zip(_MEMBERS, opinion.members, strict=False)),
            "state": None if watch.options.state is None else watch.state,
            "alarms_last_week": alarm.last_week(opinion.t_ns),
            **more,
        },
    )


def _tags(watch: Watch, baseline: Baseline, opinion: Opinion) -> list[dict[str, Json]]:
    """The most telling tags, with what was expected of them."""
    strength = np.maximum(np.abs(opinion.z), np.abs(opinion.residuals))
    total = float((strength * strength).sum()) or 1.0
    limit = deviate(watch.alarm.threshold, max(int(opinion.scored.sum()), 1))
    order = [int(i) for i in np.argsort(-strength, kind="stable")[:_TELLING] if strength[i] > 0] or [0]
    return [{"tag": watch.names[i], "share": float(strength[i] ** 2) / total, **_expectation(baseline, opinion, i, limit)} for i in order]


def _expectation(baseline: Baseline, opinion: Opinion, i: int, limit: float) -> dict[str, Json]:
    """By the tag's own level, or, where that tells less, by the others."""
    z, residual = float(opinion.z[i]), float(opinion.residuals[i])
    width = float(opinion.spread[i])
    sharpness = float(opinion.relations.sharpness(len(opinion.z))[i])
    relation = abs(residual) > _RELATION * abs(z)
    expected, band = float(baseline.level[i]), width * student_of_normal(limit, float(baseline.known.freedom[i]))
    if relation:
        expected, band = expected + width * (z - residual / sharpness), width * limit / sharpness
    value = float(baseline.smooth[i])
    return {
        "kind": "relation" if relation else _kind(baseline, opinion, i),
        "direction": "higher" if value > expected else "lower",
        "value": value,
        "expected": expected,
        "band": [expected - band, expected + band],
        "standard_deviations": z,
        "standard_deviations_given_the_others": residual,
    }


def _kind(baseline: Baseline, opinion: Opinion, i: int) -> str:
    """level: most of the deviation came since the oldest row that waits; drift: before."""
    now = opinion.deviation[i]
    before = baseline.queue[0].deviation[i] if baseline.queue else np.nan
    return "drift" if abs(before) > abs(now) / 2 and before * now > 0 else "level"
