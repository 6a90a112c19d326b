"""`make bench` or ``python -m benchmarks [NAME ...]``: one JSON line a scenario; all of them also write RESULTS.md."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
from datetime import UTC, datetime

from benchmarks.machine import describe, pin_others
from benchmarks.result import Result
from benchmarks.servers import HERE, Missing

# What a user would pick instead, measured on the same kind of machine with the same kind of load; see README.md.
SCENARIOS = {
    "modbus": "ThingsBoard gateway 3.8.5: 3,800 values/s, 130–150 ms, then 0; Node-RED 4.1: 20,000/s, 8.7 ms",
    "mqtt": "ThingsBoard 4,400 msg/s, 220 ms, p50 310 ms; Node-RED 32,000/s without any disk, 29–56 ms, p50 1.3 ms",
    "opcua": "asyncua's own handler: 18–24 ms per 1,000",
    "outbox": "SAP Event Mesh, as published: 1,000–2,000/s below 20 ms",
    "footprint": "ThingsBoard 63–84 MB, 0.3–1 s; Node-RED 213–407 MB, 3–5 s",
}
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
            rows.append((result, SCENARIOS[name]))
            unmet += any(not target.met for target in result.targets)
    if not names:
        write(machine, rows)
    return 1 if unmet else 0


async def measured(name: str) -> list[Result]:
    scenario = importlib.import_module(f"benchmarks.scenarios.{name}")
    try:
        found: list[Result] = await scenario.run()
    except (Missing, FileNotFoundError) as exc:
        return [Result(name, skipped=str(exc))]
    return found


def write(machine: str, rows: list[tuple[Result, str]]) -> None:
    text = HEAD.format(date=f"{datetime.now(UTC):%Y-%m-%d}", machine=machine)
    text += "".join(result.row(peers) + "\n" for result, peers in rows)
    text += "\nEvery figure of the run:\n\n```json\n" + "".join(result.line() + "\n" for result, _ in rows) + "```\n"
    (HERE / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    sys.exit(main())
