"""CWRU: seeded faults of the races and balls of two bearings. Is the damaged part named?

    python -m benchmarks.vibration.cwru --data cwru --json cwru.json

DIR holds ``index.csv`` (file, fault: IR, OR, B or normal, fault_bearing: drive end or fan end, sensor: DE or FE) and a file.npz for
each row: x in g, fs in Hz, rpm. The healthy recordings are cut into pieces; with them count those of IMS (``ims/raw_healthy`` beside
DIR, or --healthy DIR). The fault recordings are told whole, again cut to the length of the healthy pieces, so that length does not
flatter, and in blocks of a second, as a gateway sees them.
A claim is right if it names the part; another part is wrong; "open" is a claimed fault of an open type; the rest is silent.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.analytics.measure import Measure
from benchmarks.analytics.run import watched
from benchmarks.vibration.product import CLASSES, Absent, Piece, told

BEARINGS = {"DE": "SKF 6205", "FE": "SKF 6203", "drive end": "SKF 6205", "fan end": "SKF 6203"}
IMS_BEARING = "Rexnord ZA-2115"
SECONDS = 1.2
"""Of a healthy piece; IMS gives 1.024."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.cwru", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and the recordings")
    parser.add_argument("--healthy", type=Path, help="healthy recordings of IMS; default: ../ims/raw_healthy beside them")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    found = run(options.data, options.healthy or options.data.resolve().parent / "ims" / "raw_healthy")
    print(text(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def run(data: Path, healthy: Path) -> dict[str, Any]:
    faults, calm = pieces(data)
    if healthy.is_dir():
        calm += ims(healthy)
    else:
        print(f"{healthy} is not there: only CWRU's own healthy recordings count", file=sys.stderr)
    rows = [row(piece) for piece in watched(faults, "faults")]
    cut = [row(replace(piece, samples=piece.samples[: int(SECONDS * piece.rate_hz)])) for piece in watched(faults, "cut")]
    blocks = [row(piece, 1.0) for piece in watched(faults, "in blocks")]
    quiet = [row(piece) for piece in watched(calm, "healthy")]
    channels = [row(piece, seconds) for piece, seconds in strung(calm)]
    return {
        **counts(rows),
        "false_on_healthy": sum(one["verdict"] != "silent" for one in quiet),
        "healthy": len(quiet),
        "false_on_healthy_channels": sum(one["verdict"] != "silent" for one in channels),
        "healthy_channels": len(channels),
        "groups": {group: counts(one for one in rows if one["group"] == group) for group in dict.fromkeys(one["group"] for one in rows)},
        "cut_to_seconds": SECONDS,
        "cut": counts(cut),
        "blocks_of_1_s": counts(blocks),
        "rows": rows,
        "rows_cut": cut,
        "rows_blocks": blocks,
        "rows_healthy": quiet,
    }


def pieces(data: Path) -> tuple[list[Piece], list[Piece]]:
    """Faults, and healthy pieces."""
    index = data / "index.csv"
    if not index.is_file():
        raise Absent(index, "CWRU's recordings as npz, with an index of them")
    faults, calm = [], []
    with index.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            path = data / f"{line['file']}.npz"
            if not path.is_file():
                raise Absent(path, "the index names it")
            with np.load(path) as saved:
                x, rate, rpm = saved["x"].astype(np.float32), float(saved["fs"]), float(saved["rpm"])
            bearing = BEARINGS[line["fault_bearing"] or line["sensor"]]
            whole = Piece(line["file"], x, rate, rpm, bearing, CLASSES.get(line["fault"], ""))
            if whole.fault:
                faults.append(whole)
            else:
                calm += [whole, *cut_up(whole)]
    return faults, calm


def cut_up(piece: Piece) -> list[Piece]:
    length = int(SECONDS * piece.rate_hz)
    starts = range(0, len(piece.samples) - length + 1, length)
    return [replace(piece, name=f"{piece.name}+{at / piece.rate_hz:g}s", samples=piece.samples[at : at + length]) for at in starts]


def ims(folder: Path) -> list[Piece]:
    """Every channel of every snapshot: x (n, 8) in g, fs, rpm."""
    found = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as saved:
            rate, rpm = float(saved["fs"]), float(saved["rpm"])
            columns = saved["x"].astype(np.float32).T
            found += [Piece(f"{path.stem}/{i}", np.ascontiguousarray(x), rate, rpm, IMS_BEARING) for i, x in enumerate(columns)]
    return found


def strung(calm: Iterable[Piece]) -> list[tuple[Piece, float]]:
    """IMS's snapshots of each channel one after the other, as a gateway sees them, and the length of one."""
    found: dict[str, list[Piece]] = {}
    for piece in calm:
        if piece.bearing == IMS_BEARING:
            found.setdefault(piece.name.rpartition("/")[2], []).append(piece)
    return [
        (
            replace(mine[0], name=f"channel {name}", samples=np.concatenate([one.samples for one in mine])),
            len(mine[0].samples) / mine[0].rate_hz,
        )
        for name, mine in found.items()
    ]


def row(piece: Piece, seconds: float | None = None, **options: Any) -> dict[str, Any]:
    found = told(piece, seconds, **options)
    fault = found["fault"]
    verdict = (
        "silent" if not fault else "right" if fault == piece.fault else "wrong" if fault in CLASSES.values() or fault == "cage" else "open"
    )
    explanation = found["explanation"]
    kept = {key: explanation[key] for key in ("score", "scores") if key in explanation}
    group = f"{piece.bearing} {piece.fault or 'healthy'}"
    return {"file": piece.name, "group": group, "fault": piece.fault, "told": fault, "verdict": verdict, **kept}


def counts(rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    found = Counter(one["verdict"] for one in rows)
    return {"faults": found.total(), "right": found["right"], "wrong": found["wrong"], "open": found["open"], "silent": found["silent"]}


def text(found: dict[str, Any]) -> str:
    lines = [f"{'':28}{'right':>7}{'wrong':>7}{'open':>7}{'silent':>7}{'of':>5}"]
    parts = {**found["groups"], "all": found, f"cut to {SECONDS} s": found["cut"], "in blocks of 1 s": found["blocks_of_1_s"]}
    for name, one in parts.items():
        lines.append(f"{name:28}{one['right']:>7}{one['wrong']:>7}{one['open']:>7}{one['silent']:>7}{one['faults']:>5}")
    lines.append(f"healthy pieces with a claim: {found['false_on_healthy']} of {found['healthy']}")
    return "\n".join([*lines, f"healthy channels with one: {found['false_on_healthy_channels']} of {found['healthy_channels']}"])


def measures(found: dict[str, Any]) -> list[Measure]:
    """Beside the targets."""
    groups = [one for name, one in found["groups"].items() if name.startswith("SKF 6205") and name.endswith("race")]
    right, of = sum(one["right"] for one in groups), sum(one["faults"] for one in groups)
    cut = found["cut"]
    detail = f"{found['open']} open, {found['silent']} silent; cut to {SECONDS} s: {cut['right']} right, {cut['wrong']} wrong"
    return [
        Measure(f"CWRU, {found['faults']} fault records: right part", found["right"], ">=", 32, 37, baseline="29", detail=detail),
        Measure("wrong claims among them", found["wrong"], "<=", 1, 0, baseline="1"),
        Measure(f"inner and outer race, drive end (of {of})", right, ">=", 20, 22, baseline="18"),
        Measure(f"false claims on {found['healthy']} healthy pieces", found["false_on_healthy"], "<=", 0, 0, baseline="0 of 84"),
        Measure(
            f"false claims on {found['healthy_channels']} healthy channels, ten snapshots each",
            found["false_on_healthy_channels"],
            "<=",
            0,
            0,
        ),
    ]


if __name__ == "__main__":
    sys.exit(main())
