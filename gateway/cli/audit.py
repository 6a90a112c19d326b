"""`lineside audit ...`: who changed what, and whether it is still what was written."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option


@main.group()
def audit() -> None:
    """Who did what, and whether that is still as written."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="how many")
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
@state_option
def audit_list(limit: int, as_json: bool, state_dir: Path) -> None:
    """The latest lines, the newest first."""
    from gateway.commands.audit import print_list

    sys.exit(print_list(state_dir, limit, as_json=as_json))


@audit.command("verify")
@click.option("--contains", metavar="HASH", help="a hash kept elsewhere (the log names one at each start): is it in the chain?")
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
@state_option
def audit_verify(contains: str | None, as_json: bool, state_dir: Path) -> None:
    """Recompute the chain of hashes.

    Finds a line that was changed, removed, put in or moved, and an end that was cut off. Exit code 1: names the first bad line.
    """
    from gateway.commands.audit import verify

    sys.exit(verify(state_dir, contains, as_json=as_json))


@audit.command("export")
@click.argument("target", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE")
@state_option
def audit_export(target: Path, state_dir: Path) -> None:
    """Write all of it into the new FILE as JSON lines, each with its hash, for keeping elsewhere."""
    from gateway.commands.audit import export

    sys.exit(export(state_dir, target))


@audit.command("accept")
@click.option("--why", metavar="TEXT", required=True, help="what happened; it stands in the audit")
@state_option
def audit_accept(why: str, state_dir: Path) -> None:
    """After a loss that is understood (a damaged disk, a restored backup): let the chain begin anew behind what is there.

    What was found wrong stays in the audit, in this command's line.
    """
    from gateway.commands.audit import accept

    sys.exit(accept(state_dir, why))
