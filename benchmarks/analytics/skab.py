"""SKAB: a water circulation rig with one fault per file, eight tags, one row a second.

    python -m benchmarks.analytics.skab --data skab --json skab.json

DIR holds ``data/<group>/<n>.csv`` (github.com/waico/SKAB). Streaming: a row is scored before it is learnt; rows 0-399 are the warm-up;
one setting for all files. "Always alarm" has a high F1 here, because half of the rows are faulty: F1 tells nothing without FAR.
``--split`` chooses sensitivity and averaging time on one half of the files and scores the other, both ways.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from benchmarks.analytics.measure import Measure
from gateway import registry
from gateway.contract import DetectorContext, Finding, Frame, State, Tag

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Judge = Callable[["Recording"], Bools]

WARM_UP = 400
FOUND_SECONDS = 60
SETTING: dict[str, Any] = {"on": "*/*", "smooth": "10s", "warm_up": "0s", "warm_up_rows": WARM_UP}
"""For recordings at 1 Hz: only what follows from twenty minutes a file; sensitivity is the product's default, one a week."""
_GRID = tuple(product(("7s", "10s", "15s"), (0.1, 1.0, 10.0, 100.0)))
_FAR_AT_MOST = 0.22


@dataclass(frozen=True)
class Recording:
    """One file: times [n] in seconds, values [n, k], faulty [n]."""

    name: str
    tags: tuple[str, ...]
    seconds: Floats
    x: Floats
    faulty: Bools


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics.skab", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="the folder that holds data/<group>/<n>.csv")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--split", action="store_true", help="choose the parameters on one half of the files, score the other")
    parser.add_argument("--files", action="store_true", help="tell each file's alarms")
    options = parser.parse_args(argv)
    recordings = read(options.data)
    if not recordings:
        print(f"skab: no data/<group>/<n>.csv with columns anomaly and changepoint under {options.data}", file=sys.stderr)
        return 2
    found = run(recordings, tell_files=options.files)
    if options.split:
        found["split"] = splits(recordings)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def read(folder: Path) -> list[Recording]:
    """Every file with a fault; empty if there is none."""
    files = sorted(folder.glob("data/*/*.csv"), key=lambda file: (file.parent.name, int(file.stem) if file.stem.isdigit() else -1))
    recordings = [_recording(file) for file in files]
    return [one for one in recordings if one is not None]


def _recording(file: Path) -> Recording | None:
    head, *rows = (line.split(";") for line in file.read_text(encoding="utf-8").splitlines())
    if head[-2:] != ["anomaly", "changepoint"]:
        return None
    seconds = np.array([datetime.fromisoformat(row[0]).timestamp() for row in rows])
    x = np.array([[float(cell) for cell in row[1:-2]] for row in rows])
    faulty = np.array([float(row[-2]) > 0 for row in rows])
    return Recording(f"{file.parent.name}/{file.stem}", tuple(head[1:-2]), seconds, x, faulty) if faulty.any() else None


def run(recordings: Sequence[Recording], *, tell_files: bool = False) -> dict[str, Any]:
    """The table, told as it is found."""
    judges: dict[str, Judge] = {
        "machine": lambda one: machine(one, {}),
        "EWMA |z|, gated": _ewma,
        "river HalfSpaceTrees": lambda one: _river(one, "HalfSpaceTrees"),
        "river GaussianScorer": lambda one: _river(one, "GaussianScorer"),
        "always alarm": lambda one: np.ones(len(one.x), dtype=bool),
        "random": lambda one: np.random.default_rng(len(one.x)).random(len(one.x)) < 0.5,
    }
    print(f"{len(recordings)} files, {sum(len(one.x) - WARM_UP for one in recordings)} rows scored")
    print(f"{'':24}  F1    FAR %  MAR %  found in {FOUND_SECONDS} s  ever    false before, per file")
    found: dict[str, Any] = {}
    for name, judge in judges.items():
        alarms = [judge(one) for one in track(recordings, description=name, console=Console(stderr=True), transient=True)]
        figures = found[name] = measure(recordings, alarms)
        print(
            f"{name:24} {figures['f1']:6.3f} {100 * figures['far']:5.1f}  {100 * figures['mar']:5.1f}"
            f"   {figures['found']:2} of {len(recordings)}      {figures['ever']:2}      {figures['false_before']:.2f}"
        )
        if tell_files and name == "machine":
            _tell_files(recordings, alarms)
    return found


