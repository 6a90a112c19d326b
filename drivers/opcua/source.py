"""Subscribes to a server's values; a lost connection is never repaired but built anew."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress

import numpy as np

from drivers.certificates import Certificates
from drivers.opcua.config import OpcuaOptions
from drivers.opcua.connection import Connection
from drivers.opcua.cursor import Cursor
from drivers.opcua.events import Alarms
from drivers.opcua.health import Told
from drivers.opcua.refusal import FAILURES, NOT_US, why
from drivers.opcua.subscription import Ended, Silent
from gateway.contract import Batch, Item, NotConnected, Quality, SourceContext

ASK_REFUSED_SECONDS = 60.0
CONNECT_SECONDS = 9.0
ITEMS_SECONDS = 4.0  # a slow server with many items is read while the rest of them is asked for


class OpcuaSource:
    """See README.md. What it notices a dead server by is what comes through the subscription, not TCP."""

    def __init__(self, options: OpcuaOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._alarms = [Alarms(spec, context.clock) for spec in context.records]
        self._cursor = Cursor(context.state_dir / "backfill.json", context.tags, context.clock) if options.backfill else None
        self._told, self._certificates = Told(context), Certificates(context)
        self._connection: Connection | None = None
        self._news = False
        self._live_last = False
        self._filling: asyncio.Task[None] | None = None
        self._ask_refused_at = self._renew_at = math.inf

    async def connect(self) -> None:
        now = self._context.clock.monotonic()
        connection = self._connection = Connection(self._options, self._context, self._alarms, self._cursor)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.open()
                while connection.pending and self._context.clock.monotonic() - now < ITEMS_SECONDS:
                    await connection.go_on()
        except FAILURES as exc:
            raise self._not_connected(connection, exc, opening=True) from exc
        self._certificates.seen(connection.session.ends)
        self._renew_at = now + connection.session.renew_seconds
        if not connection.pending:
            self._heard_of_refused(connection)
        if connection.backfill is not None:
            self._filling = asyncio.create_task(connection.backfill.run(), name="opcua history")
            if self._cursor is not None and self._cursor.gaps:
                connection.backfill.found()

    async def read(self) -> Batch | list[Item]:
        connection = self._connection
        if connection is None:
            raise NotConnected(self._options.peer, "not connected")
        try:
            while True:
                await self._keep_up(connection)
                if self._news:
                    self._news = False
                    return self._refusals(connection)
                if connection.pending and not connection.subscription.waiting:
                    continue
                items = self._filled(connection) or await self._live(connection)
                if items:
                    return items[0] if len(items) == 1 and isinstance(items[0], Batch) else items
        except FAILURES as exc:
            raise self._not_connected(connection, exc, opening=False) from exc

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        filling, self._filling = self._filling, None
        if filling is not None:
            filling.cancel()
            await asyncio.gather(filling, return_exceptions=True)
        if connection is not None:
            await connection.close()
            if self._cursor is not None:
                with suppress(OSError):
                    self._cursor.write()

    async def _live(self, connection: Connection) -> list[Item]:
        self._live_last = True
        backfill = connection.backfill
        if backfill is not None:
            backfill.wake.clear()
            if backfill.ready:
                return []
        items, positions, t_ns = await connection.next(None if backfill is None else backfill.wake)
        if self._cursor is not None and len(positions):
            if self._cursor.took(positions, t_ns) and backfill is not None:
                backfill.found()
            if self._cursor.due:
                with suppress(OSError):  # without it more is read again after a restart; nothing else
                    await asyncio.to_thread(self._cursor.write)
        return items

    def _filled(self, connection: Connection) -> list[Item]:
        """A portion of history, each time after something live, or when nothing live waits."""
        backfill = connection.backfill
        if backfill is None:
            return []
        backfill.settle()
        if self._filling is not None and self._filling.done():
            self._filling.result()  # raises what ended it
        if backfill.refused and not backfill.ready:
            self._told.fact("history", f"not read: {backfill.refused}")
        if backfill.ready and (self._live_last or not connection.subscription.waiting):
            self._live_last = False
            return [backfill.take()]
        told = backfill.summary()
        if told is not None:
            self._context.filled(*told)
        return []

    async def _keep_up(self, connection: Connection) -> None:
        """New keys for the channel, a question after refused nodes once a minute, a look at the watchdog and at certificates."""
        now = self._context.clock.monotonic()
        if now >= self._renew_at:
            await connection.session.renew()
            self._renew_at = now + connection.session.renew_seconds
        if connection.pending:
            connection.subscription.listen()
            await connection.go_on()
            if not connection.pending:
                self._heard_of_refused(connection)
        if now >= self._ask_refused_at:
            await connection.ask_refused()
            self._heard_of_refused(connection)
        self._certificates.look()
        await connection.watch()

    def _heard_of_refused(self, connection: Connection) -> None:
        self._news = bool(connection.refused)
        self._ask_refused_at = self._context.clock.monotonic() + ASK_REFUSED_SECONDS if connection.refused else math.inf
        self._told.refused(connection.refused)

    def _refusals(self, connection: Connection) -> Batch:
        """A node that was refused has no time of its own: it is bad since we know it."""
        positions = sorted(position for position in connection.refused if position < len(self._context.tags))
        n, now_ns = len(positions), self._context.clock.now_ns()
        indices = [self._context.tags[position].index for position in positions]
        return Batch.of(indices, [now_ns] * n, np.full(n, math.nan), [Quality.BAD_DEVICE] * n)

    def _not_connected(self, connection: Connection, exc: BaseException, *, opening: bool) -> NotConnected:
        session = connection.session
        own = isinstance(exc, Ended | Silent)
        clause = str(exc) if own else why(exc, self._options, session.own_file, session.server, opening=opening)
        return NotConnected(self._options.peer, clause, login=isinstance(exc, NOT_US))
