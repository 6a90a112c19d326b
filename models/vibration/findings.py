"""Findings and their explanation, pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contract import Bearing, Finding, Json, Severity, State, Tag
from models.vibration.analysis import SHOWN_HZ, Analysis, Turning
from models.vibration.diagnose import UNSURE, Diagnosis
from models.vibration.evidence import expected_lines, lines_json, spectrum_json
from models.vibration.opinion import NOTHING, Opinion
from models.vibration.severity import ZONE_D, Zones
from models.vibration.state import VERDICTS

_MODULATION = "modulation"  # 1 = the envelope swings between 0 and twice its mean
_NAMES = {"outer_race": "outer race damage", "inner_race": "inner race damage", "ball": "ball damage", "cage": "cage damage"}


@dataclass(frozen=True, slots=True)
class Block:
    """One analysed block and what is known of its machine."""

    tag: Tag
    end_ns: int
    rpm: float | None
    bearing: Bearing | None
    turning: Turning | None
    analysis: Analysis


def spectra(block: Block) -> dict[str, Json]:
    """For the page: with the shaft's lines, and those the bearing would show."""
    found = block.analysis
    shaft = [] if block.rpm is None else [("1x", block.rpm / 60), ("2x", block.rpm / 30)]
    shown: dict[str, Json] = {"velocity_spectrum": spectrum_json(found.velocity, "mm/s", SHOWN_HZ, shaft)}
    if found.envelope is not None:
        turning = block.turning
        lines = [] if turning is None else expected_lines(turning.orders, turning.shaft_hz)
        shown["envelope_spectrum"] = spectrum_json(found.envelope, _MODULATION, turning.highest_hz if turning else SHOWN_HZ, lines)
    return shown


def velocity_finding(block: Block, opinion: Opinion, zones: Zones, hysteresis: float, velocity_spectrum: Json) -> Finding:
    tag, value = block.tag, block.analysis.rms
    zone = zones.letter(value)
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_velocity",
        state=State.ACTIVE if opinion.value > NOTHING else State.OVER,
        t_ns=block.end_ns,
        since_ns=opinion.since_ns,
        severity=Severity.CRITICAL if opinion.value == ZONE_D else Severity.WARNING,
        title=f"{tag.machine}: {tag.name} {value:.3g} mm/s, zone {zone} of {zones.source}",
        score=value,
        tags=(tag.name,),
        explanation={
            "value": round(value, 4),
            "unit": "mm/s rms",
            "zone": zone,
            "limits": list(zones.limits),
            "limits_of": zones.source,
            "hysteresis": hysteresis,
            "band_hz": list(block.analysis.band or ()),
            "speed_rpm": block.rpm,
        },
        evidence={"velocity_spectrum": velocity_spectrum} if opinion.value > NOTHING else {},
    )


def bearing_finding(block: Block, turning: Turning, opinion: Opinion, diagnosis: Diagnosis, level: float, *, damaging: bool) -> Finding:
    """`damaging`: the velocity is beyond zone B as well."""
    tag, fault = block.tag, VERDICTS[opinion.value]
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_bearing",
        state=State.ACTIVE if fault else State.OVER,
        t_ns=block.end_ns,
        since_ns=opinion.since_ns,
        severity=Severity.ERROR if damaging else Severity.WARNING,
        title=f"{tag.machine}: {_title(fault)} ({tag.name})",
        score=diagnosis.score,
        tags=(tag.name,),
        explanation={"fault": fault or None, "level": level, **_explanation(block, turning, diagnosis)},
        evidence=_evidence(block, turning, diagnosis) if fault else {},
        key=fault,
    )


def _explanation(block: Block, turning: Turning, diagnosis: Diagnosis) -> dict[str, Json]:
    orders = turning.orders
    return {
        "bearing": block.bearing.designation if block.bearing else None,
        "score": round(diagnosis.score, 3),
        "scores": {fault: round(score, 3) for fault, score in diagnosis.scores.items()},
        "lines": [
            {
                "name": line.name,
                "hz": round(line.order * turning.shaft_hz, 2),
                "order": round(line.order, 3),
                "prominence": round(line.prominence, 1),
            }
            for line in diagnosis.lines
        ],
        "orders": {name: round(getattr(orders, name.lower()), 4) for name in ("BPFO", "BPFI", "BSF", "FTF")},
        "speed_rpm": block.rpm,
        "blocks": diagnosis.blocks,
    }


def _evidence(block: Block, turning: Turning, diagnosis: Diagnosis) -> dict[str, Json]:
    found = spectra(block)
    lines = lines_json((line.name, line.order * turning.shaft_hz) for line in diagnosis.lines)
    return found | {"envelope_spectrum": found["envelope_spectrum"] | {"lines": lines}}


def _title(fault: str) -> str:
    if not fault:
        return "bearing shows no damage"
    return "bearing fault, type not sure" if fault == UNSURE else f"bearing, {_NAMES[fault]}"
