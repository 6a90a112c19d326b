"""`lineside backup`, `restore`, `wipe`, `enrol`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import DEFAULT_CONFIG, main

config_option = click.option(
    "--config", type=click.Path(path_type=Path), default=DEFAULT_CONFIG, show_default=True, metavar="FILE", help="of the gateway"
)
passphrase_option = click.option(
    "--passphrase-file", type=click.Path(path_type=Path), metavar="FILE", help="with mode 0600; otherwise it is asked for"
)


@main.command()
@config_option
@click.option(
    "--to", "target", type=click.Path(path_type=Path), metavar="FILE|FOLDER", help="a folder: the name says whose and when; default: here"
)
@click.option("--keep", type=click.IntRange(min=1), metavar="N", help="delete all but the newest N of this gateway in the folder")
@click.option("--with-secrets", is_flag=True, help="also secrets, credentials and private keys, sealed with a passphrase")
@passphrase_option
@click.option("--verify", type=click.Path(path_type=Path), metavar="FILE", help="only check this backup, every byte of it")
@click.option("--json", "as_json", is_flag=True, help="one JSON object")
def backup(
    config: Path,
    target: Path | None,
    keep: int | None,
    with_secrets: bool,
    passphrase_file: Path | None,
    verify: Path | None,
    as_json: bool,
) -> None:
    """Copy outbox, what was learnt, and configuration.

    The gateway runs on meanwhile. One file, readable by its owner only, that is read back before it counts.

    Exit code 0: done, 1: failed, 2: cannot.
    """
    from gateway.commands.backup import backup as take
    from gateway.commands.backup import verify as check

    if verify is not None:
        sys.exit(check(verify, as_json=as_json))
    if passphrase_file is not None and not with_secrets:
        raise click.UsageError("--passphrase-file is for --with-secrets")
    sys.exit(take(config, target, keep=keep, with_secrets=with_secrets, passphrase_file=passphrase_file, as_json=as_json))


@main.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--state-dir", type=click.Path(path_type=Path), metavar="FOLDER", help="default: as the configuration in the backup says")
@click.option("--config-dir", type=click.Path(path_type=Path), default=Path(DEFAULT_CONFIG).parent, show_default=True, metavar="FOLDER")
@click.option("--as-new-device", is_flag=True, help="without the identity, OPC UA certificate and MQTT client ids of the old one")
@passphrase_option
@click.option("--yes", is_flag=True, help="do not ask")
@click.option("--finish", is_flag=True, help="go on with a restore that was interrupted; needs --state-dir")
def restore(
    file: Path | None,
    state_dir: Path | None,
    config_dir: Path,
    as_new_device: bool,
    passphrase_file: Path | None,
    yes: bool,
    finish: bool,
) -> None:
    """Put a backup in place, on this device or another.

    Not while a gateway runs on the state folder. What is there is put aside, not deleted. No sequence and no id is used
    twice: a new epoch begins.

    Exit code 0: restored, 1: not, 2: cannot.
    """
    from gateway.commands.restore import finish as go_on
    from gateway.commands.restore import restore as put

    if finish:
        if state_dir is None or file is not None:
            raise click.UsageError("--finish needs --state-dir and no FILE")
        sys.exit(go_on(state_dir))
    if file is None:
        raise click.UsageError("name the backup: lineside restore FILE")
    sys.exit(put(file, state_dir, config_dir, as_new_device=as_new_device, passphrase_file=passphrase_file, yes=yes))


@main.command()
@config_option
@click.option("--configuration", is_flag=True, help="also the configuration itself, not only the secrets in its folder")
@click.option("--yes", is_flag=True, help="do not ask")
def wipe(config: Path, configuration: bool, yes: bool) -> None:
    """Delete secrets, keys and all state, for decommissioning.

    Names what goes and asks. Overwrites before it deletes, keys first; says what flash media cannot guarantee. Not while
    the gateway runs.

    Exit code 0: all is gone, 1: not, 2: cannot.
    """
    from gateway.commands.wipe import wipe as delete

    sys.exit(delete(config, configuration=configuration, yes=yes))


@main.command()
@config_option
@click.option("--state-dir", type=click.Path(path_type=Path), metavar="FOLDER", help="default: as the configuration says")
@click.option("--show", is_flag=True, help="print the claim there is, make none")
@click.option("--renew", is_flag=True, help="a new code for the same device; the one before is void")
@click.option("--days", type=click.FloatRange(min=0.01, max=366), default=7.0, show_default=True, help="how long a new code is valid")
@click.option("--json", "as_json", is_flag=True, help="code and signed claim, for a console")
def enrol(config: Path, state_dir: Path | None, show: bool, renew: bool, days: float, as_json: bool) -> None:
    """Print the code that claims this device for the fleet.

    Makes the device's key once. Needs no network, and no configuration if you give --state-dir.

    Exit code 0: here it is, 1: none, or expired, 2: cannot.
    """
    from gateway.commands.enrol import enrol as claim

    if show and renew:
        raise click.UsageError("give --show or --renew, not both")
    sys.exit(claim(config, state_dir, days=days, renew=renew, show=show, as_json=as_json))
