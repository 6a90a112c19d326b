"""`lineside ledger`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from gateway.cli import main, state_option


@main.command()
@state_option
@click.option("--since", default="7d", show_default=True, metavar="TIME", help="a duration (12h, 7d), a day or time in UTC, or all")
@click.option("--json", "as_json", is_flag=True, help="every line, as one JSON object")
def ledger(state_dir: Path, since: str, as_json: bool) -> None:
    """Did we lose anything? What, when, how much and why.

    The first line is the answer. Then what was lost by source or destination and reason, and what of it came later after
    all; then what is not lost but was not delivered yet. Times are UTC.
    """
    from gateway.commands.ledger import print_ledger, since_ns

    now_ns = time.time_ns()
    try:
        from_ns = since_ns(since, now_ns)
    except ValueError as exc:
        raise click.BadParameter(str(exc), param_hint="--since") from exc
    sys.exit(print_ledger(state_dir, from_ns, as_json=as_json))
