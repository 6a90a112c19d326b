"""`make bench` or ``python -m benchmarks [NAME ...]``: one JSON line a scenario; all of them also write RESULTS.md and README's table."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import traceback
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
    names = parser.parse_args().names
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
        write(machine, rows)
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


def write(machine: str, rows: list[Result]) -> None:
    text = HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine)
    text += "".join(result.row() + "\n" for result in rows)
    text += "\nEvery figure of the run:\n\n```json\n" + "".join(result.line() + "\n" for result in rows) + "```\n"
    (HERE / "RESULTS.md").write_text(text)
    readme = HERE.parent / "README.md"
    table = "".join(line + "\n" for line in text.splitlines() if line.startswith("|"))
    begin, end = "<!-- results -->\n", "<!-- /results -->"
    head, _, rest = readme.read_text().partition(begin)
    readme.write_text(f"{head}{begin}{table}{end}{rest.partition(end)[2]}")


if __name__ == "__main__":
    sys.exit(main())
