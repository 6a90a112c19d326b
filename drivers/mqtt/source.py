"""Subscribes to a broker and returns what came, as columns; acknowledges at the next `read`.

The packets are cut and answered here, on the event loop, and not by paho's client: that takes one message at a time through
a thread and a callback, 27 µs each, and reconnects by itself. Properties, reason codes and subscription options are paho's.
See docs/decisions/0003-mqtt-framing.md.
"""

from __future__ import annotations

import asyncio

from drivers.broker.broker import Broker, connecting
from drivers.broker.rival import Rival
from drivers.broker.session import Session
from drivers.certificates import Certificates
from drivers.mqtt.config import MqttOptions
from drivers.mqtt.routes import Routes
from gateway.contract import ConfigError, Health, Item, NotConnected, SourceContext, Trouble

REFUSED_NAMED = 10


class MqttSource:
    """See README.md. With records the broker keeps our session while we are away; without, there is nothing to keep."""

    def __init__(self, options: MqttOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._persistent = options.session == "keep" or (options.session is None and bool(context.records))
        self._broker = Broker(options, context, persistent=self._persistent)
        self._routes = Routes(options, context.tags, context.records, machine=context.name)
        self._group = f"$share/{options.share}/" if options.share else ""
        self._certificates, self._rival = Certificates(context), Rival(context)
        self._session: Session | None = None
        self._refused: list[str] = []

    async def connect(self) -> None:
        try:
            async with connecting(self._broker.peer):
                self._session = await self._broker.connect()
                if self._group and not self._session.version5:
                    raise ConfigError(f"share needs version 5, and {self._broker.peer} speaks 3.1.1")
                await self._subscribe(self._session)
        except NotConnected as exc:
            raise self._rival.refused(self._session, exc, self._broker) from exc
        self._rival.connected()
        self._certificates.seen(self._broker.ends)

    async def read(self) -> list[Item]:
        session = self._session
        if session is None:
            raise NotConnected(self._broker.peer, "not connected")
        try:
            while True:
                session.accept()
                self._certificates.look()
                self._rival.look()
                if items := self._items(session):
                    return items
                await session.wait()
        except NotConnected as exc:
            raise self._rival.lost(session, exc, self._broker) from exc

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
        for health in gathered.health:
            self._context.health(health)
        return gathered.items()

    async def _subscribe(self, session: Session) -> None:
        """At every connect, whatever the broker remembers. Also takes back what an earlier configuration had subscribed to."""
        qos, routes, identity = self._options.qos, self._routes, self._broker.identity
        wanted = [(self._shared(one), qos, False) for one in routes.of_tags]
        wanted += [(self._shared(one), max(1, qos), one in routes.named_by_records) for one in routes.of_records]
        ours = frozenset(one for one, _, _ in wanted)
        if self._persistent:
            await asyncio.to_thread(identity.subscribed, identity.filters | ours)
        self._refused = [one.removeprefix(self._group) for one in await session.subscribe(wanted)]
        if stale := sorted(identity.filters - ours) if self._persistent else []:
            await session.unsubscribe(stale)
            await asyncio.to_thread(identity.subscribed, ours)
        if lost := sum(one in routes.of_records for one in self._refused):
            self._context.dropped("record_refused", lost)
        unkept = [one.removeprefix(self._group) for one in session.unkept]
        self._tell(self._refused, [one for one in unkept if one in routes.of_records])

    def _shared(self, topic: str) -> str:
        """The state of a device is for everybody."""
        return topic if topic.startswith("$share/") or topic == self._routes.birth else self._group + topic

    def _tell(self, refused: list[str], unkept: list[str]) -> None:
        """`unkept`: of records, with QoS 0: what comes while nobody listens, or is not on disk yet, is lost."""
        why = [f"the broker refuses {len(refused)} of our subscriptions"] if refused else []
        why += [f"the broker keeps nothing of {len(unkept)} of our subscriptions to records: it gives them QoS 0"] if unkept else []
        facts = {"topics": [*refused, *unkept][:REFUSED_NAMED]} if why else {}
        self._context.health(Health(trouble=Trouble.DEGRADED, active=bool(why), why="; ".join(why), facts=facts))
