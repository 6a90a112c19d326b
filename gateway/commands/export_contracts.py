"""`lineside export asyncapi` and `lineside export jsonschema`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.events.published import document
from gateway.exports.asyncapi import asyncapi
from gateway.exports.jsonschema import folder


def write_asyncapi(path: Path | None) -> int:
    """To standard output without a path. Exit code: 0 written, 2 cannot be written there."""
    body = document(asyncapi())
    if path is None:
        click.echo(body, nl=False)
        return 0
    return _write({path: body})


def write_jsonschema(target: Path, *, open_: bool) -> int:
    """Exit code as above."""
    files = {target / name: body for name, body in folder(open_=open_).items()}
    if code := _write(files):
        return code
    click.echo(f"{target}: {len(files) - 1} contracts written; {target / 'registry.json'} lists them")
    return 0


def _write(files: dict[Path, bytes]) -> int:
    for path, body in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        except OSError as exc:
            click.echo(f"lineside: {path} cannot be written: {exc.strerror}", err=True)
            return 2
    return 0
