"""`lineside outbox move`: what waits for a destination that was renamed or removed goes to another one."""

from __future__ import annotations

import re
import sqlite3
import time
from pathlib import Path

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, destinations, outbox_file, reading, stand_back, writing
from gateway.commands.printing import counted, printable
from gateway.commands.who import typed
from gateway.config.model import NAME
from gateway.outbox import fallback, tally
from gateway.outbox.audit import audit


def move(state_dir: Path, old: str, new: str) -> int:
    """In transactions of a bounded size, so that a running gateway goes on. Exit code 0: done, also when nothing waited."""
    path = outbox_file(state_dir)
    with reading(path) as connection:
        known, configured = destinations(connection), tally.configured(connection)
    _check(old, new, known)
    moved, count = 0, -1
    while count:
        began = time.monotonic()
        try:
            with writing(path) as connection:
                if count < 0:
                    _note(connection, old, new, gateway_now_ns(state_dir))
                count = fallback.move(connection, old, new)
        except Refused as exc:
            if not moved:
                raise
            raise Refused(f"{counted(moved, 'event')} moved, and the same command goes on there: {exc}") from exc
        moved += count
        if count:
            stand_back(began)
    if configured is not None and new not in configured:
        click.echo(f"nobody sends to {new}: it is not in the configuration the gateway ran with last", err=True)
    elif configured is None and new not in known:
        click.echo(f"nothing was ever stored for {new}; make sure that this is its name in the configuration", err=True)
    click.echo(f"{counted(moved, 'event')} moved from {old} to {new}")
    return 0


def _check(old: str, new: str, known: list[str]) -> None:
    if old not in known:
        raise Refused(f"nothing was ever stored for {printable(old)!r}; known are {', '.join(map(printable, known)) or 'none'}")
    if not re.match(NAME, new) or new == "buffer":
        raise Refused(f"{printable(new)!r} is no name of a destination")
    if new == old:
        raise Refused("that is where they wait already")


def _note(connection: sqlite3.Connection, old: str, new: str, now_ns: int) -> None:
    """With the first of them: however it ends, it is known who began it."""
    if waiting := tally.backlog(connection).get(old, {}).get("ready"):
        audit(connection, who=typed(), what="outbox move", name=old, before=f"{waiting} waiting", after=new, now_ns=now_ns)
