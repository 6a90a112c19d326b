"""Connects one source, reads it, and hands on what it read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from gateway.contract import Clock, Item, NotConnected, Source
from gateway.engine.inbox import Inbox
from gateway.stall import SOURCE, Stalled
from gateway.supervisor import supervise
from gateway.telemetry.status import Link, Status

log = logging.getLogger("lineside")
RETRY_SECONDS = 4.0
"""Between two attempts, at most: a machine that is on again shall be read within five seconds, and a local network bears it."""
CONNECT_SECONDS = 30.0
"""For the driver that does not keep the contract's ten seconds: without it, its machine would be lost without a word."""
CLOSE_SECONDS = 10.0
ACCEPTED_SECONDS, ACKNOWLEDGE_SECONDS = 0.5, 0.2
"""At the end, for what is on its way to the disk, and to say so: what its peer does not hear of it sends again, and a record that tells
no time would be another event."""


async def pump(source: Source, inbox: Inbox, link: Link, status: Status) -> None:
    """One life of a connection: ends with the error that ended it."""
    try:
        await _connect(source, link)
        status.up(link)
        while True:
            got = await source.read()
            await _emit(got if isinstance(got, list) else [got], inbox, source)
    finally:
        await _close(source, link)


async def _emit(items: list[Item], inbox: Inbox, source: Source) -> None:
    try:
        await inbox.emit(items)
    except asyncio.CancelledError:
        if await inbox.accepted(ACCEPTED_SECONDS):
            await _acknowledge(source)
        raise


async def _acknowledge(source: Source) -> None:
    """It does so at the start of `read`. What that would bring stays with its peer."""
    reading = asyncio.ensure_future(source.read())
    await asyncio.wait([reading], timeout=ACKNOWLEDGE_SECONDS)
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def _close(source: Source, link: Link) -> None:
    """A driver that hangs in it would stay lost without a word."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS) as deadline:
            await source.close()
    except TimeoutError:
        if not deadline.expired():
            raise
        log.warning("did not close", extra={"fields": {"source": link.name, "waited_seconds": CLOSE_SECONDS}})


async def _connect(source: Source, link: Link) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS) as deadline:
            await source.connect()
    except TimeoutError as exc:
        if not deadline.expired():
            raise
        raise NotConnected(link.name, f"did not connect within {CONNECT_SECONDS:g} s") from exc


async def run_source(build: Callable[[], Source], inbox: Inbox, link: Link, *, clock: Clock, status: Status, loading: Executor) -> None:
    """The source for as long as the configuration names it. It is built in `loading`: its library may take seconds to import."""
    built: list[Source] = []

    async def one_life() -> None:
        if not built:
            built.append(await asyncio.get_running_loop().run_in_executor(loading, build))
        try:
            await pump(built[0], inbox, link, status)
        except Stalled as exc:
            raise NotConnected(link.name, str(exc)) from None

    SOURCE.set(link.name)  # of this task alone, and of what the source starts
    await supervise(link, one_life, clock, status, longest=RETRY_SECONDS)
