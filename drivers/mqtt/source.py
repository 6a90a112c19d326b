"""Subscribes to a broker and returns what came, as columns; acknowledges at the next `read`.

The packets are cut and answered here, on the event loop, and not by paho's client: that takes one message at a time through
a thread and a callback, 27 µs each, and reconnects by itself. Properties, reason codes and subscription options are paho's.
See docs/decisions/0003-mqtt-framing.md.
"""

from __future__ import annotations

import asyncio
import ssl
from math import ceil

from drivers.mqtt import packets
from drivers.mqtt.config import MqttOptions
from drivers.mqtt.framing import CONNACK, SUBACK, UNSUBACK, Framer, Malformed
from drivers.mqtt.identity import Identity
from drivers.mqtt.inflight import Inflight
from drivers.mqtt.link import Link, why
from drivers.mqtt.routes import Routes
from drivers.mqtt.session import Session
from gateway.contract import ConfigError, Item, NotConnected, SourceContext

CONNECT_SECONDS = 9.0
FILTERS_PER_PACKET = 100


class MqttSource:
    """See README.md. With records the broker keeps our session while we are away; without, there is nothing to keep."""

    def __init__(self, options: MqttOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._host, self._port = options.peer
        self._peer = f"{self._host}:{self._port}"
        self._version5 = options.version == "5"
        self._persistent = bool(context.records)
        self._routes = Routes(context.tags, context.records)
        self._inflight = Inflight()
        self._session: Session | None = None
        self._refused: list[str] = []

    async def connect(self) -> None:
        identity, tls = await asyncio.to_thread(self._prepare)
        link = Link()
        framer = Framer(version5=self._version5, most_bytes=self._options.max_message_kilobytes * 1024)
        self._inflight.begin()
        self._session = Session(link, framer, self._inflight, self._peer)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                server = self._host if tls else None
                await asyncio.get_running_loop().create_connection(lambda: link, self._host, self._port, ssl=tls, server_hostname=server)
                await self._introduce(self._session, identity)
                await self._subscribe(self._session, identity)
        except TimeoutError as exc:
            raise NotConnected(self._peer, f"no answer within {CONNECT_SECONDS:g} s") from exc
        except OSError as exc:
            raise NotConnected(self._peer, why(exc)) from exc
        except Malformed as exc:
            raise NotConnected(self._peer, f"no MQTT as we know it: {exc}") from exc

    async def read(self) -> list[Item]:
        session = self._session
        if session is None:
            raise NotConnected(self._peer, "not connected")
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

    def _prepare(self) -> tuple[Identity, ssl.SSLContext | None]:
        """Files are read here, on a thread. Raises ConfigError for those that are not there or not what they should be."""
        o = self._options
        identity = Identity(self._context.state_dir, machine=self._context.name, client_id=o.client_id)
        if not o.tls:
            return identity, None
        try:
            tls = ssl.create_default_context(cafile=o.ca)
            if o.certificate:
                password = self._context.secret(o.key_password) if o.key_password else ""
                tls.load_cert_chain(o.certificate, o.key, password)
        except OSError as exc:
            raise ConfigError(f"ca, certificate or key: {why(exc)}") from exc
        return identity, tls

    async def _introduce(self, session: Session, identity: Identity) -> None:
        o = self._options
        packet = packets.connect(
            identity.client_id,
            version5=self._version5,
            clean=not self._persistent,
            keepalive=ceil(o.keepalive),
            session_expiry=int(o.session_expiry) if self._persistent else 0,
            receive_maximum=o.receive_maximum,
            user=o.user,
            password=self._context.secret(o.password) if o.password else None,
        )
        answer = packets.read_connack(await session.ask(packet, CONNACK), version5=self._version5)
        if answer.refusal:
            raise NotConnected(self._peer, f"refused: {answer.refusal}")
        session.link.keep_alive(answer.keepalive or o.keepalive)
        if not answer.session_present:
            self._inflight.forget()

    async def _subscribe(self, session: Session, identity: Identity) -> None:
        """Also takes back what an earlier configuration had subscribed to in a session that lasts."""
        qos, routes, v5 = self._options.qos, self._routes, self._version5
        wanted = [(one, qos, False) for one in routes.of_tags] + [(one, max(1, qos), True) for one in routes.of_records]
        ours = frozenset(one for one, _, _ in wanted)
        if self._persistent:
            await asyncio.to_thread(identity.subscribed, identity.filters | ours)
        self._refused = []
        for at in range(0, len(wanted), FILTERS_PER_PACKET):
            part = wanted[at : at + FILTERS_PER_PACKET]
            answer = await session.ask(packets.subscribe(1, part, version5=v5), SUBACK)
            granted = packets.read_suback(answer, version5=v5)
            if len(granted) != len(part):
                raise Malformed(f"{len(granted)} answers to {len(part)} subscriptions")
            self._refused += [one for (one, _, _), given in zip(part, granted, strict=True) if not given]
        if stale := sorted(identity.filters - ours) if self._persistent else []:
            await session.ask(packets.unsubscribe(1, stale, version5=v5), UNSUBACK)
            await asyncio.to_thread(identity.subscribed, ours)
        if lost := sum(one in routes.of_records for one in self._refused):
            self._context.dropped("record_refused", lost)
