"""`lineside firmware apply`."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from gateway.commands.printing import counted, document
from gateway.commands.record import record
from gateway.contract import ConfigError
from gateway.firmware import Board, Change, board_of, left_alone, load_manifest, plan, write

_DIFFERS, _CANNOT = 1, 2
_BELOW_OVERLAY = "media/root-ro"
"""Where overlayroot shows the root that it covers."""


def default_folder() -> Path:
    """As a wheel brings it, or as it lies in a checkout."""
    installed = Path(sys.prefix) / "share" / "lineside" / "firmware-config"
    return installed if installed.exists() else Path(__file__).parents[2] / "firmware-config"


def apply(folder: Path, root: Path, board: Board | None, parts: Sequence[str], *, dry_run: bool, yes: bool) -> int:
    """Exit code: 0 everything is as it should be (now), 1 it differs and nothing was written, 2 cannot."""
    try:
        here = board or board_of(root)
        changes = plan(folder, root, here, parts)
        _show(changes, root)
        for target in left_alone(folder, root, here, parts):
            click.echo(f"left as it is, because it is yours: /{target.relative_to(root)}")
        if not changes:
            return 0
        if dry_run or not (yes or (sys.stdin.isatty() and click.confirm(f"write {counted(len(changes), 'files')}?"))):
            click.echo(f"{counted(len(changes), 'files')} would change; nothing was written (--yes writes)", err=True)
            return _DIFFERS
    except (ConfigError, OSError) as exc:
        click.echo(f"lineside: {exc}", err=True)
        return _CANNOT
    return _write(changes, folder, root)


def _write(changes: Sequence[Change], folder: Path, root: Path) -> int:
    """One after the other. What was written before one could not be stays, so it is told and recorded like all of it."""
    written: list[Change] = []
    problem = None
    try:
        for change in changes:
            write(change)
            written.append(change)
    except OSError as exc:
        problem = exc
    if written:
        names = ", ".join(dict.fromkeys(change.part for change in written))
        record(root / "var/lib/lineside", "firmware settings written", names, after=counted(len(written), "files"))
        _tell_what_next(written, folder, root)
    if problem is None:
        return 0
    left = [str(change.target) for change in changes[len(written) :]]
    click.echo(f"lineside: {left[0]} cannot be written: {problem.strerror or problem}; not written: {', '.join(left)}", err=True)
    return _CANNOT


def _show(changes: Sequence[Change], root: Path) -> None:
    if not changes:
        click.echo("everything is as it should be")
    for change in changes:
        name = f"/{change.target.relative_to(root)}"
        before, after = ((text or b"").decode(errors="replace").splitlines() for text in (change.before, change.after))
        old = "/dev/null" if change.before is None else name
        for line in difflib.unified_diff(before, after, old, name, lineterm=""):
            click.echo("".join(c if c.isprintable() or c == "\t" else document(c)[1:-1] for c in line))
        if change.mode is not None and change.mode != change.mode_before:
            click.echo(f"mode of {name}: {'none' if change.mode_before is None else f'{change.mode_before:04o}'} -> {change.mode:04o}")


def _tell_what_next(changes: Sequence[Change], folder: Path, root: Path) -> None:
    click.echo(f"{counted(len(changes), 'files')} written")
    if (root / _BELOW_OVERLAY).is_mount():
        click.echo("the root is an overlay in memory: the next start undoes this; do it in overlayroot-chroot", err=True)
    manifest = load_manifest(folder)
    steps = dict.fromkeys(manifest[change.part].then for change in changes)
    if any(steps):
        elsewhere = "" if root.resolve() == Path("/") else f", in {root} and not here"  # a restart, for example
        click.echo(f"to make it take effect{elsewhere}:")
    for step in filter(None, steps):
        click.echo(f"  {step}")
