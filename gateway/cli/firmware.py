"""`lineside firmware ...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from gateway.cli import main


@main.group()
def firmware() -> None:
    """The settings of the operating system that a gateway relies on."""


@firmware.command("apply")
@click.argument("parts", nargs=-1, metavar="[PART]...")
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path("/"),
    show_default=True,
    help="of the system, or of a mounted image",
)
@click.option("--board", type=click.Choice(["rpi", "ipc"]), help="Raspberry Pi or x86; found out if you do not say")
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="FOLDER",
    help="with manifest.yaml and the files; by default what came with this version",
)
@click.option("--dry-run", is_flag=True, help="only show what would change")
@click.option("--yes", is_flag=True, help="write without asking")
def firmware_apply(
    parts: tuple[str, ...], root: Path, board: Literal["rpi", "ipc"] | None, folder: Path | None, dry_run: bool, yes: bool
) -> None:
    """Show what differs, and write it after you agreed.

    PART is a folder of firmware-config; none: all that cannot lock you out. Those that can (nftables, networkmanager, cloud-init,
    overlayroot, ota) have to be named. Nothing is restarted: what has to be is printed.

    Exit code 0: as it should be, 1: differs, 2: cannot.
    """
    from gateway.commands.firmware import apply, default_folder

    if dry_run and yes:
        raise click.UsageError("give --dry-run or --yes, not both")
    sys.exit(apply(folder or default_folder(), root, board, parts, dry_run=dry_run, yes=yes))
