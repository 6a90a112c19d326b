"""`lineside outbox ...`: reads the file beside a running gateway."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gateway.events.codec import structured
from gateway.outbox import operations
from gateway.outbox.database import FILE_NAME
from gateway.outbox.rows import COLUMNS, from_row

_WORDS = {
    "stored": "stored",
    "delivered": "delivered",
    "ready": "waiting",
    "parked": "parked",
    "quarantined": "damaged",
    "expired": "expired",
    "dropped": "dropped",
}


def print_list(state_dir: Path, limit: int, *, parked: bool) -> int:
    def show(db: Any) -> int:
        rows = db.query(
            "SELECT e.seq, e.id, e.type, e.subject, e.severity, d.destination, d.state, d.attempts, d.reason "
            "FROM delivery d JOIN event e USING (seq) WHERE d.state >= ? ORDER BY e.seq LIMIT ?",
            (operations.PARKED if parked else operations.READY, limit),
        )
        states = {operations.READY: "waiting", operations.PARKED: "parked", operations.QUARANTINED: "damaged"}
        count = 0
        for row in rows:
            reason = f"  {_printable(row['reason'])}" if row["reason"] else ""
            place = f"{row['seq']:>8}  {row['destination']:<12} {states[row['state']]:<8}"
            click.echo(f"{place} {row['type']:<36} {row['subject']}  {row['id']}{reason}")
            count += 1
        if not count:
            click.echo("nothing is parked" if parked else "nothing waits")
        return 0

    return _with_database(state_dir, show)


def print_event(state_dir: Path, event_id: str) -> int:
    def show(db: Any) -> int:
        rows = list(db.query(f"SELECT {COLUMNS} FROM event WHERE id = ?", (event_id,)))  # noqa: S608
        if not rows:
            click.echo(f"no event {event_id!r} waits (delivered ones are not kept)", err=True)
            return 1
        event = from_row(tuple(rows[0].values()))
        if event is None:
            click.echo(f"event {event_id!r} is damaged on disk (checksum)", err=True)
            return 1
        click.echo(json.dumps(json.loads(structured(event)), indent=2, ensure_ascii=False))
        return 0

    return _with_database(state_dir, show)


def print_stats(state_dir: Path, *, as_json: bool) -> int:
    """Counts the rows themselves, so that a sum that does not balance is seen."""

    def show(db: Any) -> int:
        found = operations.backlog(db.conn)
        balanced = True
        for destination, counts in found.items():
            rows = db.execute("SELECT count(*) FROM delivery WHERE destination=? AND state=0", (destination,)).fetchone()[0]
            counts["balanced"] = int(rows == counts["ready"])
            balanced &= bool(counts["balanced"])
        if as_json:
            click.echo(json.dumps(found, sort_keys=True))
        else:
            for destination, counts in found.items():
                click.echo(f"{destination}: " + "  ".join(f"{words} {counts[name]}" for name, words in _WORDS.items()))
            law = "stored = " + " + ".join(list(_WORDS.values())[1:])
            click.echo("nothing was stored yet" if not found else f"balanced: {law}" if balanced else f"NOT balanced: {law}")
        return 0 if balanced else 1

    return _with_database(state_dir, show)


def print_ledger(state_dir: Path) -> int:
    def show(db: Any) -> int:
        rows = list(db.query("SELECT * FROM ledger ORDER BY id"))
        for row in rows:
            click.echo(
                f"{_time(row['recorded_ns'])}  {row['count']} {row['what']} of {row['name']}, "
                f"{_time(row['from_ns'])} to {_time(row['to_ns'])}: {_printable(row['reason'])}"
            )
        if not rows:
            click.echo("nothing was lost")
        return 0

    return _with_database(state_dir, show)


def _with_database(state_dir: Path, show: Callable[[Any], int]) -> int:
    from sqlite_utils import Database

    path = state_dir / FILE_NAME
    if not path.exists():
        click.echo(f"there is no outbox in {state_dir}; name the state folder with --state-dir", err=True)
        return 1
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            return show(Database(connection))
    except sqlite3.OperationalError as exc:
        click.echo(f"{path} cannot be read: {exc}", err=True)
    except sqlite3.DatabaseError as exc:
        click.echo(f"{path} is damaged: {exc}; the gateway sets it aside at its next start and begins a new one", err=True)
    return 1


def _printable(text: str) -> str:
    """On one line and without what a terminal would obey: a receiver's words are not ours."""
    return "".join(character if character.isprintable() else " " for character in text)


def _time(t_ns: int) -> str:
    from gateway.events.build import rfc3339

    return rfc3339(t_ns)[:19] + "Z"
