"""`lineside outbox check`: looks at the whole file, changes nothing, says what a start would do."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from gateway.commands.database import Damaged, Refused, destinations, outbox_file, reading
from gateway.commands.outbox import count_all, law
from gateway.commands.printing import counted, printable
from gateway.outbox import incidents
from gateway.outbox.database import suspicion
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.tally import LANES

_CHUNK = 500
_MOST_NAMED = 20
_SALVAGE = (
    "a start sets the file aside as outbox.db.damaged-TIME, begins a new one and takes over what can be read; "
    "lineside outbox export writes that out"
)
_STRAY_EVENTS = (
    "SELECT count(*) FROM event e WHERE NOT EXISTS ("
    f"SELECT 1 FROM json_each(:names) n JOIN delivery d ON d.destination=n.value AND d.lane IN {LANES} AND d.seq=e.seq) "
    "AND NOT EXISTS (SELECT 1 FROM json_each(:names) n JOIN dead_letter d ON d.destination=n.value AND d.seq=e.seq)"
)
Look = Callable[[sqlite3.Connection], Iterator[str]]


def check(state_dir: Path) -> int:
    """Exit code 0: sound, 1: damaged, or not to be looked at."""
    path = outbox_file(state_dir)
    if not path.exists() and (rescued := state_dir / f"{path.name}.salvaged").exists():
        raise Refused(f"{path} is missing, but {rescued.name} beside it is complete: a start goes on with that")
    try:
        # One look after the other, not one long one: a running gateway wants its WAL back in between.
        with reading(path, snapshot=False) as connection:
            problems = [problem for look in (_structure, _events, _incidents, _strays, _law) for problem in _found(look, connection)]
            begins_anew = suspicion(state_dir) or (_seen_by_a_start(connection) if problems else "")
    except Damaged as exc:
        raise Damaged(f"{exc.message}\n{_SALVAGE}") from exc
    if begins_anew:
        click.echo(f"damaged: {printable(begins_anew)}\n{_SALVAGE}")
    else:
        click.echo("damaged, but a start uses the file as it is" if problems else "sound; a start uses the file as it is")
    return 1 if problems or begins_anew else 0


def _found(look: Look, connection: sqlite3.Connection) -> list[str]:
    """What is wrong, printed as it is found."""
    problems = []
    try:
        for problem in look(connection):
            problems.append(problem)
            click.echo(printable(problem))
    except sqlite3.DatabaseError as exc:
        problems.append(str(exc))
        click.echo(f"{look.__name__.strip('_')}: the rest cannot be read: {exc}")
    return problems


def _structure(connection: sqlite3.Connection) -> Iterator[str]:
    rows = [str(row[0]) for row in connection.execute(f"PRAGMA integrity_check({_MOST_NAMED})")]
    if rows == ["ok"]:
        click.echo("structure: sound")
    else:
        yield from (f"structure: {row}" for row in rows)


def _events(connection: sqlite3.Connection) -> Iterator[str]:
    last, seen, damaged = -1, 0, 0
    while rows := connection.execute(f"SELECT {SELECTED} FROM event e WHERE e.seq>? ORDER BY e.seq LIMIT {_CHUNK}", (last,)).fetchall():
        last, seen = rows[-1][0], seen + len(rows)
        for row in rows:
            if from_row(row) is None:
                damaged += 1
                if damaged <= _MOST_NAMED:
                    yield f"event {row[1]} (sequence {row[0]}): its checksum is wrong; it becomes a dead letter when its turn comes"
    click.echo(f"events: {seen:,}, {counted(damaged, 'wrong checksum')}")


def _incidents(connection: sqlite3.Connection) -> Iterator[str]:
    last, seen, damaged = -1, 0, 0
    statement = f"SELECT rowid, {incidents.SELECTED} FROM incident WHERE rowid>? ORDER BY rowid LIMIT {_CHUNK}"
    while rows := connection.execute(statement, (last,)).fetchall():
        last, seen = rows[-1][0], seen + len(rows)
        for row in rows:
            if incidents.sound(row[1:]) is None:
                damaged += 1
                if damaged <= _MOST_NAMED:
                    yield f"incident {row[1]} ({row[4]}): its checksum is wrong; a start sets it aside and says so if it is not closed"
    click.echo(f"incidents: {seen:,}, {counted(damaged, 'wrong checksum')}")


def _strays(connection: sqlite3.Connection) -> Iterator[str]:
    for table, words in (("delivery", "delivery waits"), ("dead_letter", "dead letter waits")):
        statement = f"SELECT count(*) FROM {table} d WHERE NOT EXISTS (SELECT 1 FROM event e WHERE e.seq=d.seq)"
        if count := connection.execute(statement).fetchone()[0]:
            yield f"strays: {count:,} times a {words} for an event that is missing: it cannot be sent"
    if count := connection.execute(_STRAY_EVENTS, {"names": json.dumps(destinations(connection))}).fetchone()[0]:
        yield f"strays: {counted(count, 'event')} nobody waits for: of no use but to take up room"


def _law(connection: sqlite3.Connection) -> Iterator[str]:
    connection.execute("BEGIN")
    try:
        found = {name: count_all(connection, name) for name in destinations(connection)}
    finally:
        connection.execute("ROLLBACK")
    wrong = [name for name, counts in found.items() if not counts["balanced"]]
    if wrong:
        yield f"counts of {', '.join(wrong)}: {law(found.values())}; see lineside outbox stats"
    else:
        click.echo("counts: balanced")


def _seen_by_a_start(connection: sqlite3.Connection) -> str:
    """What makes a start begin a new file, in SQLite's words; it looks less closely than this command."""
    try:
        rows = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
    except sqlite3.DatabaseError as exc:
        return str(exc)
    return "" if rows == ["ok"] else "; ".join(rows)
