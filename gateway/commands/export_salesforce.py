"""`lineside export salesforce`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.exports.salesforce.folder import Mode, source_folder


def write_folder(folder: Path, *, mode: Mode, contact: str, certificate: Path | None) -> int:
    """Exit code: 0 written, 2 the certificate is of no use or FOLDER cannot be written."""
    try:
        pem = certificate.read_text(encoding="ascii", errors="replace") if certificate else None
        texts = source_folder(mode=mode, contact=contact, certificate=pem)
    except OSError as exc:
        click.echo(f"lineside: {certificate} cannot be read: {exc.strerror}", err=True)
        return 2
    except ValueError as exc:
        click.echo(f"lineside: {certificate}: {exc}", err=True)
        return 2
    for name, text in texts.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as exc:
            click.echo(f"lineside: {path} cannot be written: {exc.strerror}", err=True)
            return 2
    click.echo(f"{folder}: {len(texts)} files written; the steps are in {folder / 'README.md'}")
    return 0
