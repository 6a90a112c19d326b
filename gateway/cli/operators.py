"""`lineside shelve`, `unshelve`, `forget` and `adopt`: what people at the gateway want of it."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option

by_option = click.option("--by", metavar="NAME", help="who wants it; default: your user name")
watch_option = click.option("--watch", metavar="NAME", help="only this watch; default: all that look at the machine")


@main.command()
@click.argument("what", metavar="MACHINE/CONDITION")
@click.option("--for", "duration", metavar="TIME", help="how long: 30m, 8h, 2d; at most 7d")
@by_option
@click.option("--why", metavar="TEXT", help="the reason; it stands in the audit")
@click.option("--critical", is_flag=True, help="also what is critical")
@click.option("--json", "as_json", is_flag=True, help="with list: one JSON object per line")
@state_option
def shelve(what: str, duration: str | None, by: str | None, why: str | None, critical: bool, as_json: bool, state_dir: Path) -> None:
    """Tell nobody of an alarm for a while.

    `lineside shelve list` lists what is shelved. MACHINE/CONDITION as the incident has them, with * and ? as wildcards (in quotes).
    What still holds when the time is over is told then.
    What is critical is told all the same without --critical. The gateway may run.
    """
    from gateway.commands import shelve as command

    if what == "list":
        sys.exit(command.print_list(state_dir, as_json=as_json))
    if duration is None or why is None:
        raise click.UsageError("say for how long and why: --for 8h --why TEXT")
    sys.exit(command.add(state_dir, what, duration, by=by, why=why, critical=critical))


@main.command()
@click.argument("number", metavar="ID", type=click.IntRange(min=1))
@by_option
@state_option
def unshelve(number: int, by: str | None, state_dir: Path) -> None:
    """End a shelf before its time.

    ID is its number in `lineside shelve list`. What holds is told within seconds.
    """
    from gateway.commands.shelve import remove

    sys.exit(remove(state_dir, number, by=by))


@main.command()
@click.argument("what", metavar="[MACHINE[/TAG]]", required=False)
@watch_option
@click.option("--undo", metavar="WATCH", help="instead: bring back what this watch knew before the last forget or adopt")
@by_option
@click.option("--why", metavar="TEXT", required=True, help="the reason; it stands in the audit")
@state_option
def forget(what: str | None, watch: str | None, undo: str | None, by: str | None, why: str, state_dir: Path) -> None:
    """Have watches learn a machine anew, after a repair.

    TAG may have * and ? as wildcards (in quotes); without it the whole machine is meant. A running gateway does it within
    seconds, and this command waits for its answer; else the next start does.
    """
    from gateway.commands.renew import ask

    if (what is None) == (undo is None) or (undo is not None and watch is not None):
        raise click.UsageError("give MACHINE or MACHINE/TAG, or --undo WATCH")
    sys.exit(ask(state_dir, "undo" if undo else "forget", what or "", watch=undo or watch, by=by, why=why))


@main.command()
@click.argument("what", metavar="MACHINE[/TAG]")
@watch_option
@by_option
@click.option("--why", metavar="TEXT", required=True, help="the reason; it stands in the audit")
@state_option
def adopt(what: str, watch: str | None, by: str | None, why: str, state_dir: Path) -> None:
    """Have watches take what is now as the new normal.

    What is in alarm and stays as it is becomes normal at once, rather than in time. TAG may have * and ? as wildcards (in quotes).
    `lineside forget --undo WATCH` takes it back.
    """
    from gateway.commands.renew import ask

    sys.exit(ask(state_dir, "adopt", what, watch=watch, by=by, why=why))
