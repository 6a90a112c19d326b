"""`lineside health`: is the gateway well, as far as a restart or a rollback could mend it?"""

from __future__ import annotations

import http.client
import json
import time
from pathlib import Path
from typing import NamedTuple

import click

from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused, outbox_file, reading
from gateway.commands.failing import FAILED, answered
from gateway.commands.page import ask, has_page
from gateway.commands.printing import document, printable
from gateway.config.glance import Glance, glance
from gateway.outbox.ledger import last_alive_ns
from gateway.outbox.lock import held

_LOOK_SECONDS = 0.5
_ALIVE_SECONDS = 150.0
"""A running gateway writes down that it runs every minute."""


class Health(NamedTuple):
    healthy: bool
    why: str


def health(config: Path, *, wait_seconds: float, as_json: bool) -> int:
    """Exit code: 0 healthy, 1 not (after `wait_seconds`), 2 wrong input."""
    return answered(lambda: _health(config, wait_seconds, as_json))


def _health(config: Path, wait_seconds: float, as_json: bool) -> int:
    until = time.monotonic() + wait_seconds
    known = glance(config)
    found = look(known)
    while not found.healthy and (left := until - time.monotonic()) > 0:
        time.sleep(min(_LOOK_SECONDS, left))
        found = look(known)
    if as_json:
        click.echo(document({"healthy": found.healthy, "why": found.why}))
    else:
        click.echo(f"{'healthy' if found.healthy else 'not healthy'}: {printable(found.why)}")
    return 0 if found.healthy else FAILED


def look(known: Glance) -> Health:
    """Once."""
    return of_page(known) if has_page(known) else of_state(known.state_dir)


def of_page(known: Glance) -> Health:
    """What /healthz answers within a deadline; whoever asks needs no token."""
    host, port = known.page or ("", 0)
    try:
        status, body = ask(known, "/healthz")
    except (OSError, http.client.HTTPException) as exc:
        return Health(False, f"the page at {host}:{port} does not answer: {exc}")
    if status == http.client.OK:
        return Health(True, f"the page at {host}:{port} says so")
    return Health(False, f"the page at {host}:{port} answers {status}: {_facts(body)}")


def _facts(body: bytes) -> str:
    try:
        facts = json.loads(body)
    except ValueError:
        return body[:200].decode("utf-8", "replace")
    return ", ".join(f"{name}={value}" for name, value in facts.items()) if isinstance(facts, dict) else str(facts)[:200]


def of_state(state_dir: Path) -> Health:
    """Without a page: somebody holds the lock, and wrote down lately that it runs."""
    if not held(state_dir):
        return Health(False, f"no gateway runs with the state folder {state_dir}")
    try:
        with reading(outbox_file(state_dir)) as connection:
            seconds = (gateway_now_ns(state_dir) - last_alive_ns(connection)) / 1e9  # noted by its own clock
    except Refused as exc:
        return Health(False, exc.message)
    if abs(seconds) > _ALIVE_SECONDS:
        return Health(False, f"a gateway runs, but its last sign of life is {seconds:,.0f} s old")
    return Health(True, f"a gateway runs, its last sign of life is {seconds:,.0f} s old; it has no page to ask")
