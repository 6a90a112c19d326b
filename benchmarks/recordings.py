"""Benchmarks on public recordings: each in a process of its own, the figures beside their targets in one page."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.analytics.measure import HEAD, Measure
from benchmarks.machine import describe

HERE = Path(__file__).parent
_END = """\

{table}
{notes}
Every figure of the run:

```json
{figures}
```
"""


@dataclass(frozen=True)
class Suite:
    """Modules of `package` that take ``--data`` and ``--json`` and have `measures(figures)`.

    scenarios   their names, each with its further arguments
    page        the file below benchmarks/ that a whole run writes
    head        how it begins, with {date} and {machine}
    data        what the folder of recordings holds, for the help
    """

    package: str
    scenarios: Mapping[str, tuple[str, ...]]
    page: str
    head: str
    data: str

    def main(self, argv: Sequence[str] | None = None) -> int:
        """0: every target is met, 1: one is not."""
        parser = argparse.ArgumentParser(prog=f"python -m {self.package}")
        names = ", ".join(self.scenarios)
        parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {names}; default all, which also writes {self.page}")
        parser.add_argument("--data", type=Path, required=True, help=self.data)
        options = parser.parse_args(argv)
        if unknown := set(options.names) - set(self.scenarios):
            parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
        found: dict[str, Any] = {}
        for name in options.names or self.scenarios:
            print(f"== {name}", flush=True)
            found[name] = self.measured(name, options.data / name)
        rows = [measure for name, figures in found.items() if figures is not None for measure in self.measures(name, figures)]
        table = HEAD + "".join(measure.row() + "\n" for measure in rows)
        print(table)
        if not options.names:
            self.write(table, found)
        return 1 if any(measure.met == "no" for measure in rows) else 0

    def measured(self, name: str, data: Path) -> dict[str, Any] | None:
        """What it wrote; None: its recordings are not there, or it did not run, and has said why."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "figures.json"
            module = f"{self.package}.{name}"
            command = [sys.executable, "-m", module, "--data", str(data), "--json", str(file), *self.scenarios[name]]
            # Small arrays: a library's threads would only wait for each other.
            done = subprocess.run(command, check=False, stdout=subprocess.DEVNULL, env={**os.environ, "OMP_NUM_THREADS": "1"})
            if done.returncode != 0 or not file.is_file():
                return None
            figures: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return figures

    def measures(self, name: str, figures: dict[str, Any]) -> list[Measure]:
        """The figures that have targets."""
        found: list[Measure] = importlib.import_module(f"{self.package}.{name}").measures(figures)
        return found

    def write(self, table: str, found: dict[str, Any]) -> None:
        missing = [name for name, figures in found.items() if figures is None]
        head = self.head.format(date=f"{datetime.now(UTC):%Y-%m-%d}", machine=describe())
        notes = f"Not run: {', '.join(missing)}.\n" if missing else ""
        text = head + _END.format(table=table, notes=notes, figures=json.dumps(found, indent=1))
        (HERE / self.page).write_text(text, encoding="utf-8")
