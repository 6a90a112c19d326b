"""How much CWRU's result depends on the constants of the diagnosis, and what they are worth when chosen on one half of the records.

    python -m benchmarks.vibration.sensitivity --data cwru --json sensitivity.json

Each constant is moved alone; right, wrong and open of the fault recordings, and claims on healthy pieces. Then level and depth are
chosen on one half (most right with nothing wrong and no claim on any healthy piece) and scored on the other: halves by every second
record, by bearing, and by load.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.analytics.run import watched
from benchmarks.vibration.cwru import counts, ims, pieces, row
from benchmarks.vibration.product import Piece
from models.vibration.diagnosis import density, plan, verdict

MOVED: list[tuple[ModuleType, str, tuple[float, ...]]] = [
    (verdict, "DEPTH", (0.10, 0.13, 0.16, 0.19, 0.22)),
    (verdict, "_SPECIFIC", (0.85, 0.90, 0.94, 0.99)),
    (verdict, "_RIVAL", (0.6, 0.7, 0.8, 1.0)),
    (plan, "SMEARED", (0.004, 0.006, 0.008, 0.012)),
    (density, "BANDS", (1, 2, 3, 4, 6)),
    (density, "REVOLUTIONS", (64, 96, 160, 320)),
]
LEVELS = (2.6, 2.8, 3.0, 3.3, 3.6, 4.0, 4.5)
DEPTHS = (0.10, 0.13, 0.16, 0.19, 0.22)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vibration.sensitivity", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with index.csv and the recordings")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    options = parser.parse_args(argv)
    faults, calm = pieces(options.data)
    healthy = options.data.resolve().parent / "ims" / "raw_healthy"
    calm += ims(healthy) if healthy.is_dir() else []
    found = {"moved": moved(faults, calm), "halves": halves(faults, calm)}
    print(json.dumps(found, indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


def moved(faults: Sequence[Piece], calm: Sequence[Piece]) -> list[dict[str, Any]]:
    found = [{"constant": "level", "value": level, **outcome(faults, calm, level=level)} for level in watched(LEVELS, "level")]
    for module, name, values in watched(MOVED, "constants"):
        for value in values:
            with put(module, name, value):
                found.append({"constant": name, "value": value, **outcome(faults, calm)})
    return found


def outcome(faults: Sequence[Piece], calm: Sequence[Piece], **options: Any) -> dict[str, int]:
    told = counts(row(piece, **options) for piece in faults)
    false = sum(row(piece, **options)["verdict"] != "silent" for piece in calm)
    return {"right": told["right"], "wrong": told["wrong"], "open": told["open"], "false_on_healthy": false}


def halves(faults: Sequence[Piece], calm: Sequence[Piece]) -> list[dict[str, Any]]:
    told: dict[tuple[float, float], tuple[list[str], int]] = {}
    for depth in watched(DEPTHS, "halves"):
        with put(verdict, "DEPTH", depth):
            for level in LEVELS:
                verdicts = [row(piece, level=level)["verdict"] for piece in faults]
                told[level, depth] = verdicts, sum(row(piece, level=level)["verdict"] != "silent" for piece in calm)
    numbers = range(len(faults))
    splits = {
        "every second": [number % 2 == 0 for number in numbers],
        "bearing": [faults[number].bearing == faults[0].bearing for number in numbers],
        "load": [faults[number].rpm == faults[0].rpm for number in numbers],
    }
    return [
        {"by": name, "chosen_on": "first" if first else "second", **_scored(told, [one == first for one in half])}
        for name, half in splits.items()
        for first in (True, False)
    ]


def _scored(told: dict[tuple[float, float], tuple[list[str], int]], chosen: Sequence[bool]) -> dict[str, Any]:
    def worth(key: tuple[float, float]) -> tuple[int, int, float]:
        verdicts, false = told[key]
        mine = [one for one, here in zip(verdicts, chosen, strict=True) if here]
        return -mine.count("wrong") - false, mine.count("right"), key[0] + 10 * key[1]  # of equals the most careful one

    level, depth = max(told, key=worth)
    verdicts, false = told[level, depth]
    rest = [one for one, here in zip(verdicts, chosen, strict=True) if not here]
    return {
        "level": level,
        "depth": depth,
        "of": len(rest),
        "right": rest.count("right"),
        "wrong": rest.count("wrong"),
        "open": rest.count("open"),
        "false_on_healthy": false,
    }


@contextmanager
def put(module: ModuleType, name: str, value: float) -> Iterator[None]:
    before = getattr(module, name)
    _clear()
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
        _clear()


def _clear() -> None:
    """What was worked out with other constants."""
    plan.true_speed.cache_clear()
    plan.wrong_speeds.cache_clear()


if __name__ == "__main__":
    sys.exit(main())
