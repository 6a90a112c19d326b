"""`lineside reload`, which is the unit's ExecReload."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from gateway.sdnotify import runtime_folder

_REFUSED, _CANNOT = 1, 2


def reload_gateway(pid: int, seconds: float) -> int:
    """Exit code: 0 accepted, 1 refused or no answer within `seconds`, 2 there is nobody to ask."""
    folder = runtime_folder()
    if folder is None:
        click.echo("lineside: this is for the unit: systemctl reload lineside (there is no $RUNTIME_DIRECTORY for the answer)", err=True)
        return _CANNOT
    answer = folder / "reload"
    try:
        answer.unlink(missing_ok=True)
        os.kill(pid, signal.SIGHUP)
    except OSError as exc:
        click.echo(f"lineside: cannot ask process {pid}: {exc.strerror}", err=True)
        return _CANNOT
    said = _wait(answer, pid, time.monotonic() + seconds)
    if said != "accepted":
        click.echo(f"lineside: reload {said}; the journal says why", err=True)
    return 0 if said == "accepted" else _REFUSED


def _wait(answer: Path, pid: int, deadline: float) -> str:
    while time.monotonic() < deadline:
        if answer.exists():
            return answer.read_text(encoding="ascii")
        if not _alive(pid):
            return "not answered: the gateway ended"
        time.sleep(0.05)
    return "not answered in time"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
