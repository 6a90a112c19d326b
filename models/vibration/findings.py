"""Findings and their explanation, pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.contract import Bearing, Finding, Json, Severity, State, Tag
from models.vibration.analysis import SHOWN_HZ, Analysis, Turning
from models.vibration.diagnosis.verdict import OPEN, Verdict
from models.vibration.evidence import expected_lines, lines_json, spectrum_json
from models.vibration.opinion import NOTHING, Opinion
from models.vibration.severity import ZONE_D, Zones
from models.vibration.shaft import Shaft
from models.vibration.state import VERDICTS

_MODULATION = "modulation"  # 1 = the envelope swings between 0 and twice its mean
_NAMES = {"outer_race": "outer race damage", "inner_race": "inner race damage", "ball": "ball damage", "cage": "cage damage"}


@dataclass(frozen=True, slots=True)
class Block:
    """One analysed block and what is known of its machine."""

    tag: Tag
    label: str
    end_ns: int
    shaft: Shaft
    load: float | None
    bearing: Bearing | None
    turning: Turning | None
    analysis: Analysis

    @property
    def rpm(self) -> float | None:
        return self.shaft.rpm

    @property
    def speed(self) -> dict[str, Json]:
        """For explanations."""
        found: dict[str, Json] = {"speed_rpm": self.shaft.rpm}
        if self.shaft.source:
            found["speed_from"] = self.shaft.source
        if self.shaft.confidence is not None:
            found["speed_confidence"] = self.shaft.confidence
        if self.load is not None:
            found["load"] = self.load
        return found


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What is told of a bearing after so many blocks, and the level from which a part is claimed."""

    opinion: Opinion
    verdict: Verdict
    stage: str
    blocks: int
    level: float


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


def velocity_finding(block: Block, opinion: Opinion, zones: Zones, hysteresis: float) -> Finding:
    tag, value = block.tag, block.analysis.rms
    zone = zones.letter(value)
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_velocity",
        state=State.ACTIVE if opinion.value > NOTHING else State.OVER,
        t_ns=block.end_ns,
        since_ns=opinion.since_ns,
        severity=Severity.CRITICAL if opinion.value == ZONE_D else Severity.WARNING,
        title=f"{tag.machine}: {block.label} {value:.3g} mm/s, zone {zone} of {zones.source}",
        score=value,
        tags=(tag.name,),
        explanation={
            "value": round(value, 4),
            "unit": "mm/s rms",
            "zone": zone,
            "limits": list(zones.limits),
            "limits_of": zones.source,
            "warning_from": zones.warning or zones.limits[1],
            "hysteresis": hysteresis,
            "band_hz": list(block.analysis.band or ()),
            **block.speed,
        },
        evidence={"velocity_spectrum": spectra(block)["velocity_spectrum"]} if opinion.value > NOTHING else {},
    )


def bearing_finding(block: Block, turning: Turning, found: Conclusion, *, shaking: bool) -> Finding:
    """`shaking`: the velocity is beyond zone B as well."""
    tag, fault = block.tag, VERDICTS[found.opinion.value]
    return Finding(
        machine=tag.machine,
        condition=f"{tag.name}_bearing",
        state=State.ACTIVE if fault else State.OVER,
        t_ns=block.end_ns,
        since_ns=found.opinion.since_ns,
        severity=Severity.ERROR if shaking else Severity.WARNING,
        title=f"{tag.machine}: {_title(fault)} ({block.label})",
        score=found.verdict.score,
        tags=(tag.name,),
        explanation={"fault": fault or None, "stage": found.stage or None, **explanation(block, turning, found)},
        evidence=_evidence(block, turning, found.verdict) if fault else {},
        key=fault,
    )


def explanation(block: Block, turning: Turning, found: Conclusion) -> dict[str, Json]:
    orders, verdict = turning.orders, found.verdict
    return {
        "bearing": block.bearing.designation if block.bearing else None,
        "score": round(verdict.score, 3),
        "level": found.level,
        "depth": round(verdict.depth, 3),
        "specific": round(verdict.specific, 3),
        "scores": {fault: round(one.score, 3) for fault, one in verdict.whitened.items()},
        "conventional_scores": {fault: round(one.score, 3) for fault, one in verdict.conventional.items()},
        "lines": [
            {
                "name": line.name,
                "hz": round(line.order * turning.shaft_hz, 2),
                "order": round(line.order, 3),
                "prominence": round(line.prominence, 1),
            }
            for line in verdict.lines
        ],
        "orders": {name: round(getattr(orders, name.lower()), 4) for name in ("BPFO", "BPFI", "BSF", "FTF")},
        **block.speed,
        "blocks": found.blocks,
    }


def _evidence(block: Block, turning: Turning, verdict: Verdict) -> dict[str, Json]:
    found = spectra(block)
    lines = lines_json((line.name, line.order * turning.shaft_hz) for line in verdict.lines)
    # What proves the claim is shown first.
    return {"envelope_spectrum": found["envelope_spectrum"] | {"lines": lines}, "velocity_spectrum": found["velocity_spectrum"]}


def _title(fault: str) -> str:
    if not fault:
        return "bearing shows no damage"
    return "bearing fault, type open" if fault == OPEN else f"bearing, {_NAMES[fault]}"
