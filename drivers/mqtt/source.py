"""Subscribes to a broker and returns what came, as columns; acknowledges at the next `read`.

The packets are cut and answered here, on the event loop, and not by paho's client: that takes one message at a time through
a thread and a callback, 27 µs each, and reconnects by itself. Properties, reason codes and subscription options are paho's.
See docs/decisions/0003-mqtt-framing.md.
"""

from __future__ import annotations

import asyncio

from drivers.mqtt.broker import Broker, connecting
from drivers.mqtt.config import MqttOptions
from drivers.mqtt.routes import Routes
from drivers.mqtt.session import Session
from gateway.contract import Item, NotConnected, SourceContext


class MqttSource:
    """See README.md. With records the broker keeps our session while we are away; without, there is nothing to keep."""

    def __init__(self, options: MqttOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._persistent = bool(context.records)
        self._broker = Broker(options, context, persistent=self._persistent)
        self._routes = Routes(context.tags, context.records)
        self._session: Session | None = None
        self._refused: list[str] = []

    async def connect(self) -> None:
        async with connecting(self._broker.peer):
            self._session = await self._broker.connect()
            await self._subscribe(self._session)

    async def read(self) -> list[Item]:
        session = self._session
        if session is None:
            raise NotConnected(self._broker.peer, "not connected")
        while True:
            session.accept()
            if items := self._items(session):
                return items
            await session.wait()

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _items(self, session: Session) -> list[Item]:
        """What there is now. Nothing is awaited from here to the return of `read`: it may be cancelled at any await."""
        now_ns = self._context.clock.now_ns()
        if self._refused:
            refused, self._refused = self._refused, []
            if len(batch := self._routes.refused(refused, now_ns)):
                return [batch]
        gathered = self._routes.decode(session.take(), now_ns)
        for reason, count in gathered.lost.items():
            self._context.dropped(reason, count)
        return gathered.items()

    async def _subscribe(self, session: Session) -> None:
        """Also takes back what an earlier configuration had subscribed to in a session that lasts."""
        qos, routes, identity = self._options.qos, self._routes, self._broker.identity
        wanted = [(one, qos, False) for one in routes.of_tags] + [(one, max(1, qos), True) for one in routes.of_records]
        ours = frozenset(one for one, _, _ in wanted)
        if self._persistent:
            await asyncio.to_thread(identity.subscribed, identity.filters | ours)
        self._refused = await session.subscribe(wanted)
        if stale := sorted(identity.filters - ours) if self._persistent else []:
            await session.unsubscribe(stale)
            await asyncio.to_thread(identity.subscribed, ours)
        if lost := sum(one in routes.of_records for one in self._refused):
            self._context.dropped("record_refused", lost)
