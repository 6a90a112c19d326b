"""`lineside enrol`."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import click
import msgspec

from gateway.commands.failing import FAILED, answered
from gateway.commands.printing import document, printable, when
from gateway.commands.record import record
from gateway.config.glance import glance
from gateway.life.claim import Claim
from gateway.life.identity import current
from gateway.life.identity import enrol as make


def enrol(config: Path, state_dir: Path | None, *, days: float, renew: bool, show: bool, as_json: bool) -> int:
    """Exit code: 0 here is the claim, 1 there is none to show, or it has expired, 2 cannot."""
    return answered(lambda: _enrol(config, state_dir, days, renew, show, as_json))


def _enrol(config: Path, state_dir: Path | None, days: float, renew: bool, show: bool, as_json: bool) -> int:
    gateway = ""
    if state_dir is None or config.exists():  # at the first boot there may be no configuration yet
        known = glance(config)
        state_dir, gateway = state_dir or known.state_dir, known.urn
    now = time.time()
    before = current(state_dir)
    claim = before if show else make(state_dir, gateway=gateway, days=days, renew=renew, now=now)
    if claim is not None and claim != before:
        record(state_dir, "claim made", claim.device, after=f"until {when(claim.expires * 1_000_000_000)}")
    if claim is None:
        click.echo("lineside: there is no claim yet; lineside enrol makes one", err=True)
        return FAILED
    _tell(claim, as_json)
    if now >= claim.expires:
        click.echo("lineside: this claim has expired; lineside enrol --renew makes a new one", err=True)
        return FAILED
    return 0


def _tell(claim: Claim, as_json: bool) -> None:
    if as_json:
        click.echo(document({"code": claim.code, "claim": msgspec.to_builtins(claim)}))
        return
    click.echo(f"claim code  {claim.code}")
    click.echo(f"device      {claim.device}")
    click.echo(f"gateway     {printable(claim.gateway) or f'not configured yet, host {printable(socket.gethostname())}'}")
    click.echo(f"valid until {when(claim.expires * 1_000_000_000)}")
