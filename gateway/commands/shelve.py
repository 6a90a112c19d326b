"""`lineside shelve` and `unshelve`, beside a running gateway."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, outbox_file, reading, writing
from gateway.commands.printing import counted, document, printable, when
from gateway.commands.who import typed, user
from gateway.incidents import Incident
from gateway.outbox import incidents, shelves
from gateway.outbox.audit import audit
from gateway.outbox.shelves import Shelf

_LONGEST_TEXT = 500
_MOST_NAMED = 3


def add(state_dir: Path, what: str, duration: str, *, by: str | None, why: str, critical: bool) -> int:
    """Shelve; the same machine and condition again changes the end."""
    machine, condition = _place(what)
    lasts, now_ns = _lasts(duration), gateway_now_ns(state_dir)
    who = user() if by is None else by
    for name, text in (("--by", who), ("--why", why)):
        check_text(name, text)
    shelf = Shelf(0, machine, condition, critical, now_ns, now_ns + int(lasts * 1e9), who, why)
    with writing(outbox_file(state_dir)) as connection:
        here = shelves.those(connection, now_ns)
        if len(here) >= shelves.MOST:
            raise Refused(f"{len(here)} shelves are in use, which is as many as there may be; end some of them (lineside shelve list)")
        for old in here:
            if old.name == shelf.name:
                shelves.remove(connection, old, who=f"{who} (command)", what="shelf replaced", now_ns=now_ns)
        shelf = shelves.add(connection, shelf)
        before, after = "", f"shelf {shelf.number} until {when(shelf.until_ns)}{', also critical' if critical else ''}"
        audit(connection, who=f"{who} (command)", what=f"shelved: {why}", name=shelf.name, before=before, after=after, now_ns=now_ns)
        standing = _standing(connection, shelf)
    click.echo(f"{shelf.number}  {printable(shelf.name)}  until {when(shelf.until_ns)}")
    for line in standing:
        click.echo(line)
    click.echo("a running gateway takes it in within seconds, else the next start does")
    return 0


def _standing(connection: sqlite3.Connection, shelf: Shelf) -> list[str]:
    """Open incidents it is about."""
    found = [Incident.load(body) for body in incidents.unfinished(connection)]
    mine = [each for each in found if each.state == "open" and shelf._replace(critical=True).covers(each.machine, each.condition, 0)]
    if not mine:
        return []
    told = [each for each in mine if not shelf.covers(each.machine, each.condition, each.peak)]
    names = ", ".join(f"{printable(each.id)} ({printable(each.machine)} {printable(each.condition)})" for each in mine[:_MOST_NAMED])
    lines = [f"{counted(len(mine), 'incident')} of it open now: {names}{', ...' if len(mine) > _MOST_NAMED else ''}"]
    if told:
        lines.append(f"{counted(len(told), 'incident')} of them critical, and told all the same; --critical shelves that too")
    return lines


def print_list(state_dir: Path, *, as_json: bool) -> int:
    """The one that ends first first."""
    with reading(outbox_file(state_dir)) as connection:
        here = shelves.those(connection, gateway_now_ns(state_dir))
    for shelf in here:
        if as_json:
            found = {"id": shelf.number, "machine": shelf.machine, "condition": shelf.condition, "critical": shelf.critical}
            click.echo(document(found | {"since": when(shelf.since_ns), "until": when(shelf.until_ns), "by": shelf.who, "why": shelf.why}))
            continue
        also = "  also critical" if shelf.critical else ""
        click.echo(
            f"{shelf.number}  {printable(shelf.name)}  until {when(shelf.until_ns)}{also}  {printable(shelf.who)}  {printable(shelf.why)}"
        )
    if not here and not as_json:
        click.echo("nothing is shelved")
    return 0


def remove(state_dir: Path, number: int, *, by: str | None) -> int:
    """Exit code 1: there is no such shelf."""
    who, now_ns = typed() if by is None else f"{by} (command)", gateway_now_ns(state_dir)
    check_text("--by", who)
    with writing(outbox_file(state_dir)) as connection:
        here = {shelf.number: shelf for shelf in shelves.those(connection, now_ns)}
        if number not in here:
            names = ", ".join(f"{shelf.number} ({printable(shelf.name)})" for shelf in here.values())
            raise Refused(f"there is no shelf {number}, or its time is over; {f'there are {names}' if names else 'nothing is shelved'}")
        shelves.remove(connection, here[number], who=who, what="unshelved", now_ns=now_ns)
    click.echo(f"{number}  {printable(here[number].name)}  not shelved any more; what holds is told within seconds")
    return 0


def check_text(name: str, text: str) -> None:
    """raises BadParameter   it is empty, too long, or nothing to print"""
    if not text.strip() or len(text) > _LONGEST_TEXT or not text.isprintable():
        raise click.BadParameter(f"write it on one line, in at most {_LONGEST_TEXT} characters", param_hint=name)


def _place(what: str) -> tuple[str, str]:
    machine, slash, condition = what.partition("/")
    if not (machine and slash and condition):
        raise click.BadParameter(
            "write MACHINE/CONDITION, for example press-07/oil_temperature_high or 'press-07/*'", param_hint="MACHINE/CONDITION"
        )
    check_text("MACHINE/CONDITION", what)
    return machine, condition


def _lasts(duration: str) -> float:
    try:
        return shelves.lasting(duration)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--for") from exc
