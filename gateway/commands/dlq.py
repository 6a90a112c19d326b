"""`lineside dlq ...`: dead letters, seen and decided on beside a running gateway."""

# ruff: noqa: S608  what is put into the statements are constants of ours

from __future__ import annotations

import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, chosen, outbox_file, reading, stand_back, writing
from gateway.commands.outbox import kind_word, only_one, show
from gateway.commands.printing import counted, printable, when
from gateway.commands.who import typed
from gateway.contract import Event, Json
from gateway.events.catalogue import ContractViolation
from gateway.events.correct import corrected
from gateway.outbox import deadletters, tally
from gateway.outbox.deadletters import DeadLetter
from gateway.outbox.rows import SELECTED, from_row
from gateway.outbox.tally import LANES, Kind

_CHUNK = 500
_MOST_NAMED = 20
_SELECT = f"SELECT d.seq, d.destination, d.kind, d.at_ns, d.attempts, d.code, d.reason, d.replaced_by, {SELECTED}"
_FROM = "FROM dead_letter d LEFT JOIN event e USING (seq) WHERE "
_WHEN = "the gateway sends within seconds, or when it starts"


@dataclass(frozen=True)
class Which:
    """Which dead letters are meant. Without `ids` all that fit the rest; an id may be the beginning of one."""

    ids: tuple[str, ...] = ()
    code: str | None = None
    destination: str | None = None
    kind: Kind | None = None


def print_list(state_dir: Path, which: Which, limit: int, *, as_json: bool) -> int:
    """The oldest first."""
    with reading(outbox_file(state_dir)) as connection:
        where, parameters = _where(connection, which)
        for row in connection.execute(f"{_SELECT} {_FROM}{where} ORDER BY d.seq, d.destination LIMIT ?", (*parameters, limit)):
            letter = _letter(row)
            click.echo(json.dumps(_as_json(letter)) if as_json else _as_text(letter))
        total = _count(connection, where, parameters)
    if as_json:
        return 0
    if not total:
        click.echo("there are no dead letters" if which == Which() else "there are no such dead letters")
    elif total > limit:
        click.echo(f"and {total - limit:,} more; --limit shows more, lineside dlq export all")
    return 0


def _as_text(letter: DeadLetter) -> str:
    place = f"{letter.seq:>8}  {printable(letter.destination):<12} {letter.kind.name.lower():<11} {when(letter.at_ns)}"
    code = f"  [{printable(letter.code)}]" if letter.code else ""
    replaced = f"  (replaced by {printable(letter.replaced_by)})" if letter.replaced_by else ""
    what = f"{printable(letter.type):<36} {printable(letter.id)}" if letter.id else "its event is missing"
    return f"{place} {letter.attempts:>3} tries  {what}{code}  {printable(letter.reason)}{replaced}".rstrip()


def _as_json(letter: DeadLetter) -> dict[str, Any]:
    found = letter._asdict()
    found |= {"kind": letter.kind.name.lower(), "at": when(letter.at_ns), "time": when(letter.time_ns), "damaged": letter.event is None}
    return {name: value for name, value in found.items() if name not in ("event", "at_ns", "time_ns")}


def print_letter(state_dir: Path, event_id: str) -> int:
    """Like `lineside outbox show`, but only among dead letters."""
    with reading(outbox_file(state_dir)) as connection:
        return show(connection, _resolve(connection, event_id, chosen(connection, None)))


