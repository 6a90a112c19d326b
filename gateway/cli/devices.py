"""Commands for commissioning: look at devices, plan, read once, write one value."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.cli import DEFAULT_CONFIG, config_argument, load_or_exit, main

if TYPE_CHECKING:
    from gateway.contract import SourceContext, SourcePlugin

config_option = click.option(
    "--config", "config", type=click.Path(path_type=Path), help=f"take a machine of this file; default {DEFAULT_CONFIG} for a name"
)
option_option = click.option(
    "--option",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    help="an option of the driver, as in the YAML: --option timeout=2s, --option password.secret=NAME",
)
state_dir_option = click.option(
    "--state-dir", type=click.Path(path_type=Path), help="of the gateway, for its certificates; default: of the file, or /var/lib/lineside"
)


def _peer(device: str, config: Path | None, given: tuple[str, ...], state_dir: Path | None) -> tuple[SourcePlugin, Any, SourceContext]:
    from gateway.commands.peers import by_address, by_name, context, usable_state_dir

    if "://" in device:
        plugin, options = by_address(device, given)
        name = "browse"
        folder = config.parent if config else Path()
        return plugin, options, context(name, options=options, state_dir=usable_state_dir(state_dir), secrets=folder)
    if given:
        raise click.UsageError("--option goes with an address; a machine's options stand in its file")
    settings = load_or_exit(config or Path(DEFAULT_CONFIG))
    source = by_name(settings, device)
    plugin, options, folder = source.plugin, source.options, settings.path.parent
    return plugin, options, context(device, options=options, state_dir=state_dir or settings.state_dir, secrets=folder)


@main.command()
@click.argument("device", metavar="ADDRESS|MACHINE")
@click.option("--select", default="", metavar="GLOB", help="only what has such a path, for example 'Objects/Press*/Temperature'")
@config_option
@option_option
@state_dir_option
def browse(device: str, select: str, config: Path | None, given: tuple[str, ...], state_dir: Path | None) -> None:
    """Print what a server has, as a CSV that tags_from reads.

    lineside browse opc.tcp://10.1.4.20:4840 > tags.csv. Only reads. Columns that begin with # are for you.
    """
    from gateway.commands.browse import browse as run

    plugin, options, context = _peer(device, config, given, state_dir)
    sys.exit(run(plugin, options, context, select))


@main.command()
@click.argument("device", metavar="ADDRESS|MACHINE")
@config_option
@option_option
@state_dir_option
def probe(device: str, config: Path | None, given: tuple[str, ...], state_dir: Path | None) -> None:
    """Find out gently what a device has, and print YAML.

    lineside probe modbus://10.1.4.7 > press.yaml. Only reads, one request at a time. Comments show each value in all byte orders:
    keep the plausible one.
    """
    from gateway.commands.browse import probe as run

    plugin, options, context = _peer(device, config, given, state_dir)
    sys.exit(run(plugin, options, context))


@main.command()
@config_argument
@click.option("--events-per-day", type=click.FloatRange(min=0), help="instead of the guess from the detectors' rates of false alarms")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def plan(file: Path, events_per_day: float | None, as_json: bool) -> None:
    """Say what FILE will cost, before anything is connected.

    Requests, bytes, cycle time and load of shared lines per device; events a day and how long the buffer holds. Exit code 2: a
    serial line would be more than 80 % busy.
    """
    from gateway.commands.plan import plan as run

    sys.exit(run(load_or_exit(file), events_per_day=events_per_day, as_json=as_json))


@main.command()
@click.argument("globs", nargs=-1, metavar="[GLOB]...")
@click.option("--url", default="http://127.0.0.1:8080", show_default=True, help="of the gateway's page")
@click.option("--every", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="seconds")
@click.option("--count", type=click.IntRange(min=1), help="stop after so many looks")
def tail(globs: tuple[str, ...], url: str, every: float, count: int | None) -> None:
    """Live values of a running gateway.

    lineside tail 'press-*/oil_*' shows some. A table on a terminal, else a line with tabs for each change.
    Once there are accounts it needs a token in $LINESIDE_TOKEN.
    """
    from gateway.commands.tail import tail as run

    sys.exit(run(url, globs, every=every, count=count))


@main.command()
@config_argument
@click.option("--report", type=click.Path(path_type=Path), metavar="OUT.html", help="write the hand-over document")
@click.option("--wait", "wait_seconds", type=click.FloatRange(min=1), default=30.0, show_default=True, help="seconds for values to come")
def commission(file: Path, report: Path | None, wait_seconds: float) -> None:
    """Read every tag of FILE once and write the hand-over document.

    It says what is not as it should be: connection, range, unit, freshness, time and certificates. Devices that take only one
    connection need the gateway stopped. Exit code 1: something is not as it should be.
    """
    from gateway.commands.commission import commission as run

    sys.exit(run(load_or_exit(file), report, wait_seconds=wait_seconds))


@main.command()
@config_argument
@click.argument("tag", metavar="MACHINE/TAG")
@click.argument("value", type=float)
@click.option("--by", default=None, help="who wants it; default: you")
@click.option("--yes", is_flag=True, help="do not ask")
def write(file: Path, tag: str, value: float, by: str | None, yes: bool) -> None:
    """Set one tag that FILE lists as writable, within its limits.

    The gateway itself never writes to a device. Every attempt has its line in the audit trail.
    """
    from gateway.commands.who import typed
    from gateway.commands.write import write as run

    if not yes:
        click.confirm(f"write {value:g} to {tag}?", abort=True, err=True)
    sys.exit(run(load_or_exit(file), tag, value, who=by or typed()))


@main.group()
def trust() -> None:
    """Certificates of this gateway and of the servers it talks to.

    A server whose certificate nobody has accepted is refused and its certificate is kept as rejected.
    """


pki_option = click.option(
    "--state-dir", type=click.Path(path_type=Path), default=Path("/var/lib/lineside"), show_default=True, help="of the gateway"
)


@trust.command("list")
@pki_option
def trust_list(state_dir: Path) -> None:
    """All of them: ours, trusted and rejected ones."""
    from gateway.commands.trust import print_list

    sys.exit(print_list(state_dir / "pki"))


@trust.command("show")
@pki_option
@click.argument("thumbprint")
def trust_show(state_dir: Path, thumbprint: str) -> None:
    """One of them; the beginning of its thumbprint is enough."""
    from gateway.commands.trust import print_one

    sys.exit(print_one(state_dir / "pki", thumbprint))


@trust.command("accept")
@pki_option
@click.argument("thumbprint")
def trust_accept(state_dir: Path, thumbprint: str) -> None:
    """From now on the one who shows it is trusted. Compare the thumbprint with what the server itself shows."""
    from gateway.commands.trust import move

    sys.exit(move(state_dir / "pki", thumbprint, accept=True))


@trust.command("reject")
@pki_option
@click.argument("thumbprint")
def trust_reject(state_dir: Path, thumbprint: str) -> None:
    """It is not trusted any more."""
    from gateway.commands.trust import move

    sys.exit(move(state_dir / "pki", thumbprint, accept=False))
