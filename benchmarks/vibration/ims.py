"""IMS: four bearings run to failure, the mean of |x| of one second every ten minutes. How early is the right bearing told?

    python -m benchmarks.vibration.ims --data ims --json ims.json

DIR holds ``1st_test_10min_meanabs.csv`` and ``2nd_test_10min_meanabs.csv``: number, ``Datetime``, one column per channel. In test 2 the
outer race of bearing 1 fails; the series holds no waveform, so which part it is cannot be told from it. In test 1 the rig was started
again after row 156, and all eight channels changed: that is no fault. Later bearings 3 and 4 fail.
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

RESTART = (157, 200)
"""Rows in which alarms are of the restart."""
_ROWS_PER_HOUR = 6


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.ims", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the two series")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = run(options.data)
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def run(data: Path) -> dict[str, Any]:
    first, second = (alarms(data / f"{test}_test_10min_meanabs.csv") for test in ("1st", "2nd"))
    lead = next((one["hours_before_end"] for one in second if one["channel"] == "Bearing 1"), 0.0)
    others = [one for one in second if one["channel"] != "Bearing 1" and one["hours_before_end"] >= lead]
    return {
        "lead_hours": lead,
        "others_before": len(others),
        "restart_alarms": sum(RESTART[0] <= one["row"] < RESTART[1] for one in first),
        "alarms_before_restart": sum(one["row"] < RESTART[0] for one in first),
        "test_1": first,
        "test_2": second,
    }


def alarms(file: Path) -> list[dict[str, Any]]:
    """Each channel's first row in alarm, and each later one after it was usual again."""
    if not file.is_file():
        raise Absent(file, "IMS's series of the mean of |x|")
    with file.open(encoding="utf-8", newline="") as lines:
        (_, _, *channels), *rows = csv.reader(lines)
    level, before = Level(len(channels)), [Course.LEARNING] * len(channels)
    found = []
    for number, row in enumerate(rows):
        for point, channel in enumerate(channels):
            course = level.follow(point, float(row[2 + point]))
            if course is Course.RISING and before[point] is not Course.RISING:
                hours = round((len(rows) - 1 - number) / _ROWS_PER_HOUR, 1)
                found.append({"channel": channel, "row": number, "hours_before_end": hours})
            before[point] = course
    return found


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    detail = f"{found['others_before']} others first"
    faults = [one for one in found["test_1"] if one["row"] >= RESTART[1]]
    named = "later told: " + ", ".join(f"{one['channel']} {one['hours_before_end']:g} h" for one in faults)
    return [
        Measure("IMS test 2, bearing 1 before its end", found["lead_hours"], ">=", 72, 84, "h", baseline="72 h", detail=detail),
        Measure("IMS test 1, restart: fault alarms", found["restart_alarms"], "<=", 0, 0, baseline="8", detail=named),
    ]


if __name__ == "__main__":
    sys.exit(main())
