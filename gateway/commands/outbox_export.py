"""`lineside outbox export` and `lineside dlq export`: events as JSON lines, also out of a damaged file.

A line is ``{"destination": ..., "lane": ..., "attempts": ..., "reason": ..., "event": {...}}`` with the CloudEvent untouched in it.
"""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import click
import msgspec

from gateway.commands.database import Damaged, Older, Refused, chosen, destinations, reading, translated
from gateway.commands.outbox import kind_word, lane_word
from gateway.commands.printing import counted, when
from gateway.durable import replacing
from gateway.events.codec import structured
from gateway.outbox.migrate import migrate
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.salvage import salvage
from gateway.outbox.tally import LANES, Lane

Found = tuple[dict[str, Any], tuple[Any, ...]]
Rows = Callable[[sqlite3.Connection, str | None], Iterator[Found]]
"""What stands beside the event in its line, and the event's row."""
_WAITING = (
    f"SELECT d.attempts, d.reason, {SELECTED} FROM delivery d LEFT JOIN event e USING (seq) "
    "WHERE d.destination=? AND d.lane=? ORDER BY d.seq"
)
_UNKNOWN = (
    f"SELECT {SELECTED} FROM event e WHERE NOT EXISTS ("
    f"SELECT 1 FROM json_each(:names) n JOIN delivery d ON d.destination=n.value AND d.lane IN {LANES} AND d.seq=e.seq) "
    "AND NOT EXISTS (SELECT 1 FROM json_each(:names) n JOIN dead_letter d ON d.destination=n.value AND d.seq=e.seq) ORDER BY e.seq"
)
_NO_DATABASE = "file is not a database"
_DEAD = (
    f"SELECT d.kind, d.at_ns, d.attempts, d.code, d.reason, d.replaced_by, {SELECTED} "
    "FROM dead_letter d LEFT JOIN event e USING (seq) WHERE d.destination=? ORDER BY d.seq"
)


def waiting(connection: sqlite3.Connection, destination: str | None) -> Iterator[Found]:
    """In the order they would be sent; at last, of a damaged file, events of which nobody knows any more who waits for them."""
    for name in chosen(connection, destination):
        for lane in Lane:
            for attempts, reason, *row in connection.execute(_WAITING, (name, lane)):
                yield {"destination": name, "lane": lane_word(lane), "attempts": attempts, "reason": reason}, tuple(row)
    if destination is None:
        for row in connection.execute(_UNKNOWN, {"names": json.dumps(destinations(connection))}):
            yield {"destination": None, "lane": None, "attempts": 0, "reason": ""}, row


def dead(connection: sqlite3.Connection, destination: str | None) -> Iterator[Found]:
    """Dead letters, oldest first."""
    for name in chosen(connection, destination):
        for kind, at_ns, attempts, code, reason, replaced_by, *row in connection.execute(_DEAD, (name,)):
            facts = {"kind": kind_word(kind), "at": when(at_ns), "attempts": attempts, "code": code, "reason": reason}
            yield {"destination": name, **facts, "replaced_by": replaced_by}, tuple(row)


@dataclass
class _Written:
    lines: int = 0
    skipped: int = 0
    lost: int | None = 0  # deliveries that a damaged file held and no longer does; None: nobody knows


def export(source: Path, target: Path, rows: Rows, *, destination: str | None, what: str) -> int:
    """Write the new file `target`, or nothing; exit code 0 even if something in `source` could not be read, which is said."""
    with _new_file(target) as file:
        try:
            with reading(source) as connection:
                written = _write(connection, file, rows, destination)
        except (Damaged, Older) as exc:
            if _NO_DATABASE in exc.message:
                raise Refused(f"{source} is no database: nothing of it can be read") from exc
            click.echo(f"{exc.message.partition(';')[0]}; taking what can be read", err=True)
            written = _write_salvaged(source, target, file, rows, destination)
    click.echo(f"{counted(written.lines, what)} written to {target}{_missing(written)}")
    return 0


def _missing(written: _Written) -> str:
    parts = [f"{counted(written.skipped, 'damaged one')} left out"] if written.skipped else []
    if written.lost is None:
        parts.append("nobody knows how many could not be read")
    elif written.lost:
        parts.append(f"{written.lost:,} could not be read")
    return "".join(f"; {part}" for part in parts)


def _write(connection: sqlite3.Connection, file: IO[bytes], rows: Rows, destination: str | None) -> _Written:
    written = _Written()
    for beside, row in rows(connection, destination):
        event = from_row(row)
        if event is None:
            written.skipped += 1
        else:
            file.write(msgspec.json.encode(beside | {"event": msgspec.Raw(structured(event))}) + b"\n")
            written.lines += 1
    return written


def _write_salvaged(source: Path, target: Path, file: IO[bytes], rows: Rows, destination: str | None) -> _Written:
    """As a start would: into an outbox of its own, which is thrown away here."""
    file.seek(0)
    file.truncate()
    with (
        TemporaryDirectory(prefix=".salvaged-", dir=target.parent) as folder,
        translated(Path(folder)),
        closing(sqlite3.connect(Path(folder) / "outbox.db", isolation_level=None)) as connection,
    ):
        connection.execute("PRAGMA synchronous=OFF")
        migrate(connection)
        found = salvage(source, connection, (), time.time_ns())
        written = _write(connection, file, rows, destination)
    written.lost = found.lost_events
    return written


@contextmanager
def _new_file(target: Path) -> Iterator[IO[bytes]]:
    """Under its name only when it is complete, and nobody's but the owner's. raises Refused: it is there already, or cannot be written."""
    if target.exists():
        raise Refused(f"{target} is there already; give another name")
    try:
        with replacing(target) as file:
            yield file
    except OSError as exc:
        raise Refused(f"{target} cannot be written: {exc.strerror}") from exc
