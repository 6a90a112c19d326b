"""Findings of the bank: titles and explanations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateway.contract import Finding, Json, Severity, State, Tag
from models.anomaly import peaks
from models.anomaly.columns import Columns
from models.anomaly.groups import Groups, Told
from models.anomaly.settings import KINDS, MEMBERS, NONE

_SEVERITIES = (Severity.WARNING, Severity.WARNING, Severity.ERROR)
_DOES = (
    "is in its usual band",
    "jumps",
    "has changed its level",
    "drifts away",
    "varies more than usual",
    "moves unusually",
    "is unusual for this hour",
)
_NAMED = 20  # tags of an incident that are listed


def condition(tag: Tag) -> str:
    return f"{tag.name}_anomaly"


def finding(tags: Sequence[Tag], columns: Columns, groups: Groups, speaker: int, news: Told, factor: float) -> Finding:
    """What the incident of `speaker` is, after this news."""
    members = groups.members(speaker)
    many = len(members) > 1
    point = many and groups.operating_point(members)
    active = bool(members)
    tag = tags[speaker]
    worst = max((int(groups.severity[row]) for row in members), default=0)
    return Finding(
        machine=tag.machine,
        condition=condition(tag),
        state=State.ACTIVE if active else State.OVER,
        t_ns=news.t_ns,
        since_ns=min(int(groups.since[speaker]) or news.t_ns, news.t_ns),
        severity=Severity.WARNING if point else _SEVERITIES[worst],
        title=_title(tags, members, news, point=point)[:255],
        score=float(peaks.rarity(np.array([news.z]))[0]),
        tags=tuple(tags[row].name for row in members) or (tags[news.row].name,),
        explanation=_explanation(tags, columns, groups, members, news, factor),
        key="operating_point_changed" if point else "",
    )


def _title(tags: Sequence[Tag], members: Sequence[int], news: Told, *, point: bool) -> str:
    tag = tags[news.row]
    unit = f" {tag.options.unit}" if tag.options.unit else ""
    now, usual = shown(news.value, news.width), shown(news.expected, news.width)
    if len(members) > 1:
        names = ", ".join(tags[row].name for row in members[:5]) + (" …" if len(members) > 5 else "")
        what = "operating point changed" if point else "unusual together"
        return f"{tag.machine}: {what}: {len(members)} tags, {names}"
    if news.accepted:
        return f"{tag.machine}: {tag.name} stays at {usual}{unit}, accepted as its usual level"
    if news.kind == NONE:
        return f"{tag.machine}: {tag.name} {now}{unit} is in its usual band"
    return f"{tag.machine}: {tag.name} {_DOES[news.kind]}: {now}{unit}, usual {usual} ± {news.width:.2g}"


def _explanation(
    tags: Sequence[Tag], columns: Columns, groups: Groups, members: Sequence[int], news: Told, factor: float
) -> dict[str, Json]:
    tag, total = tags[news.row], sum(news.shares)
    order = sorted(range(len(MEMBERS)), key=lambda member: -news.shares[member])
    found: dict[str, Json] = {
        "kind": KINDS[news.kind],
        "value": news.value,
        "expected": news.expected,
        "band": [news.expected - news.width, news.expected + news.width],
        "unit": tag.options.unit,
        "deviation": news.deviation,
        "direction": "up" if news.deviation > 0 else "down",
        "score": float(peaks.rarity(np.array([news.z]))[0]),
        "threshold": float(peaks.rarity(np.array([news.limit]))[0]),
        "members": {MEMBERS[one]: round(news.shares[one] / total, 3) for one in order if total > 0 and news.shares[one] > 0},
        "alarms_last_week": news.alarms,
    }
    if factor != 1.0:
        found["limit_factor"] = factor
    if news.accepted:
        found["accepted"] = f"{news.expected:.6g} has lasted and is the usual level now"
    if len(members) > 1:
        found["tags"] = [_member(tags, columns, groups, row, members) for row in members[:_NAMED]]
        found["tags_in_all"] = len(members)
    return found


def _member(tags: Sequence[Tag], columns: Columns, groups: Groups, row: int, members: Sequence[int]) -> dict[str, Json]:
    z, deviation = columns.said[:, row].tolist()
    share = z / max(float(columns.said[0, list(members)].sum()), 1e-9)
    return {
        "tag": tags[row].name,
        "share": round(share, 3),
        "direction": "up" if deviation > 0 else "down",
        "deviation": deviation,
        "kind": KINDS[int(groups.kind[row])],
        "since_ns": int(groups.since[row]),
    }


def shown(value: float, width: float) -> str:
    """With at least four digits, and a tenth of `width`: what leaves the band must be seen to leave it.

    >>> shown(1013.2617, 0.04), shown(55.123, 7.0), shown(55.123, 0.0)
    ('1013.262', '55.12', '55.12')
    """
    if not (width > 0 and value):
        return f"{value:.4g}"
    digits = int(np.floor(np.log10(abs(value))) - np.floor(np.log10(width))) + 2
    return f"{value:.{min(max(digits, 4), 15)}g}"
