"""`lineside config ...`: signed configurations."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import config_argument, main


@main.group()
def config() -> None:
    """Sign a configuration, and see by whom it is signed.

    A gateway with public keys in trusted-keys/ beside its file takes only files signed with one of them.
    """


@config.command("key")
@click.argument("name", type=click.Path(path_type=Path, dir_okay=False), metavar="NAME")
def config_key(name: Path) -> None:
    """Make a pair of keys: NAME.key, which signs and stays secret, and NAME.pem for trusted-keys/."""
    from gateway.commands.config import make_key

    sys.exit(make_key(name))


@config.command("sign")
@config_argument
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), required=True, help="NAME.key of `lineside config key`")
def config_sign(file: Path, key: Path) -> None:
    """Sign FILE and the lists of tags it names: writes FILE.sig. FILE must be without errors; its secrets need not be here."""
    from gateway.commands.config import sign_file

    sys.exit(sign_file(file, key))


@config.command("verify")
@config_argument
def config_verify(file: Path) -> None:
    """Say by whom FILE is signed, when, and what the signature covers. Exit code 2: it would be refused."""
    from gateway.commands.config import verify_file

    sys.exit(verify_file(file))
