"""`lineside schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway import registry
from gateway.config.schema import config_schema
from gateway.contract import ConfigError
from gateway.events.catalogue import INCIDENT_STATES, event_type, own_types, schema


def write_schema(path: Path | None) -> int:
    """Exit code: 0 written, 2 cannot be written there."""
    text = json.dumps(config_schema(), indent=2, sort_keys=True) + "\n"
    if path is None:
        click.echo(text, nl=False)
        return 0
    return _write({path: text})


def write_contracts(folder: Path) -> int:
    """One file per event type; exit code as above."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        click.echo(f"lineside: {folder} cannot be made: {exc.strerror}", err=True)
        return 2
    return _write({folder / f"{type_}.schema.json": json.dumps(schema(type_), indent=2) + "\n" for type_ in event_types()})


def event_types() -> list[str]:
    """What this gateway can send: three per domain of the installed detectors, and the facts with a contract of their own."""
    domains = set()
    for name in registry.names("detectors"):
        try:
            domains.add(registry.detector(name).domain)
        except ConfigError:  # it cannot be loaded, so it cannot send either
            continue
    return sorted({*own_types(), *(event_type(domain, state) for domain in domains for state in INCIDENT_STATES)})


def _write(texts: dict[Path, str]) -> int:
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as exc:
            click.echo(f"lineside: {path} cannot be written: {exc.strerror}", err=True)
            return 2
    return 0