def changes(settings: Sequence[str]) -> dict[str, Json]:
    """``data.unit=bar`` as {"data.unit": "bar"}; the value is JSON if it is any, else text. Raises ValueError with a remedy.

    >>> changes(["data.unit=bar", "data.limit=7.5", 'data.key="7.5"', "data.note=NaN"])
    {'data.unit': 'bar', 'data.limit': 7.5, 'data.key': '7.5', 'data.note': 'NaN'}
    """
    found: dict[str, Json] = {}
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.startswith("data.") or not all(path.split(".")):
            raise ValueError(f"{setting!r} sets nothing; write data.NAME=VALUE, for example data.unit=bar")
        try:
            found[path] = json.loads(text, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            found[path] = text
    return found


def _finite(text: str) -> float:
    """What JSON cannot say is no number: NaN, 1e999."""
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is not JSON")
    return number


def removals(paths: Sequence[str]) -> tuple[str, ...]:
    """Raises ValueError with a remedy."""
    for path in paths:
        if not path.startswith("data.") or not all(path.split(".")) or "=" in path:
            raise ValueError(f"{path!r} names nothing that could be taken away; write data.NAME, for example data.unit")
    return tuple(paths)


def retry(state_dir: Path, which: Which, corrections: Mapping[str, Json], without: Collection[str] = ()) -> int:
    """Send again, corrected or as they are. Exit code 1: nothing of what was asked for can be sent."""
    again = _correct(state_dir, which, corrections, without) if corrections or without else _as_they_are(state_dir, which)
    return 1 if which.ids and not again else 0


def _as_they_are(state_dir: Path, which: Which) -> int:
    now_ns, who = gateway_now_ns(state_dir), typed()
    to, left, late = Counter[str](), list[str](), list[DeadLetter]()
    configured: Collection[str] | None = None

    def step(connection: sqlite3.Connection, letters: list[DeadLetter]) -> None:
        nonlocal configured
        configured = tally.configured(connection)
        left.extend(filter(None, map(_why_not, letters)))
        late.extend(deadletters.overtaken(connection, [letter for letter in letters if not _why_not(letter)]))
        deadletters.retry(connection, letters, who=who, now_ns=now_ns)
        to.update(letter.destination for letter in letters if not _why_not(letter))

    _in_steps(outbox_file(state_dir), which, step)
    _say(to, configured, "sent again", left)
    _warn(late)
    return to.total()


def _correct(state_dir: Path, which: Which, corrections: Mapping[str, Json], without: Collection[str]) -> int:
    """All in one transaction: what one of them cannot be, none is."""
    now_ns, who = gateway_now_ns(state_dir), typed()

    def correct(event: Event) -> Event:
        return _corrected(event, corrections, without, now_ns)

    to, left, made, late = Counter[str](), list[str](), list[str](), list[DeadLetter]()
    with writing(outbox_file(state_dir)) as connection:
        configured = tally.configured(connection)
        for letters in _chunks(connection, which):
            left += filter(None, map(_why_not, letters))
            able = [letter for letter in letters if not _why_not(letter)]
            to.update(letter.destination for letter in able)
            late += deadletters.overtaken(connection, able)
            made += [event.id for event in deadletters.replace(connection, able, correct, who=who, now_ns=now_ns)]
            _all_wait(connection, able)
    for identity in made[:_MOST_NAMED]:
        click.echo(printable(identity))
    _say(to, configured, "corrected", left)
    _warn(late)
    return to.total()


def drop(state_dir: Path, which: Which, *, sure: bool) -> int:
    """Give up for good."""
    path = outbox_file(state_dir)
    if not sure:
        with reading(path) as connection:
            count = _count(connection, *_where(connection, which))
        raise Refused(f"{counted(count, 'dead letter')} would be given up for good; if you want that, say --yes")
    dropped, now_ns, who = 0, gateway_now_ns(state_dir), typed()

    def step(connection: sqlite3.Connection, letters: list[DeadLetter]) -> None:
        nonlocal dropped
        dropped += deadletters.drop(connection, letters, who=who, now_ns=now_ns)

    _in_steps(path, which, step)
    click.echo(f"{counted(dropped, 'dead letter')} dropped; lineside ledger shows them")
    return 0


def _say(to: Mapping[str, int], configured: Collection[str] | None, word: str, left: Sequence[str]) -> None:
    """to   how many wait for each destination now. If nobody sends to it: only what waits can be moved to another one"""
    gone = {name: number for name, number in to.items() if configured is not None and name not in configured}
    sent = sum(to.values()) - sum(gone.values())
    if sent or not gone:
        click.echo(f"{counted(sent, 'dead letter')} {word}; {_WHEN}" if sent else f"nothing was {word}")
    for name, number in gone.items():
        shown = printable(name)
        click.echo(f"{counted(number, 'dead letter')} put back among what waits for {shown}")
        click.echo(f"nobody sends to {shown}: it is not in the configuration; lineside outbox move {shown} NEW hands them over", err=True)
    for why in left[:_MOST_NAMED]:
        click.echo(why, err=True)
    if len(left) > _MOST_NAMED:
        click.echo(f"and {len(left) - _MOST_NAMED:,} more were left as they are", err=True)


def _warn(late: Sequence[DeadLetter]) -> None:
    """Whoever keeps one record for an incident may take an old change for the latest."""
    if late:
        names = ", ".join(sorted({printable(letter.id) for letter in late})[:_MOST_NAMED])
        click.echo(f"{counted(len(late), 'event')} of an incident that went on, and what came later may have arrived: {names}", err=True)
        click.echo("look at the receiver whether it shows the incident as it is now", err=True)


def _why_not(letter: DeadLetter) -> str:
    """Why it is left as it is; empty: it is not."""
    name = f"{printable(letter.id) or letter.seq} for {printable(letter.destination)}"
    if letter.event is None:
        return f"{name} is damaged on disk, so it can only be dropped"
    return f"{name} was replaced by {printable(letter.replaced_by)} already" if letter.replaced_by else ""


def _corrected(event: Event, corrections: Mapping[str, Json], without: Collection[str], now_ns: int) -> Event:
    try:
        return corrected(event, corrections, now_ns, without=without)
    except ContractViolation as exc:
        raise Refused(f"nothing was changed: {printable(event.id)} would not fit its contract: {printable(exc)}") from exc
    except (ValueError, OverflowError) as exc:
        raise Refused(f"nothing was changed: {printable(event.id)} cannot be corrected so: {printable(exc)}") from exc


def _all_wait(connection: sqlite3.Connection, letters: Sequence[DeadLetter]) -> None:
    """Each correction waits for the destination whose letter it replaces; raises Refused, which undoes all of it."""
    statement = (
        "SELECT 1 FROM dead_letter l JOIN event e ON e.id=l.replaced_by "
        f"JOIN delivery d ON d.destination=l.destination AND d.lane IN {LANES} AND d.seq=e.seq WHERE l.destination=? AND l.seq=?"
    )
    for letter in letters:
        if connection.execute(statement, (letter.destination, letter.seq)).fetchone() is None:
            raise Refused(
                f"nothing was changed: the same correction of {printable(letter.id)} is on its way to another destination; "
                f"try again with --destination {printable(letter.destination)} when that one has it"
            )


def _where(connection: sqlite3.Connection, which: Which) -> tuple[str, tuple[Any, ...]]:
    names = chosen(connection, which.destination)
    where, parameters = ["d.destination IN (SELECT value FROM json_each(?))"], [json.dumps(names)]
    if which.ids:
        where.append("d.seq IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps([_resolve(connection, identity, names) for identity in which.ids]))
    if which.code is not None:
        where.append("d.code=?")
        parameters.append(which.code)
    if which.kind is not None:
        where.append(f"d.kind={int(which.kind)}")
    return " AND ".join(where), tuple(parameters)


def _resolve(connection: sqlite3.Connection, event_id: str, names: Sequence[str]) -> int:
    where = "EXISTS (SELECT 1 FROM json_each(?) n JOIN dead_letter d ON d.destination=n.value AND d.seq=e.seq)"
    none = f"no dead letter has the id {event_id!r}; lineside dlq list shows them"
    return only_one(connection, event_id, where, (json.dumps(names),), none)


def _count(connection: sqlite3.Connection, where: str, parameters: tuple[Any, ...]) -> int:
    return int(connection.execute(f"SELECT count(*) FROM dead_letter d WHERE {where}", parameters).fetchone()[0])


def _in_steps(path: Path, which: Which, step: Callable[[sqlite3.Connection, list[DeadLetter]], None]) -> None:
    """Each step in a transaction of its own: a running gateway goes on between them. Which are meant is decided before the first.

    raises Refused   steps before may be done; it says so
    """
    with reading(path) as connection:
        meant = _Meant.of(connection, which)
    done = 0
    for sequences in meant.steps():
        began = time.monotonic()
        try:
            with writing(path) as connection:
                step(connection, meant.letters(connection, sequences))
        except Refused as exc:
            if not done:
                raise
            raise Refused(f"{done:,} of {len(meant.sequences):,} events are done, and the same command goes on there: {exc}") from exc
        done += len(sequences)
        stand_back(began)


def _chunks(connection: sqlite3.Connection, which: Which) -> Iterator[list[DeadLetter]]:
    """Those of one event always together, whatever is done with the ones before."""
    meant = _Meant.of(connection, which)
    return (meant.letters(connection, step) for step in meant.steps())


@dataclass(frozen=True)
class _Meant:
    """Dead letters, by their sequences and the rest of the condition."""

    where: str
    parameters: tuple[Any, ...]
    sequences: list[int]

    @staticmethod
    def of(connection: sqlite3.Connection, which: Which) -> _Meant:
        where, parameters = _where(connection, which)
        rows = connection.execute(f"SELECT DISTINCT d.seq FROM dead_letter d WHERE {where} ORDER BY d.seq", parameters)
        return _Meant(where, parameters, [row[0] for row in rows])

    def steps(self) -> Iterator[list[int]]:
        return (self.sequences[start : start + _CHUNK] for start in range(0, len(self.sequences), _CHUNK))

    def letters(self, connection: sqlite3.Connection, step: list[int]) -> list[DeadLetter]:
        statement = f"{_SELECT} {_FROM}{self.where} AND d.seq IN (SELECT value FROM json_each(?)) ORDER BY d.seq, d.destination"
        return [_letter(row) for row in connection.execute(statement, (*self.parameters, json.dumps(step))).fetchall()]


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    """Also one whose event is missing."""
    seq, destination, kind, at_ns, attempts, code, reason, replaced_by, *event = row
    known = Kind(kind) if kind_word(kind) != str(kind) else Kind.QUARANTINED
    identity, type_, time_ns = event[1] or "", event[2] or "", event[5] or 0
    return DeadLetter(seq, destination, known, at_ns, attempts, code, reason, replaced_by, identity, type_, time_ns, from_row(tuple(event)))
