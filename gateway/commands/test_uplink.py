"""`lineside test-uplink`."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import click

from gateway.clock import SystemClock
from gateway.config import Settings
from gateway.config.secrets import Secrets
from gateway.config.settings import DestinationSettings
from gateway.contract import ConfigError, Event, NotConnected, OutcomeKind, Severity, Step, UplinkContext
from gateway.events.build import EventBuilder, rfc3339

Examination: TypeAlias = Callable[[Any, UplinkContext, Event | None], AsyncIterator[Step]]
_ARRIVED = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)


def examine(settings: Settings, name: str, *, live: bool, as_json: bool) -> int:
    """Exit code: 0 every step went well, 1 one failed, 2 no such destination, or a secret is not there."""
    found = [destination for destination in settings.destinations if destination.name == name]
    if not found:
        names = ", ".join(destination.name for destination in settings.destinations) or "none"
        click.echo(f"lineside: {settings.path} has no destination {name!r}; it has: {names}", err=True)
        return 2
    # What the uplink would log stands in the steps already.
    logging.getLogger("lineside").addHandler(logging.NullHandler())
    try:
        with tempfile.TemporaryDirectory(prefix="lineside-test-uplink-") as folder:
            return asyncio.run(_walk(settings, found[0], Path(folder), live=live, as_json=as_json))
    except ConfigError as exc:
        click.echo(f"lineside: {name}: {exc}", err=True)
        return 2


async def _walk(settings: Settings, destination: DestinationSettings, folder: Path, *, live: bool, as_json: bool) -> int:
    """The state folder is one of its own: a running gateway keeps its tokens and watermarks to itself."""
    clock = SystemClock()
    context = UplinkContext(
        name=destination.name,
        source=settings.site.urn,
        clock=clock,
        state_dir=folder,
        secret=Secrets(settings.path.parent),
    )
    event = marked(settings.site.urn, clock.now_ns()) if live else None
    steps = (destination.plugin.examine or _plainly(destination))(destination.options, context, event)
    if not as_json:
        click.echo(f"{destination.name} ({destination.plugin.name})")
    every = True
    async for step in steps:
        every = every and step.ok
        click.echo(json.dumps({"destination": destination.name, **asdict(step)}) if as_json else _shown(step))
    if every and not live and not as_json:
        click.echo("nothing was sent; with --live one marked event is")
    return 0 if every else 1


def marked(source: str, now_ns: int) -> Event:
    """A fact that says of itself that it is a test; it opens no incident."""
    gateway = source.rsplit(":", 1)[-1]
    data = {"machine": gateway, "title": f"{gateway}: test of the uplink, please ignore", "detector": "test-uplink", "at": rfc3339(now_ns)}
    return EventBuilder(source).of_gateway("tested", data, severity=Severity.INFO, now_ns=now_ns)


def _shown(step: Step) -> str:
    line = f"  {'ok' if step.ok else 'failed':<8}{step.name:<16}{step.said}"
    return f"{line}\n{'':10}{'note:' if step.ok else 'to do:':<16}{step.remedy}" if step.remedy else line


def _plainly(destination: DestinationSettings) -> Examination:
    """For an uplink that brings no examination of its own: connect, and with an event deliver it."""

    async def steps(options: Any, context: UplinkContext, event: Event | None) -> AsyncIterator[Step]:
        uplink = destination.plugin.build(options, context)
        try:
            await uplink.connect()
            yield Step("connect", True, "the receiver is there")
            if event is not None:
                outcome = (await uplink.send([event]))[0]
                ok = outcome.kind in _ARRIVED
                yield Step("test event", ok, f"{event.id}: {outcome.kind.value} {outcome.reason}".rstrip())
        except NotConnected as exc:
            yield Step("connect", False, str(exc), "check the address, the network and the credentials")
        finally:
            await uplink.close()

    return steps
