"""`lineside export ...`: folders and documents for the systems on the other side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import click

from gateway.cli import main


@main.group()
def export() -> None:
    """Write what other systems need to take our events."""


@export.command("salesforce")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--mode",
    type=click.Choice(["event", "record"]),
    default="event",
    show_default=True,
    help="what the gateway may do there: publish events, or write cases itself",
)
@click.option("--contact", default="gateway@example.com", show_default=True, help="e-mail address of whoever looks after the app there")
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="the gateways' certificate (PEM, no key): the app takes the JWT bearer grant; without it client credentials",
)
def export_salesforce(folder: Path, mode: Literal["event", "record"], contact: str, certificate: Path | None) -> None:
    """A source folder for Salesforce.

    FOLDER gets the event, the fields of Case, permissions, draft flows and the app to log in with. Deploy it
    with Salesforce's own command line; FOLDER/README.md has the steps. It contains no secret.
    """
    from gateway.commands.export_salesforce import write_folder

    sys.exit(write_folder(folder, mode=mode, contact=contact, certificate=certificate))


@export.command("asyncapi")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def export_asyncapi(file: Path | None) -> None:
    """Our events as an AsyncAPI 3.0.0 document.

    It has the subjects, headers and data of every event this gateway can send, and of the verdicts it takes. It is JSON,
    and goes to FILE or to standard output.
    """
    from gateway.commands.export_contracts import write_asyncapi

    sys.exit(write_asyncapi(file))


@export.command("jsonschema")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--open", "open_", is_flag=True, help="unknown properties are no error, as a consumer should have it; default: as released")
def export_jsonschema(folder: Path, open_: bool) -> None:
    """The contracts as JSON Schema.

    FOLDER gets every released version of every type, and registry.json with their hashes: what a gateway serves at /registry.
    """
    from gateway.commands.export_contracts import write_jsonschema

    sys.exit(write_jsonschema(folder, open_=open_))
