"""FEMTO (PRONOSTIA): bearings run to failure within hours, a snapshot every ten seconds. How early is the rise told?

    python -m benchmarks.vibration.femto --data femto --json femto.json

DIR holds ``<bearing>_features.csv`` with at least snapshot, minute, h_rms and v_rms, the acceleration of two axes. An alarm that lasts
until the end counts, its lead is how long before the end it began; one that ended before is false.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.analytics.measure import Measure
from benchmarks.vibration.product import Absent
from models.vibration.trend.level import Course, Level

AXES = ("h_rms", "v_rms")
BASELINE_MINUTES = {"Bearing1_1": 34.0, "Bearing2_1": 0.0}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.femto", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the features of the bearings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = run(options.data)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def run(data: Path) -> dict[str, Any]:
    files = sorted(data.glob("*_features.csv"))
    if not files:
        raise Absent(data / "*_features.csv", "FEMTO's features of each snapshot")
    return {file.name.removesuffix("_features.csv"): lead(file) for file in files}


def lead(file: Path) -> dict[str, Any]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    minutes = [float(row["minute"]) for row in rows]
    levels = {axis: Level(1) for axis in AXES}
    courses = [{axis: level.follow(0, float(row[axis])) for axis, level in levels.items()} for row in rows]
    rising = [[axis for axis, course in one.items() if course is Course.RISING] for one in courses]
    begins = [at for at, axes in enumerate(rising) if axes and not (at and rising[at - 1])]
    lasting = begins[-1] if begins and rising[-1] else None
    return {
        "life_minutes": round(minutes[-1], 1),
        "lead_minutes": 0.0 if lasting is None else round(minutes[-1] - minutes[lasting], 1),
        "first": [] if lasting is None else rising[lasting],
        "false_alarms": len(begins) - (lasting is not None),
    }


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    rows = []
    for name, one in found.items():
        base = BASELINE_MINUTES.get(name, 0.0)
        detail = f"of {one['life_minutes']:g} min; {one['false_alarms']} false"
        known = f"{base:g} min" if name in BASELINE_MINUTES else "–"
        rows.append(
            Measure(f"FEMTO {name}, before its end", one["lead_minutes"], ">=", base, base + 1, "min", baseline=known, detail=detail)
        )
    false = sum(one["false_alarms"] for one in found.values())
    return [*rows, Measure("FEMTO, false alarms before", false, "<=", 0, 0, baseline="–")]


if __name__ == "__main__":
    sys.exit(main())
