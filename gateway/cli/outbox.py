"""`lineside outbox ...`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option

destination_option = click.option("--destination", metavar="NAME", help="only of this one")
limit_option = click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="how many")
from_option = click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="of this file instead, for example of outbox.db.damaged-TIME",
)
by_option = click.option("--by", metavar="NAME", help="who wants it; default: your user name")
target_argument = click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")


@main.group()
def outbox() -> None:
    """Look at the events that wait for delivery, and move them."""


@outbox.command("list")
@state_option
@destination_option
@click.option("--lane", type=click.Choice(["urgent", "ordered", "aside"]), help="only of this lane")
@limit_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def outbox_list(state_dir: Path, destination: str | None, lane: str | None, limit: int, as_json: bool) -> None:
    """What waits: urgent, in order, set aside, the oldest first.

    With each event how often it was tried, and what came of it last.
    """
    from gateway.commands.outbox import print_list
    from gateway.outbox.tally import Lane

    sys.exit(print_list(state_dir, destination=destination, lane=Lane[lane.upper()] if lane else None, limit=limit, as_json=as_json))


@outbox.command("show")
@state_option
@click.argument("event_id")
def outbox_show(state_dir: Path, event_id: str) -> None:
    """One event as the CloudEvent it will be sent as, and where it waits.

    EVENT_ID may be the beginning of an id, if only one begins with it.
    """
    from gateway.commands.outbox import print_event

    sys.exit(print_event(state_dir, event_id))


@outbox.command("stats")
@state_option
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
def outbox_stats(state_dir: Path, as_json: bool) -> None:
    """Stored, delivered, waiting and lost, by destination.

    What waits is counted row by row. Exit code 1 if the sum does not balance.
    """
    from gateway.commands.outbox import print_stats

    sys.exit(print_stats(state_dir, as_json=as_json))


@outbox.command("check")
@state_option
def outbox_check(state_dir: Path) -> None:
    """Look for damage in the whole file; changes nothing.

    SQLite's integrity check, the checksum of every row, rows that belong to nothing, the sum of all counts. Says what a
    start of the gateway would do. Exit code 0: sound, 1: damaged. The gateway may run; looking takes some seconds per
    gigabyte, in which its WAL may grow.
    """
    from gateway.commands.outbox_check import check

    sys.exit(check(state_dir))


@outbox.command("export")
@target_argument
@state_option
@destination_option
@from_option
def outbox_export(target: Path, state_dir: Path, destination: str | None, source: Path | None) -> None:
    """Write what waits into the new FILE as JSON lines.

    One line per event and destination: where it waits, and the CloudEvent. Works on a damaged file, too: what cannot be
    read is left out, and counted.
    """
    from gateway.commands.database import outbox_file
    from gateway.commands.outbox_export import export, waiting

    sys.exit(export(source or outbox_file(state_dir), target, waiting, destination=destination, what="event"))


@outbox.command("move")
@state_option
@click.argument("old")
@click.argument("new")
def outbox_move(state_dir: Path, old: str, new: str) -> None:
    """What waits for OLD, which was renamed or removed, goes to NEW.

    Order is kept, and what waits for NEW already is not doubled; what NEW was given before may come again, with the same id. OLD must
    not be configured any more. The gateway may run.
    """
    from gateway.commands.outbox_move import move

    sys.exit(move(state_dir, old, new))


@outbox.command("try")
@state_option
@by_option
@click.option("--why", metavar="TEXT", default="", help="the reason; it stands in the audit")
@click.argument("name")
def outbox_try(state_dir: Path, by: str | None, why: str, name: str) -> None:
    """Have the gateway try the destination NAME now.

    For when what it refused is mended (a login, a permission, a quota): the gateway asks again by itself, but after a refused login
    or permission only every 15 minutes. A running gateway does it within seconds, and this command waits for its answer; else the next
    start does.
    """
    from gateway.commands.renew import try_now

    sys.exit(try_now(state_dir, name, by=by, why=why))
