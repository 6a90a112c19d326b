"""`lineside health`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import config_argument, main


@main.command()
@config_argument
@click.option("--wait", "wait_seconds", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="until it is healthy, at most")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def health(file: Path, wait_seconds: float, as_json: bool) -> None:
    """Is the gateway well?

    Asks its page, or looks at its state if it has none. FILE is /etc/lineside/lineside.yaml if you give none.

    Exit code 0: healthy, 1: not, 2: wrong input.
    """
    from gateway.commands.health import health as look

    sys.exit(look(file, wait_seconds=wait_seconds, as_json=as_json))
