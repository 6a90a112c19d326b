"""Runs all of them, each in a process of its own, and writes ANALYTICS.md."""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.analytics.measure import HEAD, Measure
from benchmarks.machine import describe

HERE = Path(__file__).parent
SCENARIOS: dict[str, tuple[str, ...]] = {"nab": ("--split", "--contributions"), "skab": (), "ims": (), "speed": ()}
"""With their further arguments."""
TEXT = """\
# Detectors on public recordings

Written by `make bench-analytics` on {date} ({machine}). Streaming, scored before learnt, one setting for all files; what is compared with
runs in the same process on the same rows. The recordings are not part of the project; `benchmarks/analytics/__init__.py` says where
they are from.

{table}
{notes}
Every figure of the run:

```json
{figures}
```
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics", description="All benchmarks of the detectors")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; default all, which also writes ANALYTICS.md")
    parser.add_argument("--data", type=Path, required=True, help="folder with nab/, skab/ and ims/")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(SCENARIOS):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    found: dict[str, Any] = {}
    for name in options.names or SCENARIOS:
        print(f"== {name}", flush=True)
        found[name] = measured(name, options.data / name)
    rows = [measure for name, figures in found.items() if figures is not None for measure in _measures(name, figures)]
    table = HEAD + "".join(measure.row() + "\n" for measure in rows)
    print(table)
    if not options.names:
        write(table, found)
    return 1 if any(measure.met == "no" for measure in rows) else 0


def measured(name: str, data: Path) -> dict[str, Any] | None:
    """What it wrote; None: it is not there, or did not run, and has said why."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        command = [sys.executable, "-m", f"benchmarks.analytics.{name}", "--data", str(data), "--json", str(file), *SCENARIOS[name]]
        if subprocess.run(command, check=False).returncode != 0 or not file.is_file():
            return None
        figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return figures


def _measures(name: str, figures: dict[str, Any]) -> list[Measure]:
    """A benchmark that sets its figures beside targets has `measures`."""
    found: list[Measure] = importlib.import_module(f"benchmarks.analytics.{name}").measures(figures)
    return found


def write(table: str, found: dict[str, Any]) -> None:
    missing = [name for name, figures in found.items() if figures is None]
    text = TEXT.format(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=describe(),
        table=table,
        notes=f"Not run: {', '.join(missing)}.\n" if missing else "",
        figures=json.dumps(found, indent=1),
    )
    (HERE.parent / "ANALYTICS.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
