"""`make bench` or ``python -m benchmarks [NAME ...]``: one JSON line a scenario; all of them also write RESULTS.md and README's table,
some of them with ``--write`` replace their own figures there."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import traceback
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks.machine import describe, pin_others
from benchmarks.result import Result
from benchmarks.servers import HERE, Missing

SCENARIOS = (
    "modbus",
    "mqtt",
    "mqtt_driver",
    "ingest",
    "opcua",
    "outbox",
    "backlog",
    "https",
    "footprint",
    "wear",
    "reconnect_opcua",
    "reconnect",
    "isolation",
)
HEAD = """\
# Results

Written by `make bench` on {date} ({machine}). The gateway runs on one core, everything else on the other; the cores are
shared with other work, so CPU per 1,000 and ratios are the figures to trust, rates are lower bounds.

| scenario | measured (must) | met | what a user would pick instead |
|---|---|---|---|
"""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)}; default all")
    parser.add_argument("--write", action="store_true", help="of some: replace their figures in RESULTS.md and README's table")
    chosen = parser.parse_args()
    names = chosen.names
    if unknown := set(names) - set(SCENARIOS):
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    pin_others()
    machine = describe()
    rows, unmet = [], 0
    for name in names or SCENARIOS:
        for result in asyncio.run(measured(name)):
            print(result.line(), flush=True)
            rows.append(result)
            unmet += not result.met
    if not names:
        write(whole(machine, rows))
    elif chosen.write:
        write(replaced((HERE / "RESULTS.md").read_text(), rows))
    return 1 if unmet else 0


async def measured(name: str) -> list[Result]:
    scenario = importlib.import_module(f"benchmarks.scenarios.{name}")
    try:
        found: list[Result] = await scenario.run()
    except (Missing, FileNotFoundError) as exc:
        return [Result(name, skipped=str(exc))]
    except Exception as exc:  # the others' figures are as good as they were
        traceback.print_exc()
        return [Result(name, broken=f"{type(exc).__name__}: {exc}")]
    return found


def whole(machine: str, rows: list[Result]) -> str:
    text = HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine)
    text += "".join(result.row() + "\n" for result in rows)
    return text + "\nEvery figure of the run:\n\n```json\n" + "".join(result.line() + "\n" for result in rows) + "```\n"


def replaced(text: str, rows: list[Result]) -> str:
    """The results with these figures in place of the earlier ones of the same scenarios. Raises SystemExit when there are none."""
    lines = text.splitlines()
    for result in rows:
        head, name = f"| {result.scenario} |", json.dumps({"scenario": result.scenario})[:-1]
        places = [n for n, line in enumerate(lines) if line.startswith((head, name))]
        if len(places) != 2:
            raise SystemExit(f"RESULTS.md has no figures of {result.scenario}; run all scenarios")
        lines[places[0]], lines[places[1]] = result.row(), replace(result, facts={**result.facts, "run": "later, alone"}).line()
    return "\n".join(lines) + "\n"


def write(text: str) -> None:
    (HERE / "RESULTS.md").write_text(text)
    readme = HERE.parent / "README.md"
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    begin, end = "<!-- results -->\n", "<!-- /results -->"
    head, _, rest = readme.read_text().partition(begin)
    readme.write_text(f"{head}{begin}{table}{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    sys.exit(main())
