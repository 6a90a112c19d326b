"""Subscribes to a server's values; a lost connection is never repaired but built anew."""

from __future__ import annotations

import asyncio
import math

from drivers.opcua.config import OpcuaOptions
from drivers.opcua.session import FAILURES, Session, peer, why
from drivers.opcua.subscription import Ended, Silent, Subscription
from gateway.contract import Batch, NotConnected, Quality, SourceContext

ASK_REFUSED_SECONDS = 60.0
CONNECT_SECONDS = 9.0


class OpcuaSource:
    """See README.md. What it notices a dead server by is the server's keep-alive, not TCP."""

    def __init__(self, options: OpcuaOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._folder = context.state_dir / "pki"
        self._session: Session | None = None
        self._subscription: Subscription | None = None
        self._refused: list[int] = []
        self._told = False
        self._ask_refused_at = self._renew_at = math.inf

    async def connect(self) -> None:
        options, context = self._options, self._context
        password = context.secret(options.password) if options.password else ""
        session = self._session = Session(options, password, self._folder)
        subscription = Subscription(session.client, options, context.tags, clock=context.clock, dropped=context.dropped)
        self._subscription = subscription
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await session.open()
                await subscription.create()
                await self._monitor(subscription, list(range(len(context.tags))))
        except FAILURES as exc:
            raise self._not_connected(exc, opening=True) from exc
        self._renew_at = context.clock.monotonic() + session.renew_seconds

    async def read(self) -> Batch:
        if self._session is None or self._subscription is None:
            raise NotConnected(peer(self._options), "not connected")
        try:
            while True:
                await self._keep_up(self._session, self._subscription)
                if not self._told:
                    self._told = True
                    return self._refusals()
                batch = await self._subscription.next()
                if len(batch):
                    return batch
        except FAILURES as exc:
            raise self._not_connected(exc, opening=False) from exc

    async def close(self) -> None:
        session, self._session = self._session, None
        subscription, self._subscription = self._subscription, None
        if session is not None:
            await session.close()
        if subscription is not None:
            await subscription.end()

    async def _keep_up(self, session: Session, subscription: Subscription) -> None:
        """New keys for the channel, and once a minute a question after the nodes the server refused."""
        now = self._context.clock.monotonic()
        if now >= self._renew_at:
            await session.renew()
            self._renew_at = now + session.renew_seconds
        if now >= self._ask_refused_at:
            await self._monitor(subscription, self._refused)

    async def _monitor(self, subscription: Subscription, positions: list[int]) -> None:
        self._refused = await subscription.monitor(positions)
        self._told = not self._refused
        self._ask_refused_at = self._context.clock.monotonic() + ASK_REFUSED_SECONDS if self._refused else math.inf

    def _refusals(self) -> Batch:
        """A node that was refused has no time of its own: it is bad since we know it."""
        n, now_ns = len(self._refused), self._context.clock.now_ns()
        indices = [self._context.tags[position].index for position in self._refused]
        return Batch.of(indices, [now_ns] * n, [math.nan] * n, [Quality.BAD_DEVICE] * n)

    def _not_connected(self, exc: BaseException, *, opening: bool) -> NotConnected:
        text = str(exc) if isinstance(exc, Ended | Silent) else why(exc, self._options, self._folder, opening=opening)
        return NotConnected(peer(self._options), text)
