"""`lineside outbox ...`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option


@main.group()
def outbox() -> None:
    """Look at the events that wait for delivery."""


@outbox.command("list")
@state_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, help="how many")
@click.option("--parked", is_flag=True, help="only dead letters, with their reason")
def outbox_list(state_dir: Path, limit: int, parked: bool) -> None:
    """The oldest waiting events."""
    from gateway.commands.outbox import print_list

    sys.exit(print_list(state_dir, limit, parked=parked))


@outbox.command("show")
@state_option
@click.argument("event_id")
def outbox_show(state_dir: Path, event_id: str) -> None:
    """One event as the CloudEvent it will be sent as."""
    from gateway.commands.outbox import print_event

    sys.exit(print_event(state_dir, event_id))


@outbox.command("stats")
@state_option
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
def outbox_stats(state_dir: Path, as_json: bool) -> None:
    """Stored, delivered, waiting and lost, by destination.

    Exit code 1 if the sum does not balance.
    """
    from gateway.commands.outbox import print_stats

    sys.exit(print_stats(state_dir, as_json=as_json))


@outbox.command("ledger")
@state_option
def outbox_ledger(state_dir: Path) -> None:
    """What was lost: from, to, how much and why."""
    from gateway.commands.outbox import print_ledger

    sys.exit(print_ledger(state_dir))
