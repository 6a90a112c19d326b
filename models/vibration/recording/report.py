"""An examination as JSON and as text an engineer can check. Pure."""

from __future__ import annotations

from typing import Any

from models.vibration.diagnosis.lines import FAULTS, first_order
from models.vibration.diagnosis.verdict import OPEN
from models.vibration.recording.examine import Examination

_PARTS = {"outer_race": "outer race", "inner_race": "inner race", "ball": "rolling element", "cage": "cage"}


def document(found: Examination, unit: str) -> dict[str, Any]:
    """Everything, by the same names as in the gateway's findings."""
    over, analysis = found.overall, found.analysis
    return {
        "rate_hz": round(found.asked.rate_hz, 3),
        "samples": len(found.samples),
        "seconds": round(len(found.samples) / found.asked.rate_hz, 3),
        "unit": unit,
        "speed_rpm": None if found.rpm is None else round(found.rpm, 1),
        "speed_from": None if found.rpm is None else "given" if found.asked.rpm is not None else "spectrum",
        "speed_of_spectrum": None
        if found.shaft is None
        else {"rpm": round(found.shaft.rpm, 1), "confidence": round(found.shaft.confidence, 2)},
        "trouble": None if found.trouble is None else {"name": found.trouble.name, "said": found.trouble.said},
        "overall": {name: round(getattr(over, name), 4) for name in ("rms", "peak", "peak_to_peak", "crest", "kurtosis", "mean")},
        "bands": {name: round(value, 5) for name, value in found.bands.items()},
        "velocity": None
        if found.zone is None
        else {
            "rms_mm_s": round(analysis.rms, 4),
            "band_hz": list(analysis.band or ()),
            "zone": found.zone,
            "limits": list(found.asked.zones.limits),
            "limits_of": found.asked.zones.source,
        },
        "peaks": [{"name": peak.name, "hz": round(peak.hz, 2), "mm_s": round(peak.amplitude, 4)} for peak in found.peaks],
        "hints": found.hints,
        "bearing": bearing(found),
    }


def bearing(found: Examination) -> dict[str, Any]:
    """The verdict with its evidence, or why there is none."""
    verdict, orders = found.verdict, found.asked.orders
    if verdict is None or orders is None or found.rpm is None:
        return {"fault": None, "silent": found.silent}
    shaft_hz = found.rpm / 60
    return {
        "fault": verdict.fault or None,
        "stage": found.stage or None,
        "score": round(verdict.score, 3),
        "level": found.asked.level,
        "depth": round(verdict.depth, 3),
        "specific": round(verdict.specific, 3),
        "blocks": found.blocks,
        "parts": {
            part: {
                "expected_hz": round(first_order(orders, part) * shaft_hz, 2),
                "found_hz": round(verdict.whitened[part].first * shaft_hz, 2),
                "slip_percent": round(100 * (verdict.whitened[part].first / first_order(orders, part) - 1), 2),
                "score": round(verdict.whitened[part].score, 3),
                "depth": round(verdict.whitened[part].depth, 3),
                "conventional_score": round(verdict.conventional[part].score, 3),
                "conventional_depth": round(verdict.conventional[part].depth, 3),
            }
            for part in FAULTS
        },
        "lines": [
            {"name": line.name, "hz": round(line.order * shaft_hz, 2), "prominence": round(line.prominence, 1)} for line in verdict.lines
        ],
    }


def text(found: Examination, unit: str, name: str) -> str:
    """Widths fit a terminal of 100 columns."""
    doc = document(found, unit)
    over = doc["overall"]
    lines = [
        f"{name}: {doc['seconds']:g} s at {doc['rate_hz']:g} Hz, {unit}",
        f"speed     {_speed(doc)}",
        f"overall   rms {over['rms']:.4g}, peak {over['peak']:.4g}, peak to peak {over['peak_to_peak']:.4g} {unit};"
        f" crest {over['crest']:.3g}, kurtosis {over['kurtosis']:.3g}",
        "bands     " + ", ".join(f"{band} {value:.3g}" for band, value in doc["bands"].items()) + f" {unit} rms",
    ]
    if (velocity := doc["velocity"]) is not None:
        low, high = velocity["band_hz"]
        limits = " / ".join(f"{limit:g}" for limit in velocity["limits"])
        zone = f"zone {velocity['zone']} of {limits} ({velocity['limits_of']})"
        lines.append(f"velocity  {velocity['rms_mm_s']:.3g} mm/s rms ({low:g}-{high:g} Hz), {zone}")
    if doc["trouble"]:
        lines.append(f"unusable  {doc['trouble']['said']}")
    largest = sorted(doc["peaks"], key=lambda peak: -peak["mm_s"])[:5]
    if largest:
        lines.append("shaft     " + ", ".join(f"{peak['name']} {peak['mm_s']:.3g}" for peak in largest) + " mm/s peak")
    lines += [f"hint      {hint}" for hint in doc["hints"]]
    return "\n".join([*lines, *_bearing(doc["bearing"])])


def _speed(doc: dict[str, Any]) -> str:
    seen = doc["speed_of_spectrum"]
    said = (
        "not known"
        if doc["speed_rpm"] is None
        else f"{doc['speed_rpm']:g} rpm, {'given' if doc['speed_from'] == 'given' else 'from the spectrum'}"
    )
    return said if seen is None else f"{said}; the spectrum shows {seen['rpm']:g} rpm (confidence {seen['confidence']:.2f})"


def _bearing(doc: dict[str, Any]) -> list[str]:
    if "silent" in doc:
        return [f"bearing   no diagnosis: {doc['silent']}"]
    lines = [
        f"bearing   {_verdict(doc)}",
        f"          {'part':16}{'Hz':>9}{'found':>9}{'slip %':>8}{'score':>8}{'depth':>8}{'conventional':>16}",
    ]
    for part, one in doc["parts"].items():
        usual = f"{one['conventional_score']:.1f} / {one['conventional_depth']:.2f}"
        lines.append(
            f"          {_PARTS[part]:16}{one['expected_hz']:9.2f}{one['found_hz']:9.2f}{one['slip_percent']:8.2f}"
            f"{one['score']:8.1f}{one['depth']:8.2f}{usual:>16}"
        )
    if doc["lines"]:
        lines.append("lines     " + ", ".join(f"{line['name']} {line['hz']:g} Hz x{line['prominence']:g}" for line in doc["lines"][:8]))
    return lines


def _verdict(doc: dict[str, Any]) -> str:
    if not doc["fault"]:
        part, one = max(doc["parts"].items(), key=lambda item: item[1]["score"])
        return f"no damage shown (strongest: {_PARTS[part]}, score {one['score']:.1f}, depth {one['depth']:.2f})"
    what = "fault, type open" if doc["fault"] == OPEN else f"{_PARTS[doc['fault']]} damage"
    wrong = f"{100 * (1 - doc['specific']):.0f} % of wrong speeds suit as well"
    return f"{what}, {doc['stage']}: score {doc['score']:.1f}, depth {doc['depth']:.2f}, {wrong}"
