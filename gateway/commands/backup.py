"""`lineside backup`."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.commands.failing import answered
from gateway.commands.passphrase import read_passphrase
from gateway.commands.printing import counted, document, printable, when
from gateway.config.glance import glance
from gateway.contract import ConfigError
from gateway.life.archive import Manifest
from gateway.life.neighbours import belongings
from gateway.life.restore import look
from gateway.life.take import name_of, take, thin_out


def backup(config: Path, target: Path | None, *, keep: int | None, with_secrets: bool, passphrase_file: Path | None, as_json: bool) -> int:
    """Exit code: 0 written and read back, 1 failed, 2 cannot."""
    return answered(lambda: _backup(config, target, keep, with_secrets, passphrase_file, as_json))


def _backup(config: Path, target: Path | None, keep: int | None, with_secrets: bool, secret: Path | None, as_json: bool) -> int:
    known, now_ns = glance(config), time.time_ns()
    passphrase = read_passphrase(secret, new=True) if with_secrets else None
    target = target or Path()
    file = target / name_of(known.gateway, now_ns) if target.is_dir() else target
    if not file.parent.is_dir():
        raise ConfigError(f"there is no folder {file.parent}; make it, or choose another one with --to")
    if keep is not None and not target.is_dir():
        raise ConfigError("--keep is for a folder of backups: give one with --to")
    manifest = take(config, known, file, passphrase=passphrase, never=secret, now_ns=now_ns)
    gone = thin_out(file.parent, known.gateway, keep, now_ns) if keep is not None else []
    _tell(file, manifest, gone, as_json)
    if others := belongings(config).names_of_others:
        click.echo(f"of other gateways, and not in it: {printable(others)} and what only they name", err=True)
    return 0


def _tell(file: Path, manifest: Manifest, gone: list[Path], as_json: bool) -> None:
    if as_json:
        told = {"file": str(file), "bytes": file.stat().st_size, "left_out": manifest.left_out, "sealed": manifest.sealed}
        click.echo(document(told | {"deleted": [str(path) for path in gone]}))
        return
    click.echo(f"{file}: {counted(len(manifest.files), 'files')}, {file.stat().st_size:,} bytes, read back and sound")
    if manifest.sealed:
        click.echo(f"sealed with the passphrase: {counted(len(manifest.sealed), 'files')}")
    if manifest.left_out:
        click.echo(f"left out, because they are secrets (--with-secrets): {', '.join(manifest.left_out)}")
    if gone:
        click.echo(f"deleted: {counted(len(gone), 'older backups')}")


def verify(file: Path, *, as_json: bool) -> int:
    """Exit code: 0 sound, 1 damaged, 2 there is none, or it is of a newer version."""
    return answered(lambda: _verify(file, as_json))


def _verify(file: Path, as_json: bool) -> int:
    manifest = look(file)
    if as_json:
        told = {"gateway": manifest.gateway, "version": manifest.version, "taken": when(manifest.taken_ns), "sequence": manifest.sequence}
        click.echo(document(told | {"files": len(manifest.files), "sealed": manifest.sealed, "left_out": manifest.left_out}))
    else:
        click.echo(f"{file}: sound; {manifest.gateway} at {when(manifest.taken_ns)}, lineside {manifest.version}")
    return 0
