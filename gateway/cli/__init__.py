"""The command `lineside`: options and help.

A command is imported when it is asked for, and what it does when it runs: `check` is quick, and the gateway carries no other.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gateway import __version__
from gateway.cli.lazy import Commands

if TYPE_CHECKING:
    from gateway.config import Settings

DEFAULT_CONFIG = "/etc/lineside/lineside.yaml"
EXIT_CRASH, EXIT_CONFIG = 1, 2

MODULES = {
    "gateway.cli.accounts": ("user", "token"),
    "gateway.cli.audit": ("audit",),
    "gateway.cli.backtest": ("backtest",),
    "gateway.cli.config": ("config",),
    "gateway.cli.devices": ("browse", "probe", "plan", "tail", "commission", "write", "trust"),
    "gateway.cli.dlq": ("dlq",),
    "gateway.cli.export": ("export",),
    "gateway.cli.feedback": ("feedback",),
    "gateway.cli.firmware": ("firmware",),
    "gateway.cli.ledger": ("ledger",),
    "gateway.cli.life": ("backup", "restore", "wipe", "enrol"),
    "gateway.cli.operators": ("shelve", "unshelve", "forget", "adopt"),
    "gateway.cli.outbox": ("outbox",),
    "gateway.cli.support": ("health", "clock", "doctor", "bundle"),
    "gateway.cli.uplink": ("test-uplink",),
}

config_argument = click.argument("file", type=click.Path(path_type=Path), default=DEFAULT_CONFIG)
state_option = click.option(
    "--state-dir", type=click.Path(path_type=Path), default=Path("/var/lib/lineside"), show_default=True, help="where the outbox lies"
)


@click.group(cls=Commands, modules=MODULES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lineside")
def main() -> None:
    """Edge gateway of the factory floor: reads machines, notices faults, delivers one case each."""


@main.command()
@config_argument
@click.option("--json", "as_json", is_flag=True, help="one JSON object per problem")
def check(file: Path, as_json: bool) -> None:
    """Say everything that is wrong with FILE; touches no network.

    FILE is /etc/lineside/lineside.yaml if you give none. Exit code 0: fine, 2: problems.
    """
    from gateway.commands.check import check_file

    sys.exit(check_file(file, as_json=as_json))


@main.command()
@click.option("--write", type=click.Path(path_type=Path), metavar="FILE", help="write to this file instead of printing")
@click.option("--events", type=click.Path(path_type=Path), metavar="FOLDER", help="write the contracts of all event types into this folder")
def schema(write: Path | None, events: Path | None) -> None:
    """Print the JSON Schema of lineside.yaml, for editors."""
    from gateway.commands.schema import write_contracts, write_schema

    if events is not None and write is not None:
        raise click.UsageError("give --write FILE or --events FOLDER, not both")
    sys.exit(write_schema(write) if events is None else write_contracts(events))


@main.command()
@config_argument
@click.option(
    "--log",
    "style",
    type=click.Choice(["auto", "json", "journal", "console"]),
    default="auto",
    show_default=True,
    help="how the log is written",
)
def run(file: Path, style: str) -> None:
    """Run the gateway with FILE until SIGTERM; SIGHUP reloads it.

    FILE is /etc/lineside/lineside.yaml if you give none.
    """
    # Before numpy is imported. Small arrays on a small machine: a library's threads would only fight for the core.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from gateway import heap, lean

    heap.keep_small()
    lean.import_lean()
    from gateway.commands.run import finish_restore, run_gateway

    finish_restore(file)
    sys.exit(run_gateway(load_or_exit(file), style))


@main.command()
@click.option("--pid", type=click.IntRange(min=1), required=True, help="of the gateway; systemd's $MAINPID")
@click.option("--seconds", type=click.FloatRange(min=1), default=50.0, show_default=True, help="wait this long for its answer")
def reload(pid: int, seconds: float) -> None:
    """Have a gateway under systemd take its changed file.

    Waits for its answer; `systemctl reload lineside` runs it.

    Exit code 0: accepted, 1: refused (the old configuration runs on), 2: nobody to ask.
    """
    from gateway.commands.reload import reload_gateway

    sys.exit(reload_gateway(pid, seconds))


@main.command()
@click.option("--seconds", type=click.FloatRange(min=30), help="run the story in this time, unattended, then stop")
@click.option("--json", "summary", type=click.Path(path_type=Path), help="write a summary to this file")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path("demo-run"),
    show_default=True,
    help="where YAML and state are left to look at",
)
@click.option("--port", default=8080, show_default=True, help="of the local page; 0 = any")
def demo(seconds: float | None, summary: Path | None, folder: Path, port: int) -> None:
    """Tell one story: a plant, a fault, one case in a CRM.

    A simulated plant behind real protocol servers, the gateway, and a receiver of its events.
    """
    from gateway.demo.story import run_demo

    sys.exit(run_demo(seconds=seconds, summary=summary, folder=folder, port=port))


def load_or_exit(file: Path) -> Settings:
    """Settings, or every problem on standard error and exit code 2."""
    from gateway.config import ConfigErrors, load, render

    try:
        return load(file)
    except ConfigErrors as exc:
        click.echo(render(exc.problems), err=True)
        click.echo(f"{len(exc.problems)} problem{'s' if len(exc.problems) != 1 else ''}; nothing was started", err=True)
        sys.exit(EXIT_CONFIG)
