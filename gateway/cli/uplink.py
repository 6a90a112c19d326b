"""`lineside test-uplink`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import DEFAULT_CONFIG, load_or_exit, main


@main.command("test-uplink")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
@click.option("--live", is_flag=True, help="also send one event that is marked as a test")
@click.option("--json", "as_json", is_flag=True, help="one JSON object per step")
def test_uplink(name: str, file: Path, live: bool, as_json: bool) -> None:
    """Examine a destination and say what to change.

    NAME is its name in the file. Each step is told: reach it, log in, permissions.

    FILE is /etc/lineside/lineside.yaml if you give none. Exit code 0: every step went well, 1: one failed,
    2: the configuration has problems or no such destination.
    """
    from gateway.commands.test_uplink import examine

    sys.exit(examine(load_or_exit(file), name, live=live, as_json=as_json))
