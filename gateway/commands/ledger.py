"""`lineside ledger`: did we lose anything? Reads the file beside a running gateway."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import click

from gateway.commands.database import outbox_file, reading
from gateway.commands.outbox import WORDS
from gateway.commands.printing import counted, printable, when
from gateway.contract.options import seconds
from gateway.outbox import tally
from gateway.outbox.tally import WAITING

_SINCE = "(to_ns=0 OR to_ns>=:since OR recorded_ns>=:since)"
"""By both clocks: what was written before the gateway's clock was set has a time of long ago."""
_GROUPS = (
    "SELECT what, name, reason, count(*), min(from_ns), max(to_ns), sum(count), count(*) - count(count), sum(filled), sum(to_ns=0), "
    f"sum(max(0, coalesce(count, 0) - filled)) FROM ledger WHERE {_SINCE} "
    "GROUP BY what, name, reason ORDER BY what, sum(to_ns=0) > 0 DESC, 11 DESC, name"
)
_LINES = f"SELECT recorded_ns, what, name, from_ns, to_ns, count, reason, filled FROM ledger WHERE {_SINCE} ORDER BY id"
_MOST_GROUPS = 20


class Group(NamedTuple):
    """Lines of one kind.

    known     how many, as far as it is known; unknown  lines whose count nobody knows
    filled    came later; ongoing  lines that are not over; missing  known and not filled
    """

    what: str
    name: str
    reason: str
    lines: int
    from_ns: int
    to_ns: int
    known: int | None
    unknown: int
    filled: int
    ongoing: int
    missing: int


def since_ns(text: str, now_ns: int) -> int:
    """``7d`` before now, ``2026-11-01`` or ``2026-11-01T08:00`` (UTC), or ``all``. Raises ValueError with a remedy.

    >>> since_ns("1h", 3_600_000_000_000), since_ns("1970-01-02", 0), since_ns("all", 5)
    (0, 86400000000000, 0)
    """
    if text == "all":
        return 0
    try:
        return now_ns - int(float(str(seconds(text))) * 1e9)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time; write for example 12h, 7d, 2026-11-01, 2026-11-01T08:00Z, or all") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int((moment - datetime.fromtimestamp(0, UTC)).total_seconds()) * 1_000_000_000


def print_ledger(state_dir: Path, from_ns: int, *, as_json: bool) -> int:
    """The answer, what was lost, what waits."""
    with reading(outbox_file(state_dir)) as connection:
        groups = [Group(*row) for row in connection.execute(_GROUPS, {"since": from_ns})]
        if as_json:
            _print_json(connection, groups, from_ns)
            return 0
        click.echo(answer(groups, from_ns))
        for line in _table(groups[:_MOST_GROUPS]):
            click.echo(line)
        if len(groups) > _MOST_GROUPS:
            click.echo(f"and {len(groups) - _MOST_GROUPS:,} more; --json shows all")
        if older := _older(connection, from_ns):
            click.echo(f"before that: {counted(older, 'line')}; --since all shows them")
        for line in _undelivered(connection):
            click.echo(line)
    return 0


def answer(groups: Sequence[Group], from_ns: int) -> str:
    """The first line."""
    start = f"since {when(from_ns)}" if from_ns > 0 else "since the outbox was created"
    if not groups:
        return f"nothing was lost {start}"
    whats = list(dict.fromkeys(group.what for group in groups))
    lost = ", ".join(_amount([group for group in groups if group.what == what], what) for what in whats)
    filled = [(sum(group.filled for group in groups if group.what == what), what) for what in whats]
    later = ", ".join(counted(count, what) for count, what in filled if count) or "none"
    if not any(group.missing or group.unknown for group in groups):
        return f"nothing is missing {start}: {lost} were lost, and all of that came later"
    ongoing = sum(group.ongoing for group in groups)
    return f"lost {start}: {lost}; filled later: {later}" + (f"; {ongoing:,} not over yet" if ongoing else "")


def _amount(groups: Sequence[Group], what: str) -> str:
    known, unknown = sum(group.known or 0 for group in groups), sum(group.unknown for group in groups)
    gaps = f"{counted(unknown, 'gap')} of unknown size"
    if not unknown:
        return counted(known, what)
    return f"{counted(known, what)} and {gaps}" if known else f"{printable(what)} in {gaps}"


def _table(groups: Sequence[Group]) -> Iterator[str]:
    if not groups:
        return
    rows = [("what", "of", "from", "to", "count", "filled", "why"), *map(_cells, groups)]
    widths = [max(len(row[column]) for row in rows) for column in range(6)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in (4, 5) else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join([*cells, row[6]]).rstrip()


def _cells(group: Group) -> tuple[str, ...]:
    until = "goes on" if group.ongoing else when(group.to_ns)
    count = "?" if group.known is None else f"{group.known:,}" + (" + ?" if group.unknown else "")
    times = f" ({group.lines:,} times)" if group.lines > 1 else ""
    what, name, reason = printable(group.what), printable(group.name), printable(group.reason)
    return what, name, when(group.from_ns), until, count, f"{group.filled:,}", reason + times


def _older(connection: sqlite3.Connection, from_ns: int) -> int:
    return int(connection.execute(f"SELECT count(*) FROM ledger WHERE NOT {_SINCE}", {"since": from_ns}).fetchone()[0])


def _undelivered(connection: sqlite3.Connection) -> Iterator[str]:
    found = tally.backlog(connection)
    for name in sorted(found):
        parts = [f"{found[name][what]:,} {WORDS.get(what, what)}" for what in WAITING if found[name][what]]
        if parts:
            yield f"not lost, but not delivered to {printable(name)}: {', '.join(parts)}{_why(connection, name)}"
    if any(found[name][what] for name in found for what in WAITING[1:]):
        yield "parked, damaged and expired ones are dead letters: lineside dlq list"


def _why(connection: sqlite3.Connection, name: str) -> str:
    row = connection.execute("SELECT since_ns, why FROM breaker WHERE destination=? AND since_ns>0", (name,)).fetchone()
    return f" (it takes nothing since {when(row[0])}: {printable(row[1])})" if row else ""


def _print_json(connection: sqlite3.Connection, groups: Sequence[Group], from_ns: int) -> None:
    """One object, written line by line: a ledger may have 50,000 lines."""
    lost: dict[str, dict[str, int]] = {}
    for group in groups:
        sums = lost.setdefault(group.what, {"known": 0, "unknown": 0, "filled": 0, "missing": 0, "ongoing": 0})
        for field in sums:
            sums[field] += getattr(group, field) or 0
    backlog = tally.backlog(connection)
    head: dict[str, Any] = {
        "since": when(from_ns),
        "answer": answer(groups, from_ns),
        "lost": lost,
        "older_lines": _older(connection, from_ns),
        "not_delivered": {name: {what: counts[what] for what in WAITING} for name, counts in backlog.items()},
    }
    click.echo(json.dumps(head)[:-1] + ', "lines": [', nl=False)
    comma = ""
    for recorded_ns, what, name, first_ns, last_ns, count, reason, filled in connection.execute(_LINES, {"since": from_ns}):
        line = {"recorded": when(recorded_ns), "what": what, "name": name, "from": when(first_ns), "to": when(last_ns) if last_ns else None}
        line |= {"ongoing": not last_ns, "count": count, "reason": reason, "filled": filled}
        click.echo(comma + "\n" + json.dumps(line), nl=False)
        comma = ","
    click.echo("\n]}")