def _tell_files(recordings: Sequence[Recording], alarms: Sequence[Bools]) -> None:
    for one, alarm in zip(recordings, alarms, strict=True):
        (fault,), at = _spans(one.faulty)[:1], ", ".join(f"{a}-{b}" for a, b in _spans(alarm))
        print(f"  {one.name:12} fault {fault[0]}-{fault[1]}, alarms {at or 'none'}")


def measure(recordings: Sequence[Recording], alarms: Sequence[Bools]) -> dict[str, Any]:
    """Point-wise over all files together, and per fault: found in time, at all; alarms that began before it."""
    truth = np.concatenate([one.faulty[WARM_UP:] for one in recordings])
    told = np.concatenate([alarm[WARM_UP:] for alarm in alarms])
    hit, false, missed = (int(part.sum()) for part in (truth & told, told & ~truth, truth & ~told))
    in_time = ever = before = 0
    for one, alarm in zip(recordings, alarms, strict=True):
        first, last = _spans(one.faulty)[0]
        inside = np.flatnonzero(alarm[first:last])
        ever += len(inside) > 0
        in_time += len(inside) > 0 and one.seconds[first + inside[0]] - one.seconds[first] <= FOUND_SECONDS
        before += sum(WARM_UP <= begin < first for begin, _ in _spans(alarm & (np.arange(len(alarm)) >= WARM_UP)))
    return {
        "f1": 2 * hit / max(2 * hit + false + missed, 1),
        "far": false / max(int((~truth).sum()), 1),
        "mar": missed / max(int(truth.sum()), 1),
        "found": int(in_time),
        "ever": int(ever),
        "files": len(recordings),
        "false_before": before / len(recordings),
    }


def _spans(flags: Bools) -> list[tuple[int, int]]:
    """First row, and the row after the last, of each stretch.

    >>> _spans(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def machine(one: Recording, options: dict[str, Any]) -> Bools:
    """The product's detector, through its plugin, fed frame by frame; a row is in alarm from ACTIVE to OVER."""
    plugin = registry.detector("machine")
    context = DetectorContext(name="machine-1", tags=tuple(Tag(i, "rig", name) for i, name in enumerate(one.tags)))
    detector = plugin.build(plugin.options.model_validate(SETTING | options), context)
    t_ns = (one.seconds * 1e9).astype(np.int64)
    tags = np.arange(len(one.tags), dtype=np.int32)
    told: list[Finding] = []
    for i in range(0, len(t_ns), 64):
        told += detector.process(Frame(machine="rig", names=one.tags, tags=tags, t_ns=t_ns[i : i + 64], x=one.x[i : i + 64]))
    alarm = np.zeros(len(t_ns), dtype=bool)
    for finding in told:
        if finding.state is not State.FACT:
            alarm[np.searchsorted(t_ns, finding.t_ns) :] = finding.state is State.ACTIVE
    return alarm


