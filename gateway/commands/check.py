"""`lineside check`."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from importlib.metadata import packages_distributions
from pathlib import Path

import click

from gateway.config import ConfigErrors, Settings, load, render


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
            click.echo(f"{len(exc.problems)} problem{'s' if len(exc.problems) != 1 else ''}", err=True)
        return 2
    for warning in warnings(settings):
        click.echo(f"warning: {warning}", err=True)
    if not as_json:
        click.echo(summary(settings))
    return 0


def summary(settings: Settings) -> str:
    kinds = Counter(source.plugin.name for source in settings.sources)
    tags = Counter[str]()
    for source in settings.sources:
        tags[source.plugin.name] += len(source.tags) + len(source.records)
    sources = ", ".join(f"{count} {kind} with {tags[kind]} tags and records" for kind, count in kinds.items()) or "none"
    watches = ", ".join(f"{watch.name} ({len(watch.tags) + len(watch.records)})" for watch in settings.watches) or "none"
    destinations = ", ".join(f"{d.name} ({d.plugin.name})" for d in settings.destinations) or "none"
    return f"{settings.path}: fine\n  sources       {sources}\n  watches       {watches}\n  destinations  {destinations}"


def warnings(settings: Settings) -> list[str]:
    """What is allowed but probably not meant."""
    found = []
    watched = {tag.machine for watch in settings.watches for tag in watch.tags}
    watched |= {record.machine for watch in settings.watches for record in watch.records}
    found += [f"nothing watches machine {source.machine!r}" for source in settings.sources if source.machine not in watched]
    if not settings.destinations:
        found.append("there is no destination: incidents stay on this gateway")
    owners = packages_distributions()
    for package in ("gateway", "drivers", "models"):
        foreign = set(owners.get(package, ["lineside"])) - {"lineside"}
        if foreign:
            found.append(f"the package {package!r} also comes from {', '.join(sorted(foreign))}; install lineside into a venv of its own")
    return found
