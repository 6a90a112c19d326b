"""`lineside outbox list|show|stats`: reads the file beside a running gateway."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click

from gateway.commands.database import Refused, chosen, destinations, outbox_file, reading
from gateway.commands.printing import counted, document, printable, when
from gateway.contract import Event
from gateway.events.codec import structured
from gateway.outbox import tally
from gateway.outbox.retention import used_bytes, wal_bytes
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.tally import TALLIED, WAITING, Kind, Lane

WORDS = {"ready": "waiting", "quarantined": "damaged on disk", "damaged": "lost in a damaged file"}
"""What people are shown instead of the names in the file."""
_LISTED = (
    "SELECT d.lane, d.seq, d.destination, d.attempts, d.tried, d.reason, e.id, e.type, e.subject, e.severity, e.recorded_ns "
    "FROM delivery d LEFT JOIN event e USING (seq) WHERE d.destination=? AND d.lane=? ORDER BY d.seq"
)
_FEW_EVENTS = 100


class _Row(NamedTuple):
    lane: int
    seq: int
    destination: str
    attempts: int
    tried: int
    reason: str
    id: str | None
    type: str | None
    subject: str | None
    severity: int | None
    recorded_ns: int | None


def print_list(state_dir: Path, *, destination: str | None, lane: Lane | None, limit: int, as_json: bool) -> int:
    """What waits: urgent, in order, set aside; in each lane the oldest first."""
    with reading(outbox_file(state_dir)) as connection:
        names, lanes = chosen(connection, destination), list(Lane) if lane is None else [lane]
        for row in islice(_waiting(connection, names, lanes), limit):
            click.echo(json.dumps(_as_json(row)) if as_json else _as_text(row))
        if not as_json:
            _say_rest(_count(connection, names, lanes), limit)
    return 0


def _say_rest(total: int, limit: int) -> None:
    if not total:
        click.echo("nothing waits")
    elif total > limit:
        click.echo(f"and {total - limit:,} more; --limit shows more, lineside outbox export all")


def _waiting(connection: sqlite3.Connection, names: Sequence[str], lanes: Sequence[Lane]) -> Iterator[_Row]:
    for lane in lanes:
        cursors = [connection.execute(_LISTED, (name, lane)) for name in names]
        yield from map(_Row._make, heapq.merge(*cursors, key=lambda row: (row[1], row[2])))


def _count(connection: sqlite3.Connection, names: Sequence[str], lanes: Sequence[Lane]) -> int:
    statement = "SELECT count(*) FROM delivery WHERE destination=? AND lane=?"
    return sum(connection.execute(statement, (name, lane)).fetchone()[0] for name in names for lane in lanes)


def _as_text(row: _Row) -> str:
    place = f"{row.seq:>8}  {printable(row.destination):<12} {lane_word(row.lane):<8} {row.attempts:>3} tries"
    reason = f"  {printable(row.reason)}" if row.reason else ""
    if row.id is None:
        return f"{place}  its event is missing{reason}"
    return f"{place}  {printable(row.type):<36} {printable(row.subject)}  {printable(row.id)}{reason}"


def _as_json(row: _Row) -> dict[str, Any]:
    found = row._asdict() | {"lane": lane_word(row.lane), "tried": bool(row.tried)}
    del found["recorded_ns"]
    return found | {"recorded": None if row.recorded_ns is None else when(row.recorded_ns)}


def lane_word(lane: int) -> str:
    return Lane(lane).name.lower() if lane in set(Lane) else str(lane)


def print_event(state_dir: Path, event_id: str) -> int:
    """One event and where it waits, as one JSON object. Exit code 1: damaged on disk, but where it waits is printed."""
    with reading(outbox_file(state_dir)) as connection:
        seq = only_one(
            connection, event_id, "1", (), f"no event {event_id!r} waits (delivered ones are not kept); see lineside outbox list"
        )
        return show(connection, seq)


def only_one(connection: sqlite3.Connection, event_id: str, where: str, parameters: tuple[Any, ...], none: str) -> int:
    """The sequence of the event with this id, or the only one with this beginning; raises Refused.

    where, parameters   which events are meant at all: a condition on the table e
    none                what to say when there is none
    """
    statement = f"SELECT e.seq, e.id FROM event e WHERE {where} AND "
    rows = connection.execute(f"{statement} e.id=?", (*parameters, event_id)).fetchall()
    if not rows and event_id:
        bounds = (event_id, event_id + "\U0010ffff")
        rows = connection.execute(f"{statement} e.id BETWEEN ? AND ? ORDER BY e.id LIMIT 4", (*parameters, *bounds)).fetchall()
    if not rows:
        raise Refused(none)
    if len(rows) > 1:
        names = ", ".join(printable(row[1]) for row in rows[:3]) + (", ..." if len(rows) > 3 else "")
        raise Refused(f"{event_id!r} is the beginning of more than one id ({names}); write more of it")
    return int(rows[0][0])


def show(connection: sqlite3.Connection, seq: int) -> int:
    """One event and its places; exit code 1 when it is damaged."""
    row = connection.execute(f"SELECT {SELECTED} FROM event e WHERE e.seq=?", (seq,)).fetchone()
    event = None if row is None else from_row(row)
    found = {
        "event": None if event is None else cloud_event(event),
        "waits": list(_waits(connection, seq)),
        "dead_letters": list(_dead_letters(connection, seq)),
    }
    click.echo(document(found, indent=2))
    if event is None:
        click.echo("the event is damaged on disk (checksum): it cannot be sent", err=True)
    return 0 if event is not None else 1


def _waits(connection: sqlite3.Connection, seq: int) -> Iterator[dict[str, Any]]:
    rows = connection.execute(
        "SELECT destination, lane, attempts, tried, reason FROM delivery WHERE seq=? AND destination IN (SELECT value FROM json_each(?)) "
        f"AND lane IN {tally.LANES} ORDER BY destination",
        (seq, json.dumps(destinations(connection))),
    )
    for name, lane, attempts, tried, reason in rows:
        yield {"destination": name, "lane": lane_word(lane), "attempts": attempts, "tried": bool(tried), "reason": reason}


def _dead_letters(connection: sqlite3.Connection, seq: int) -> Iterator[dict[str, Any]]:
    rows = connection.execute(
        "SELECT destination, kind, at_ns, attempts, code, reason, replaced_by FROM dead_letter WHERE seq=? ORDER BY destination", (seq,)
    )
    for name, kind, at_ns, attempts, code, reason, replaced_by in rows:
        facts = {"kind": kind_word(kind), "at": when(at_ns), "attempts": attempts, "code": code, "reason": reason}
        yield {"destination": name, **facts, "replaced_by": replaced_by}


def cloud_event(event: Event) -> dict[str, Any]:
    """As it is sent."""
    found: dict[str, Any] = json.loads(structured(event))
    return found


def kind_word(kind: int) -> str:
    return Kind(kind).name.lower() if kind in set(Kind) else str(kind)


def print_stats(state_dir: Path, *, as_json: bool) -> int:
    """Counts the rows themselves, so that a sum that does not balance is seen. Exit code 1: it does not."""
    with reading(outbox_file(state_dir)) as connection:
        found = {name: count_all(connection, name) for name in destinations(connection)}
        size = _size(connection)
    balanced = all(counts["balanced"] for counts in found.values())
    if as_json:
        click.echo(json.dumps({"balanced": balanced, "destinations": found, **size}, sort_keys=True))
        return 0 if balanced else 1
    for name, counts in found.items():
        click.echo(f"{printable(name)}: " + "  ".join(f"{WORDS.get(what, what)} {counts[what]:,}" for what in _shown(counts)))
    click.echo(law(found.values()) if found else "nothing was stored yet")
    each = "" if size["bytes_per_event"] is None else f", {size['bytes_per_event']:,} each with all that belongs to them"
    click.echo(f"{counted(size['events'], 'event')}{each}; {size['bytes']:,} bytes in use, {size['wal_bytes']:,} of them WAL")
    return 0 if balanced else 1


def law(found: Any) -> str:
    """Whether the sum balances, in words."""
    wrong = [counts for counts in found if not counts["balanced"]]
    sentence = "stored = " + " + ".join(WORDS.get(what, what) for what in ("delivered", *WAITING, *TALLIED[2:]))
    return f"NOT balanced: {sentence}" if wrong else f"balanced: {sentence}"


def _shown(counts: dict[str, Any]) -> list[str]:
    """The common ones always, the others when there is something to tell."""
    always = ("stored", "delivered", "ready", "parked")
    return [what for what in ("stored", "delivered", *WAITING, *TALLIED[2:]) if what in always or counts[what]]


def count_all(connection: sqlite3.Connection, name: str) -> dict[str, Any]:
    """Of one destination: TALLIED as they were added up, WAITING counted row by row, by lane too, and whether the law holds."""
    tallied = dict(connection.execute("SELECT what, count FROM tally WHERE destination=?", (name,)).fetchall())
    counts: dict[str, Any] = {what: tallied.get(what, 0) for what in TALLIED}
    counts |= dict.fromkeys(WAITING, 0)
    for kind, count in connection.execute("SELECT kind, count(*) FROM dead_letter WHERE destination=? GROUP BY kind", (name,)):
        counts[kind_word(kind)] = count
    rows = connection.execute("SELECT lane, count(*) FROM delivery WHERE destination=? GROUP BY lane", (name,))
    counts["lanes"] = dict.fromkeys(map(lane_word, Lane), 0) | {lane_word(lane): count for lane, count in rows}
    counts["ready"] = sum(counts["lanes"].values())
    counts["balanced"] = counts["stored"] == sum(counts[what] for what in (*WAITING, *TALLIED[1:]))
    return counts


def _size(connection: sqlite3.Connection) -> dict[str, Any]:
    events = connection.execute("SELECT count(*) FROM event").fetchone()[0]
    used, wal = used_bytes(connection), wal_bytes(connection)
    return {"events": events, "bytes": used, "wal_bytes": wal, "bytes_per_event": (used - wal) // events if events >= _FEW_EVENTS else None}
