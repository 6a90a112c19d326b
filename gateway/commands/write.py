"""`lineside write`: set one tag that the configuration lists as writable, within its limits, with an audit line."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import click

from gateway.commands.database import Refused, outbox_file, writing
from gateway.commands.peers import context
from gateway.config import Settings
from gateway.config.settings import SourceSettings
from gateway.contract import ConfigError, NotConnected, Tag, Writer
from gateway.outbox.audit import audit

SECONDS = 20.0


def write(settings: Settings, path: str, value: float, *, who: str) -> int:
    """Exit code 0: the device took it. The audit says what is refused, and what is asked for before it is, so that no line is missing."""
    try:
        source, tag = _allowed(settings, path, value)
    except Refused as exc:
        with suppress(Refused):  # before its first start there is no audit
            _note(settings, path, f"refused: {exc}"[:300], value, who)
        raise
    _note(settings, path, "asked", value, who)
    try:
        asyncio.run(_write(settings, source, tag, value))
    except (NotConnected, ConfigError, TimeoutError) as exc:
        why = str(exc) or f"no answer within {SECONDS:g} s"
        _note(settings, path, f"failed: {why}"[:300], value, who)
        raise Refused(why) from exc
    _note(settings, path, "taken", value, who)
    click.echo(f"{path} = {value:g} {tag.options.unit}".rstrip())
    return 0


def _allowed(settings: Settings, path: str, value: float) -> tuple[SourceSettings, Tag]:
    source, tag = _tag(settings, path)
    limits = tag.options.writable
    if limits is None:
        raise Refused(f"{path} is not writable; the configuration would have to say writable: [low, high] at this tag")
    if not limits[0] <= value <= limits[1]:
        raise Refused(f"{value:g} is outside of what may be written to {path}: {limits[0]:g} to {limits[1]:g} {tag.options.unit}".rstrip())
    return source, tag


def _tag(settings: Settings, path: str) -> tuple[SourceSettings, Tag]:
    for source in settings.sources:
        for tag in source.tags:
            if tag.path == path:
                return source, tag
    raise Refused(f"there is no tag {path!r} in {settings.path}")


async def _write(settings: Settings, source: SourceSettings, tag: Tag, value: float) -> None:
    given = context(source.machine, tags=(tag,), state_dir=settings.state_dir, secrets=settings.path.parent)
    device = source.plugin.build(source.options, given)
    if not isinstance(device, Writer):
        raise ConfigError(f"the driver {source.plugin.name} cannot write")
    try:
        async with asyncio.timeout(SECONDS):
            await device.connect()
            await device.write(tag, value)
    finally:
        await device.close()


def _note(settings: Settings, path: str, what: str, value: float, who: str) -> None:
    with writing(outbox_file(settings.state_dir)) as connection:
        audit(connection, who=who, what="write", name=path, before=what, after=f"{value:g}", now_ns=time.time_ns())
