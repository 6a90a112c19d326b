"""`lineside check`."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from math import ceil
from pathlib import Path

import click

from gateway.accounts.store import read
from gateway.commands.schema import event_types
from gateway.config import ConfigErrors, Settings, load, render
from gateway.config.settings import DestinationSettings, SourceSettings
from gateway.contract import ConfigError
from gateway.installed import owners
from gateway.outbox.budget import DAY
from gateway.web.guard import is_loopback


def check_file(file: Path, *, as_json: bool) -> int:
    """Exit code: 0 fine, 2 problems."""
    try:
        settings = load(file)
    except ConfigErrors as exc:
        if as_json:
            for problem in exc.problems:
                click.echo(json.dumps(asdict(problem)))
        else:
            click.echo(render(exc.problems), err=True)
            click.echo(_count(len(exc.problems), "problem"), err=True)
        return 2
    for warning in warnings(settings):
        click.echo(f"warning: {warning}", err=True)
    if not as_json:
        click.echo(summary(settings))
    return 0


def summary(settings: Settings) -> str:
    """What was understood, in four lines."""
    sources = [
        f"{len(group)} {kind} ({_count(sum(len(s.tags) for s in group), 'tag')}, {_count(sum(len(s.records) for s in group), 'record')})"
        for kind, group in _by_driver(settings).items()
    ]
    watches = [f"{watch.name} ({len(watch.tags) + len(watch.records)})" for watch in settings.watches]
    destinations = [f"{destination.name} ({destination.plugin.name})" for destination in settings.destinations]
    lines = {"sources": sources, "watches": watches, "destinations": destinations}
    return "\n".join([f"{settings.path}: fine", *(f"  {name:<13} {', '.join(items) or 'none'}" for name, items in lines.items())])


def _by_driver(settings: Settings) -> dict[str, list[SourceSettings]]:
    found: dict[str, list[SourceSettings]] = {}
    for source in settings.sources:
        found.setdefault(source.plugin.name, []).append(source)
    return found


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _sent(pattern: str) -> bool:
    """An installed detector's domain, or the gateway's own, has types that begin like this; a fact's type need not be known."""
    begins = re.split(r"[*?\[]", pattern)[0]
    domains = {type_.rsplit(".", 2)[0] + "." for type_ in event_types()}
    return any(domain.startswith(begins) or begins.startswith(domain) for domain in domains)


def _too_many_requests(destination: DestinationSettings) -> str:
    """A batch is at least one event, so a budget of events bounds requests, too; empty: nothing is wrong, or nobody can know."""
    linger, budget = destination.options.linger, destination.options.budget
    if not linger or budget is None or budget.per_day is None or DAY / linger <= budget.per_day:
        return ""
    return (
        f"destination {destination.name!r} may send a request each {linger:g} s (linger), {DAY / linger:,.0f} a day, and its budget is "
        f"{budget.per_day:,} events a day: steady events use it up after {budget.per_day * linger / 3600:.1f} h; "
        f"linger: {ceil(DAY / budget.per_day)}s or more makes it last"
    )


def page_warnings(settings: Settings) -> list[str]:
    """Of a page that the network should reach."""
    web = settings.web
    if web is None or is_loopback(web.host):
        return []
    found = []
    try:
        if not read(settings.state_dir).exist:
            posted = any(source.plugin.receives for source in settings.sources)
            also = ", and what is posted to /ingest comes from this machine only" if posted else ""
            remedy = f"lineside user add NAME --role admin --state-dir {settings.state_dir}"
            found.append(f"nobody can log in yet, so the page listens on 127.0.0.1 instead of {web.host}{also}: {remedy}")
    except ConfigError as exc:
        found.append(f"whether somebody can log in at the page is not known: {exc}")
    if web.tls is None:
        found.append(f"the page is to listen on {web.host} without tls: passwords and tokens cross the network readable by everybody")
    return found


def warnings(settings: Settings) -> list[str]:
    """What is allowed but probably not meant."""
    found = []
    watched = {tag.machine for watch in settings.watches for tag in watch.tags}
    watched |= {record.machine for watch in settings.watches for record in watch.records}
    read = {source.machine for source in settings.sources}
    found += [f"machine {name!r} has no source: nothing is read" for name in settings.machines if name not in read]
    found += [f"nothing watches machine {source.machine!r}" for source in settings.sources if source.machine not in watched]
    found += [f"machine {source.machine!r}: {doubt}" for source in settings.sources for doubt in source.plugin.doubts(source.options)]
    if not settings.destinations:
        found.append("there is no destination: incidents stay on this gateway")
    found += [
        f"destination {destination.name!r} wants events of type {pattern!r}, and nothing here sends such"
        for destination in settings.destinations
        for pattern in destination.when.types
        if not _sent(pattern)
    ]
    found += [warning for destination in settings.destinations if (warning := _too_many_requests(destination))]
    found += page_warnings(settings)
    for package in ("gateway", "drivers", "models"):
        foreign = owners(package) - {"lineside"}
        if foreign:
            found.append(f"the package {package!r} also comes from {', '.join(sorted(foreign))}; install lineside into a venv of its own")
    return found
