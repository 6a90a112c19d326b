"""How a command leaves its line in the audit, whether or not there is an outbox yet."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import click

from gateway.commands.database import Refused, outbox_file, writing
from gateway.commands.who import typed
from gateway.outbox.audit import audit
from gateway.trail import PENDING

_MOST_BYTES = 1 << 20


def record(state_dir: Path, what: str, name: str, *, before: str = "", after: str = "", who: str | None = None) -> None:
    """What was done is done: an audit that cannot be written is said, and no reason to fail."""
    who, now_ns = who or typed(), time.time_ns()
    try:
        if outbox_file(state_dir).exists():
            with writing(outbox_file(state_dir)) as connection:
                audit(connection, who=who, what=what, name=name, before=before, after=after, now_ns=now_ns)
        elif state_dir.is_dir():
            _leave(state_dir, [now_ns, who, what, name, before, after])
    except (Refused, OSError) as exc:
        why = exc.message if isinstance(exc, Refused) else str(exc)
        click.echo(f"warning: this is not in the audit: {why}", err=True)


def _leave(state_dir: Path, line: list[object]) -> None:
    """For the gateway's first start, which makes the outbox. Raises OSError."""
    descriptor = os.open(state_dir / PENDING, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        if os.geteuid() == 0:
            owner = state_dir.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        if file.tell() > _MOST_BYTES:
            raise OSError(f"{PENDING} is full; start the gateway")
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
