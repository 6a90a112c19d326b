"""Connects one source, reads it, and hands on what it read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

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


async def run_source(build: Callable[[], Source], inbox: Inbox, link: Link, *, clock: Clock, status: Status, loading: Executor) -> None:
    """The source for as long as the configuration names it. It is built in `loading`: its library may take seconds to import."""
    built: list[Source] = []

    async def one_life() -> None:
        if not built:
            built.append(await asyncio.get_running_loop().run_in_executor(loading, build))
        await pump(built[0], inbox, link, status)

    await supervise(link, one_life, clock, status)
