"""`lineside clock`: does the kernel say that the clock of this machine is synchronised? `lineside-clock.service` runs it."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.clock import signs

_YES, _NO, _CANNOT = 0, 1, 2
_ASK_SECONDS = 5.0
"""The kernel tells nobody when it changes; systemd-time-wait-sync.service, which waits for that, never sees a chrony that slews."""


def clock(mark: Path | None) -> int:
    """Exit code: 0 it is, 1 it is not, 2 `mark` cannot be made. With `mark` it waits until it is."""
    found = signs.synchronised()
    while mark is not None and not found:
        time.sleep(_ASK_SECONDS)
        found = signs.synchronised()
    click.echo("synchronised" if found else "not synchronised, as far as the kernel was told")
    if found and mark is not None:
        return _made(mark)
    return _YES if found else _NO


def _made(mark: Path) -> int:
    try:
        mark.touch()
    except OSError as exc:
        click.echo(f"lineside: {mark} cannot be made: {exc.strerror}", err=True)
        return _CANNOT
    return _YES
