"""`lineside dlq ...`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.cli import main, state_option
from gateway.cli.outbox import destination_option, from_option, limit_option, target_argument

if TYPE_CHECKING:
    from gateway.commands.dlq import Which

F = TypeVar("F", bound=Callable[..., Any])
kind_option = click.option("--kind", type=click.Choice(["parked", "quarantined", "expired"]), help="only of this kind")


@main.group()
def dlq() -> None:
    """Dead letters: events that are not sent any more.

    Parked: a receiver refused them. Quarantined: they are damaged on disk. Expired: they were too old for their destination.
    They are kept until you send them again or drop them, or until keep_events_days is over.
    """


def which_options(command: F) -> F:
    """What `retry` and `drop` are for: ids, all, or one code; narrowed by destination and kind."""
    for decorate in (
        click.argument("ids", nargs=-1, metavar="[ID]..."),
        click.option("--all", "everything", is_flag=True, help="all of them"),
        click.option("--code", help="all that the receiver refused with this code"),
        destination_option,
        kind_option,
        state_option,
    ):
        command = decorate(command)
    return command


def _which(ids: tuple[str, ...], everything: bool, code: str | None, destination: str | None, kind: str | None) -> Which:
    from gateway.commands.dlq import Which
    from gateway.outbox.tally import Kind

    if bool(ids) + everything + (code is not None) != 1:
        raise click.UsageError("give IDs, or --all, or --code CODE; lineside dlq list shows them")
    return Which(ids=ids, code=code, destination=destination, kind=Kind[kind.upper()] if kind else None)


@dlq.command("list")
@state_option
@destination_option
@kind_option
@click.option("--code", help="only what the receiver refused with this code")
@limit_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def dlq_list(state_dir: Path, destination: str | None, kind: str | None, code: str | None, limit: int, as_json: bool) -> None:
    """Dead letters with the receiver's words, the oldest first."""
    from gateway.commands.dlq import Which, print_list
    from gateway.outbox.tally import Kind

    which = Which(destination=destination, kind=Kind[kind.upper()] if kind else None, code=code)
    sys.exit(print_list(state_dir, which, limit, as_json=as_json))


@dlq.command("show")
@state_option
@click.argument("event_id", metavar="ID")
def dlq_show(state_dir: Path, event_id: str) -> None:
    """One dead letter: the CloudEvent, and what became of it.

    ID may be the beginning of an id, if only one begins with it.
    """
    from gateway.commands.dlq import print_letter

    sys.exit(print_letter(state_dir, event_id))


@dlq.command("retry")
@which_options
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="PATH=VALUE",
    help="correct the data first, for example data.unit=bar; VALUE is JSON or text. May be given more than once",
)
@click.option(
    "--unset", "unsettings", multiple=True, metavar="PATH", help="take a property away, for example data.unit. May be given more than once"
)
def dlq_retry(
    ids: tuple[str, ...],
    everything: bool,
    code: str | None,
    destination: str | None,
    kind: str | None,
    state_dir: Path,
    settings: tuple[str, ...],
    unsettings: tuple[str, ...],
) -> None:
    """Send dead letters again, as they are or corrected.

    As they are, they go back to their old place in the order. With --set or --unset, a new event goes in the place
    of each; the original is kept and says by which one it was replaced. All or nothing: if one of them does not fit its contract,
    nothing is changed. The gateway may run.
    """
    from gateway.commands.dlq import changes, removals, retry

    which = _which(ids, everything, code, destination, kind)
    try:
        corrections = changes(settings)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--set") from exc
    try:
        without = removals(unsettings)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--unset") from exc
    sys.exit(retry(state_dir, which, corrections, without))


@dlq.command("drop")
@which_options
@click.option("--yes", is_flag=True, help="needed when no IDs are given")
def dlq_drop(
    ids: tuple[str, ...],
    everything: bool,
    code: str | None,
    destination: str | None,
    kind: str | None,
    state_dir: Path,
    yes: bool,
) -> None:
    """Give dead letters up for good; the ledger says so. The gateway may run."""
    from gateway.commands.dlq import drop

    sys.exit(drop(state_dir, _which(ids, everything, code, destination, kind), sure=yes or bool(ids)))


@dlq.command("export")
@target_argument
@state_option
@destination_option
@from_option
def dlq_export(target: Path, state_dir: Path, destination: str | None, source: Path | None) -> None:
    """Write dead letters into the new FILE as JSON lines.

    One line per event and destination: why it is one, and the CloudEvent. What is damaged is left out, and counted.
    """
    from gateway.commands.database import outbox_file
    from gateway.commands.outbox_export import dead, export

    sys.exit(export(source or outbox_file(state_dir), target, dead, destination=destination, what="dead letter"))
