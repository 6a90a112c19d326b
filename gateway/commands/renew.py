"""`lineside forget`, `adopt` and `outbox try`: asked for here, done by the running gateway, whose answer is waited for."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, outbox_file, reading, writing
from gateway.commands.printing import printable
from gateway.commands.shelve import check_text
from gateway.commands.who import typed
from gateway.operators.renewal import NOT_DONE
from gateway.operators.urging import STILL
from gateway.outbox import requests
from gateway.outbox.ledger import last_alive_ns
from gateway.outbox.requests import Request

WAIT_SECONDS = 15.0
_LOOK_SECONDS = 0.2
_ALIVE_NS = 150 * 1_000_000_000
"""A running gateway writes down that it runs every minute."""


def ask(state_dir: Path, verb: str, what: str, *, watch: str | None, by: str | None, why: str) -> int:
    """Exit code 1: it was not done, with the reason."""
    machine, slash, tags = what.partition("/")
    if verb != "undo" and (not machine or (slash and not tags)):
        raise click.BadParameter("write MACHINE or MACHINE/TAG, for example press-07/oil_temperature", param_hint="MACHINE[/TAG]")
    who = typed() if by is None else f"{by} (command)"
    for name, text in (("--by", who), ("--why", why), ("MACHINE", what or "-"), ("--watch", watch or "-")):
        check_text(name, text)
    return _put(state_dir, Request(0, verb, watch or "", machine, tags, who, why, gateway_now_ns(state_dir)))


def try_now(state_dir: Path, destination: str, *, by: str | None, why: str) -> int:
    """Exit code 1: there is no such destination, or it takes nothing yet."""
    who = typed() if by is None else f"{by} (command)"
    for name, text in (("--by", who), ("--why", why or "-"), ("NAME", destination)):
        check_text(name, text)
    return _put(state_dir, Request(0, requests.TRY, "", destination, "", who, why, gateway_now_ns(state_dir)))


def _put(state_dir: Path, request: Request) -> int:
    """And wait for what the gateway says to it."""
    file = outbox_file(state_dir)
    with writing(file) as connection:
        number = requests.add(connection, request)
        runs = request.at_ns - last_alive_ns(connection) < _ALIVE_NS
    answer = _answer(file, number) if runs else ""
    if answer.startswith((NOT_DONE, STILL)):
        raise Refused(printable(answer))
    click.echo(printable(answer) or "nobody has taken it in yet: a gateway that runs does within seconds, else the next start does")
    return 0


def _answer(file: Path, number: int) -> str:
    """Of the running gateway; empty: it gave none."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        with reading(file) as connection:
            asked = requests.one(connection, number)
        if asked is None or asked.done_ns:
            return asked.answer if asked else ""
        time.sleep(_LOOK_SECONDS)
    return ""