def _ewma(one: Recording) -> Bools:
    """The largest |z| of the tags; limit: 99 % of the second half of the warm-up; learns what is no alarm."""
    mean, square = one.x[0].copy(), np.zeros(one.x.shape[1])
    scores = np.zeros(len(one.x))
    limit = np.inf
    for i, x in enumerate(one.x):
        scores[i] = (np.abs(x - mean) / np.sqrt(square + 1e-12)).max() if i else 0.0
        if i == WARM_UP:
            limit = float(np.quantile(scores[WARM_UP // 2 : WARM_UP], 0.99))
        if scores[i] <= limit:
            share = max(1 / (i + 1), 0.005)
            square += share * ((x - mean) ** 2 - square)
            mean += share * (x - mean)
    return (scores > limit) & (np.arange(len(scores)) >= WARM_UP)


def _river(one: Recording, model: str) -> Bools:
    """The same limit and the same gate around river's own score."""
    from river import anomaly

    low, width = one.x[:WARM_UP].min(axis=0), np.ptp(one.x[:WARM_UP], axis=0) + 1e-12
    x = (one.x - low) / width
    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, seed=42)
    gauss = [anomaly.GaussianScorer() for _ in one.tags]
    scores, limit = np.zeros(len(x)), np.inf
    for i, row in enumerate(x.tolist()):
        if model == "HalfSpaceTrees":
            features = dict(enumerate(row))
            scores[i] = trees.score_one(features)
        else:
            scores[i] = max(scorer.score_one(None, value) for scorer, value in zip(gauss, row, strict=True))
        if i == WARM_UP:
            limit = float(np.quantile(scores[WARM_UP // 2 : WARM_UP], 0.99))
        if scores[i] > limit:
            continue
        if model == "HalfSpaceTrees":
            trees.learn_one(features)
        else:
            for scorer, value in zip(gauss, row, strict=True):
                scorer.learn_one(None, value)
    return (scores > limit) & (np.arange(len(scores)) >= WARM_UP)


def splits(recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """The parameters with the best F1 at a bearable FAR on one half, and what they do on the other."""
    grid = {}
    for smooth, rate in track(_GRID, description="split", console=Console(stderr=True), transient=True):
        grid[smooth, rate] = [machine(one, {"smooth": smooth, "false_alarms_per_week": rate}) for one in recordings]
    for (smooth, rate), alarms in grid.items():
        figures = measure(recordings, alarms)
        print(
            f"smooth {smooth:>3}, {rate:5g} a week: F1 {figures['f1']:.3f}, FAR {100 * figures['far']:.1f} %, "
            f"found {figures['found']}, false before {figures['false_before']:.2f}"
        )
    found = []
    for half in (0, 1):
        chosen = max(grid, key=lambda key: _worth(measure(recordings[half::2], grid[key][half::2])))
        other = measure(recordings[1 - half :: 2], grid[chosen][1 - half :: 2])
        found.append({"smooth": chosen[0], "false_alarms_per_week": chosen[1], **other})
        told = f"on the other F1 {other['f1']:.3f}, FAR {100 * other['far']:.1f} %"
        print(f"chosen on half {half + 1}: {chosen[0]}, {chosen[1]:g} a week; {told}")
    return found


def _worth(figures: dict[str, Any]) -> float:
    return float(figures["f1"]) - (1.0 if figures["far"] > _FAR_AT_MOST else 0.0)


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    ours, plain = found["machine"], found["EWMA |z|, gated"]
    far, files = f"FAR {100 * ours['far']:.1f} %", ours["files"]
    return [
        Measure("SKAB F1", ours["f1"], ">=", 0.76, 0.82, "", "0.78, batch Conv-AE", f"EWMA |z| gated {plain['f1']:.3f}", far),
        Measure("SKAB FAR", 100 * ours["far"], "<=", 22, 13, "%", "13.6, the same", f"{100 * plain['far']:.1f}"),
        Measure(
            "SKAB faults found within 60 s", 100 * ours["found"] / files, ">=", 76, 90, "%", baseline=f"{100 * plain['found'] / files:.0f}"
        ),
        Measure("false alarms before them, per file", ours["false_before"], "<=", 0.1, 0.05, baseline=f"{plain['false_before']:.2f}"),
    ]


if __name__ == "__main__":
    sys.exit(main())
