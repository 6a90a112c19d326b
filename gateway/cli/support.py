"""`lineside health`, `clock`, `doctor`, `bundle`."""

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


@main.command()
@click.option("--mark", type=click.Path(path_type=Path), metavar="FILE", help="wait until it is, then make FILE")
def clock(mark: Path | None) -> None:
    """Is this machine's clock synchronised?

    Asks the kernel, whom chrony, timesyncd or whoever sets it tells. lineside-clock.service runs it for the gateway, whose
    sandbox does not let it ask.

    Exit code 0: it is, 1: it is not, 2: FILE cannot be made.
    """
    from gateway.commands.clock import clock as ask

    sys.exit(ask(mark))


@main.command()
@config_argument
@click.option("--no-network", "offline", is_flag=True, help="do not connect to what the configuration names")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def doctor(file: Path, offline: bool, as_json: bool) -> None:
    """Say what is wrong around the gateway, with a remedy each.

    Clock, disk, certificates, permissions, network, configuration, versions, service, memory and temperature. As root it
    sees everything. FILE is /etc/lineside/lineside.yaml if you give none.

    Exit code 0: no errors, 1: errors, 2: wrong input.
    """
    from gateway.commands.doctor import doctor as look

    sys.exit(look(file, network=not offline, as_json=as_json))


@main.command()
@config_argument
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="FILE|FOLDER", help="default: here")
@click.option("--with-events", is_flag=True, help="also the newest events that wait or are kept: what happened at the machines")
@click.option("--hide-hosts", is_flag=True, help="host names and addresses become host-1, host-2, ...")
@click.option("--log-lines", type=click.IntRange(min=0, max=100_000), default=5000, show_default=True, help="of the journal")
def bundle(file: Path, target: Path | None, with_events: bool, hide_hosts: bool, log_lines: int) -> None:
    """Write what support needs to see into one file, without secrets.

    Configuration, versions, check, doctor, status, metrics, ledger, outbox and log. A list of what is in it is printed and
    in it. FILE is /etc/lineside/lineside.yaml if you give none.

    Exit code 0: written, 1: failed, 2: cannot.
    """
    from gateway.commands.bundle import bundle as write

    sys.exit(write(file, target, with_events=with_events, hide_hosts=hide_hosts, log_lines=log_lines))
