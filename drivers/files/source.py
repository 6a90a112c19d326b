"""Reads what appears in a folder; what was read is moved when it is on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from drivers.files.config import FilesOptions
from drivers.files.spool import Spool
from drivers.rows.mapper import Mapper
from gateway.contract import Health, Item, NotConnected, SourceContext, Trouble

T = TypeVar("T")


class FilesSource:
    """See README.md. The disk is touched on asyncio's executor only, by one call at a time."""

    def __init__(self, options: FilesOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        mapper = Mapper(options, context.tags, context.records)
        self._spool = Spool(options, context.state_dir, mapper, context.clock)
        self._busy: asyncio.Future[Any] | None = None
        self._open = False

    async def connect(self) -> None:
        await self._on_thread(self._spool.open)
        self._open = True

    async def read(self) -> list[Item]:
        if not self._open:
            raise NotConnected(self._options.files, "not open")
        await self._on_thread(self._spool.commit)
        while True:
            items = await self._on_thread(self._spool.next)
            self._tell()
            if items:
                return items
            await self._context.clock.sleep(self._options.poll_seconds)

    async def close(self) -> None:
        self._open = False
        if self._busy is not None:
            await asyncio.wait([self._busy])  # after a cancelled call the thread may still have the file in its hands
            self._busy.exception()  # what it failed at nobody asks any more
            self._busy = None
        self._spool.close()

    async def _on_thread(self, call: Callable[[], T]) -> T:
        """What a cancelled `read` had begun is thrown away by `close`; its rows are not committed, so they come again."""
        self._busy = asyncio.ensure_future(asyncio.to_thread(call))
        try:
            result: T = await asyncio.shield(self._busy)
        except OSError as exc:
            raise NotConnected(self._options.files, _why(exc)) from exc
        self._busy = None
        return result

    def _tell(self) -> None:
        lost, self._spool.lost = self._spool.lost, 0
        if lost:
            self._context.dropped("bad_row", lost)
        waiting = self._spool.waiting
        why = f"{waiting} files in failed/, each with its reason beside it" if waiting else ""
        self._context.health(Health(trouble=Trouble.DEGRADED, active=waiting > 0, why=why, facts={"failed": waiting} if waiting else {}))


def _why(exc: OSError) -> str:
    where = f" ({exc.filename})" if exc.filename else ""
    return f"{(exc.strerror or str(exc)).lower()}{where}"
