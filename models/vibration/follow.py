"""What the detector follows besides zones and bearing: whether a block can be believed, and the trend. Findings of both, pure."""

from __future__ import annotations

from gateway.contract import Finding, Json, Severity, State
from models.vibration.findings import Block
from models.vibration.opinion import NOTHING, Opinion
from models.vibration.quality import TROUBLES, Trouble
from models.vibration.severity import Zones
from models.vibration.trend.forecast import Forecast
from models.vibration.trend.machine import Rise


def signal_finding(block: Block, opinion: Opinion, trouble: Trouble | None) -> Finding:
    """Told of a sensor, not of the machine."""
    tag, active = block.tag, opinion.value > NOTHING
    said = trouble.said if trouble is not None else TROUBLES[opinion.value]
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_signal",
        state=State.ACTIVE if active else State.OVER,
        t_ns=block.end_ns,
        since_ns=opinion.since_ns,
        severity=Severity.WARNING,
        title=f"{tag.machine}: {block.label} cannot be analysed: {said}" if active else f"{tag.machine}: {block.label} can be analysed",
        tags=(tag.name,),
        explanation={"trouble": TROUBLES[opinion.value] or None, **block.speed},
        key=TROUBLES[opinion.value],
    )


def trend_finding(block: Block, since_ns: int, rise: Rise | None, zones: Zones, ahead: Forecast | None) -> Finding:
    """`rise` None: it is as usual."""
    tag = block.tag
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_trend",
        state=State.OVER if rise is None else State.ACTIVE,
        t_ns=block.end_ns,
        since_ns=since_ns,
        severity=Severity.WARNING,
        title=f"{tag.machine}: {block.label} {_told(rise)}",
        score=0.0 if rise is None else rise.share,
        tags=(tag.name,),
        explanation={} if rise is None else _explanation(block, rise, zones, ahead),
    )


def _told(rise: Rise | None) -> str:
    return "vibrates as usual" if rise is None else f"{rise.quantity} is {100 * rise.share:.0f} % above its usual level"


def _explanation(block: Block, rise: Rise, zones: Zones, ahead: Forecast | None) -> dict[str, Json]:
    limit = zones.limits[2]
    return {
        "quantity": rise.quantity,
        "change_percent": round(100 * rise.share, 1),
        "velocity_mm_s": round(block.analysis.rms, 4),
        "limit_mm_s": limit,
        "seconds_to_limit": None if ahead is None else round(ahead.seconds),
        "seconds_to_limit_between": None if ahead is None else [round(ahead.earliest), round(ahead.latest)],
        **block.speed,
    }
