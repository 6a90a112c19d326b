"""`lineside plan`: what a configuration will cost, before anything is connected."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass

import click
from rich.console import Console
from rich.table import Table

from gateway.config import Settings
from gateway.config.settings import WatchSettings
from gateway.contract import Load

BUS_LIMIT = 0.8
"""Of a shared line's time: above, one retry makes every poll late."""
EVENT_BYTES = 2_200
"""What a waiting event takes on disk, with its share of the indices; `make bench` measures it (a ten days' outage)."""
EVENTS_PER_INCIDENT = 3


@dataclass(frozen=True)
class Planned:
    """One source."""

    machine: str
    kind: str
    tags: int
    records: int
    load: Load | None


@dataclass(frozen=True)
class Expected:
    """Of the whole gateway.

    events_per_day   incidents that detectors with a rate of false alarms are set to, and none beside; records come on top
    commits_per_day  an event that comes alone is a commit
    hours            the buffer holds while nothing is delivered
    """

    events_per_day: float
    commits_per_day: float
    hours: float


def plan(settings: Settings, *, events_per_day: float | None, as_json: bool) -> int:
    """Exit code: 0 fine, 2 a shared line is loaded above its limit."""
    planned = [
        Planned(
            source.machine,
            source.plugin.name,
            len(source.tags),
            len(source.records),
            source.plugin.plan(source.options, source.tags) if source.plugin.plan else None,
        )
        for source in settings.sources
    ]
    buses: dict[str, float] = defaultdict(float)
    for one in planned:
        if one.load is not None and one.load.bus:
            buses[one.load.bus] += one.load.bus_share
    expected = expectation(settings, events_per_day)
    too_much = {bus: share for bus, share in buses.items() if share > BUS_LIMIT}
    if as_json:
        click.echo(json.dumps({"sources": [asdict(one) for one in planned], "buses": buses, "expected": asdict(expected)}))
    else:
        _print(planned, buses, expected)
    for bus, share in too_much.items():
        remedy = "poll less often, in groups, or put devices on another line"
        click.echo(f"{bus} would be {share:.0%} busy; more than {BUS_LIMIT:.0%} is refused: {remedy}", err=True)
    return 2 if too_much else 0


def expectation(settings: Settings, events_per_day: float | None) -> Expected:
    """`events_per_day` replaces the guess."""
    guess = sum(_alarms_per_week(watch) for watch in settings.watches) / 7 * EVENTS_PER_INCIDENT
    events = guess if events_per_day is None else events_per_day
    hours = settings.buffer.max_megabytes * 1024 * 1024 / EVENT_BYTES / events * 24 if events else float("inf")
    return Expected(events, events, min(hours, settings.buffer.keep_events_days * 24))


def _alarms_per_week(watch: WatchSettings) -> float:
    rate = getattr(watch.options, "false_alarms_per_week", None)
    return float(rate) * max(1, len(watch.tags)) if rate is not None else 0.0


def _print(planned: list[Planned], buses: dict[str, float], expected: Expected) -> None:
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False)
    for name in ("machine", "driver"):
        table.add_column(name)
    for name in ("tags", "readings/s", "requests/s", "kB/s", "cycle"):
        table.add_column(name, justify="right")
    for one in planned:
        table.add_row(one.machine, one.kind, str(one.tags or one.records), *_figures(one.load))
    console.print(table)
    for one in planned:
        for note in one.load.notes if one.load is not None else ():
            console.print(f"  {one.machine}: {note}", soft_wrap=True)
    for bus, share in buses.items():
        console.print(f"line {bus}: {share:.0%} busy")
    if expected.events_per_day:
        what = (
            f"about {expected.events_per_day:.0f} events and commits a day, plus what is a real fault and one for each record that says so"
        )
    else:
        what = "no events but real faults; give --events-per-day to see how long the buffer lasts"
    console.print(what, soft_wrap=True)
    console.print(f"the buffer holds {expected.hours:,.0f} hours without network, keep_events_days included", soft_wrap=True)


def _figures(load: Load | None) -> tuple[str, str, str, str]:
    if load is None:
        return ("as sent", "", "", "")
    return (
        f"{load.readings:,.1f}",
        f"{load.requests:,.1f}" if load.requests else "",
        f"{load.bytes / 1000:,.2f}" if load.bytes else "",
        f"{load.cycle_seconds:.3f} s" if load.cycle_seconds else "",
    )
