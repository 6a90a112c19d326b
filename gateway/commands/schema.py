"""`lineside schema`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from gateway.config.schema import config_schema
from gateway.events.catalogue import schema
from gateway.events.published import sent_types

event_types = sent_types


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


def _write(texts: dict[Path, str]) -> int:
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as exc:
            click.echo(f"lineside: {path} cannot be written: {exc.strerror}", err=True)
            return 2
    return 0
