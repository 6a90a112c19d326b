"""IMS: four bearings run to failure, the mean of |x| of one second every ten minutes.

    python -m benchmarks.analytics.ims --data ims --json ims.json

DIR holds ``1st_test_10min_meanabs.csv`` and ``2nd_test_10min_meanabs.csv``: number, ``Datetime``, one column per channel. In test 1
the rig was started again after six days of rest, and all eight channels changed: that is one new operating point and no fault.
In test 2 the outer race of bearing 1 fails at the end: how long before is it told?
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks.analytics.measure import Measure
from gateway import registry
from gateway.contract import DetectorContext, Finding, Frame, State, Tag

SETTING: dict[str, Any] = {"on": "*/*", "every": "10m", "valid_for": "1h", "smooth": "1h", "warm_up": "0s", "warm_up_rows": 100}
"""One row in ten minutes: an hour is six of them, and the warm-up seventeen hours."""
RESTART = (157, 165)  # rows of test 1 after the start: told within eight rows
_FILES = ("1st_test_10min_meanabs.csv", "2nd_test_10min_meanabs.csv")
_HOUR_NS = 3_600_000_000_000


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics.ims", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds the two csv files")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(argv)
    absent = [name for name in _FILES if not (options.data / name).is_file()]
    if absent:
        print(f"ims: {options.data} has no {' and no '.join(absent)}", file=sys.stderr)
        return 2
    found = {"restart": restart(options.data / _FILES[0]), "lead": lead(options.data / _FILES[1])}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def restart(file: Path) -> dict[str, int]:
    """What is told of the start in test 1, and of the whole test."""
    t_ns, findings = _findings(file, "test 1")
    rows = [(int(np.searchsorted(t_ns, finding.t_ns)), finding) for finding in findings]
    near = [finding for row, finding in rows if RESTART[0] - 1 <= row <= RESTART[1]]
    figures = {
        "operating_point_changed": _count(near, State.FACT),
        "faults": _count(near, State.ACTIVE),
        "operating_point_changed_all": _count(findings, State.FACT),
        "faults_all": _count(findings, State.ACTIVE),
        "faults_before": _count([finding for row, finding in rows if row < RESTART[0] - 1], State.ACTIVE),
    }
    print(
        f"test 1, restart of the rig: {figures['operating_point_changed']} operating point changed, {figures['faults']} faults"
        f" (before it {figures['faults_before']} faults; in all {len(t_ns)} rows"
        f" {figures['operating_point_changed_all']} and {figures['faults_all']})"
    )
    return figures


def lead(file: Path) -> dict[str, Any]:
    """The first alarm of test 2 that names bearing 1 first, and alarms before it."""
    t_ns, findings = _findings(file, "test 2")
    active = [finding for finding in findings if finding.state is State.ACTIVE]
    first = next((finding for finding in active if finding.tags[0] == "Bearing 1"), None)
    hours = 0.0 if first is None else float(t_ns[-1] - first.t_ns) / _HOUR_NS
    before = sum(first is None or finding.t_ns < first.t_ns for finding in active)
    changed = _count(findings, State.FACT)
    print(f"test 2, outer race of bearing 1: {hours:.0f} h before the end; {before} alarms before it, {changed} operating points")
    return {"hours": hours, "alarms_before": int(before), "operating_point_changed": changed}


def _count(findings: Sequence[Finding], state: State) -> int:
    return sum(finding.state is state for finding in findings)


def _findings(file: Path, name: str) -> tuple[np.ndarray[Any, np.dtype[np.int64]], list[Finding]]:
    head, *rows = (line.split(",") for line in file.read_text(encoding="utf-8").splitlines())
    names = tuple(head[2:])
    times = [datetime.strptime(row[1], "%Y.%m.%d.%H.%M.%S").replace(tzinfo=UTC) for row in rows]
    t_ns = np.array([int(time.timestamp()) for time in times], dtype=np.int64) * 10**9
    x = np.array([[float(cell) for cell in row[2:]] for row in rows])
    plugin = registry.detector("machine")
    context = DetectorContext(name="machine-1", tags=tuple(Tag(i, "rig", tag) for i, tag in enumerate(names)))
    detector = plugin.build(plugin.options.model_validate(SETTING), context)
    tags = np.arange(len(names), dtype=np.int32)
    found: list[Finding] = []
    for i in track(range(0, len(x), 16), description=name, console=Console(stderr=True), transient=True):
        found += detector.process(Frame(machine="rig", names=names, tags=tags, t_ns=t_ns[i : i + 16], x=x[i : i + 16]))
    return t_ns, found


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    restart, lead = found["restart"], found["lead"]
    told = f"operating point changed: {restart['operating_point_changed']}"
    return [
        Measure("IMS test 1, faults told of the restart", restart["faults"], "<=", 0, 0, baseline="8", detail=told),
        Measure("IMS test 2, bearing 1 before its end", lead["hours"], ">=", 72, 84, "h", detail=f"{lead['alarms_before']} alarms before"),
    ]


if __name__ == "__main__":
    sys.exit(main())
