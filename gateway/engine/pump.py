"""Connects one source, reads it, and hands on what it read."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gateway.contract import Clock, Source
from gateway.engine.inbox import Inbox
from gateway.supervisor import supervise
from gateway.telemetry.status import Link, Status


async def pump(source: Source, inbox: Inbox, link: Link, status: Status) -> None:
    """One life of a connection: ends with the error that ended it."""
    try:
        await source.connect()
        status.up(link)
        while True:
            got = await source.read()
            await inbox.emit(got if isinstance(got, list) else [got])
    finally:
        await source.close()


async def run_source(build: Callable[[], Source], inbox: Inbox, link: Link, *, clock: Clock, status: Status) -> None:
    """The source for as long as the configuration names it."""
    await supervise(link, partial(pump, build(), inbox, link, status), clock, status)
