"""`lineside feedback ...`: verdicts, what they say of the watches, and what they moved; beside a running gateway."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, outbox_file, reading, writing
from gateway.commands.printing import counted, document, printable, when
from gateway.commands.who import typed, user
from gateway.contract import Judgement, Verdict
from gateway.feedback import factors
from gateway.feedback.factors import Place
from gateway.outbox import labels
from gateway.outbox.labels import LabelRow, Votes

RECENT_DAYS = 90
_MOST_NAMED = 3
_LONGEST = {"by": 200, "comment": 4000, "case": 200}
_SHOWN = "SELECT id, machine, condition FROM incident WHERE raised_ns>0"


class Known(NamedTuple):
    """An incident somebody can judge: it was raised."""

    id: str
    machine: str
    condition: str


def add(state_dir: Path, incident: str, judgement: str, *, by: str | None, comment: str, case: str) -> int:
    """Keep a verdict of somebody who sits at the gateway."""
    given = {"by": user() if by is None else by, "comment": comment, "case": case}
    for name, text in given.items():
        _check(name, text)
    now_ns = gateway_now_ns(state_dir)
    with writing(outbox_file(state_dir)) as connection:
        known = only_one(connection, incident)
        stood = connection.execute("SELECT judgement, by FROM label WHERE incident=? ORDER BY number DESC LIMIT 1", (known.id,)).fetchone()
        verdict = Verdict(
            id=f"command-{now_ns}-{secrets.token_hex(4)}", incident=known.id, judgement=Judgement(judgement), t_ns=now_ns, **given
        )
        labels.add(connection, [verdict], origin="command", now_ns=now_ns)
    click.echo(f"{known.id} ({printable(known.machine)} {printable(known.condition)}): {judgement}")
    if stood is not None and stood[0] == judgement:
        click.echo(f"that stood there already, by {printable(stood[1]) or 'nobody named'}; it counts once", err=True)
    elif stood is not None:
        click.echo(f"instead of {printable(stood[0])} by {printable(stood[1]) or 'nobody named'}; the last verdict counts", err=True)
    click.echo("a running gateway takes it in within seconds, else the next start does")
    return 0


def _check(name: str, text: str) -> None:
    if len(text) > _LONGEST[name]:
        raise click.BadParameter(f"{len(text):,} characters; at most {_LONGEST[name]:,}", param_hint=f"--{name}")
    if not text.isprintable():
        raise click.BadParameter("it has characters that cannot be printed; write it on one line", param_hint=f"--{name}")


def only_one(connection: sqlite3.Connection, identity: str) -> Known:
    """The incident with this id, or the only one with this beginning; raises Refused."""
    if not identity.isprintable():
        raise Refused(f"there is no incident {identity!r}")
    rows = connection.execute(f"{_SHOWN} AND id=?", (identity,)).fetchall()
    if not rows and identity:
        bounds = (identity, identity + "\U0010ffff")
        rows = connection.execute(f"{_SHOWN} AND id BETWEEN ? AND ? ORDER BY id LIMIT {_MOST_NAMED + 1}", bounds).fetchall()
    if not rows:
        raise Refused(_unknown(connection, identity))
    if len(rows) > 1:
        names = ", ".join(printable(row[0]) for row in rows[:_MOST_NAMED]) + (", ..." if len(rows) > _MOST_NAMED else "")
        raise Refused(f"{identity!r} is the beginning of more than one id ({names}); write more of it")
    return Known(*rows[0])


def _unknown(connection: sqlite3.Connection, identity: str) -> str:
    event = re.fullmatch(r"(.+)-\d+", identity)
    if event and connection.execute(f"{_SHOWN} AND id=?", (event[1],)).fetchone():
        return f"{identity!r} is an event of the incident {event[1]}; give that one"
    latest = connection.execute(f"{_SHOWN} ORDER BY raised_ns DESC LIMIT {_MOST_NAMED}").fetchall()
    if not latest:
        return f"there is no incident {identity!r}; this gateway has raised none, or they are forgotten (after 90 days)"
    names = ", ".join(f"{printable(row[0])} ({printable(row[1])} {printable(row[2])})" for row in latest)
    return f"there is no incident {identity!r}, or it is forgotten (after 90 days); the latest are {names}"


def print_list(state_dir: Path, limit: int, *, as_json: bool) -> int:
    """The latest first."""
    with reading(outbox_file(state_dir)) as connection:
        rows = labels.recent(connection, limit)
        total = int(connection.execute("SELECT count(*) FROM label").fetchone()[0])
    for row in rows:
        click.echo(document(_as_json(row)) if as_json else _as_text(row))
    if as_json:
        return 0
    if not total:
        click.echo("there are no verdicts")
    elif total > limit:
        click.echo(f"and {total - limit:,} more; --limit shows more")
    return 0


def _as_text(row: LabelRow) -> str:
    of = f"{row.machine}/{row.condition} ({row.detector or 'watch not known'})" if row.machine else "not known here"
    who = f"{row.by} ({row.origin})" if row.by else row.origin
    more = "  ".join(filter(None, [f"case {row.case_number}" if row.case_number else "", row.comment]))
    cells = f"{row.judgement:<13}  {printable(row.incident)}  {printable(of)}  {printable(who)}  {printable(more)}"
    return f"{when(row.t_ns)}  {cells}".rstrip()


def _as_json(row: LabelRow) -> dict[str, Any]:
    found = row._asdict()
    found |= {"at": when(row.t_ns), "recorded": when(row.recorded_ns), "watch": row.detector, "case": row.case_number}
    return {name: value for name, value in found.items() if name not in ("t_ns", "recorded_ns", "detector", "case_number")}


def print_precision(state_dir: Path, *, as_json: bool) -> int:
    """By watch; then the thresholds that are not as configured."""
    with reading(outbox_file(state_dir)) as connection:
        ever = labels.precision(connection)
        recent = labels.precision(connection, gateway_now_ns(state_dir) - RECENT_DAYS * 86_400_000_000_000)
        unknown = int(connection.execute("SELECT count(DISTINCT incident) FROM label WHERE detector=''").fetchone()[0])
        moved = [(place, factor) for place, factor in factors.factors(connection).items() if factor != 1.0]
    if as_json:
        watches = {name: {"last_90_days": _votes(recent.get(name, Votes())), "ever": _votes(votes)} for name, votes in ever.items()}
        thresholds = [{"watch": place.detector, **_where(place), "factor": factor} for place, factor in moved]
        click.echo(document({"watches": watches, "thresholds": thresholds, "incidents_not_known": unknown}, indent=2))
        return 0
    for line in _table(ever, recent):
        click.echo(line)
    if unknown:
        click.echo(f"verdicts on {counted(unknown, 'incident')} that are not known here count for no watch")
    click.echo("moved thresholds:" if moved else "every threshold is as configured")
    for place, factor in moved:
        click.echo(f"  {_name(place)}  {factor:.4g} times the configured one")
    return 0


def _votes(votes: Votes) -> dict[str, Any]:
    return {**votes._asdict(), "precision": votes.precision}


def _where(place: Place) -> dict[str, str]:
    return {"machine": place.machine, "condition": place.condition}


def _name(place: Place) -> str:
    return f"{printable(place.detector)} {printable(place.machine)}/{printable(place.condition)}"


def _table(ever: dict[str, Votes], recent: dict[str, Votes]) -> Iterator[str]:
    """One line per watch; the counts are those of all verdicts that are kept."""
    if not ever:
        yield "nobody has judged an incident yet"
        return
    head = ("watch", "last 90 days", "all", *(name.replace("_", " ") for name in Votes._fields))
    rows = [(printable(name), _share(recent.get(name, Votes())), _share(votes), *map(str, votes)) for name, votes in ever.items()]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (head, *rows):
        cells = [cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths, strict=True))]
        yield "  ".join(cells).rstrip()


def _share(votes: Votes) -> str:
    """
    >>> _share(Votes(true_positive=3, false_alarm=1)), _share(Votes(maintenance=1))
    ('75 % of 4', '-')
    """
    return "-" if votes.precision is None else f"{votes.precision:.0%} of {votes.true_positive + votes.false_alarm}".replace("%", " %")


def print_audit(state_dir: Path, limit: int, *, as_json: bool) -> int:
    """The latest first."""
    names = ("at_ns", "who", "what", "name", "before", "after")
    with reading(outbox_file(state_dir)) as connection:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM audit ORDER BY number DESC LIMIT ?", (limit,)).fetchall()
        total = int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])
    for at_ns, *texts in rows:
        if as_json:
            click.echo(document({"at": when(at_ns), **dict(zip(names[1:], texts, strict=True))}))
        else:
            who, what, name, before, after = map(printable, texts)
            click.echo(f"{when(at_ns)}  {who}  {what}  {name}  {before or '-'} -> {after or '-'}")
    if not as_json and not total:
        click.echo("nobody has changed anything")
    elif not as_json and total > limit:
        click.echo(f"and {total - limit:,} more; --limit shows more")
    return 0


def revert(state_dir: Path, *, watch: str | None, machine: str | None, condition: str | None) -> int:
    """Exit code 1: something was named, and no threshold of it is moved."""
    now_ns = gateway_now_ns(state_dir)
    with writing(outbox_file(state_dir)) as connection:
        moved = [place for place, factor in factors.factors(connection).items() if factor != 1.0]
        made = factors.revert(connection, who=typed(), now_ns=now_ns, detector=watch, machine=machine, condition=condition)
    if not made and (watch, machine, condition) != (None, None, None):
        raise Refused(f"nothing was changed: {_not_meant(moved)}")
    if not made:
        click.echo("every threshold is as configured")
        return 0
    for move in made:
        click.echo(f"{_name(move.place)}  {move.before:.4g} -> 1")
    click.echo(f"{counted(len(made), 'threshold')} as configured again; a running gateway notices within seconds")
    return 0


def _not_meant(moved: Sequence[Place]) -> str:
    if not moved:
        return "every threshold is as configured"
    names = ", ".join(map(_name, moved[:_MOST_NAMED])) + (", ..." if len(moved) > _MOST_NAMED else "")
    return f"no moved threshold is meant; moved are {names}"
