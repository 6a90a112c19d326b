"""Listens to edge nodes as their primary host: says that it is there, asks for births it needs, returns what came as columns."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from drivers.broker.broker import Broker, connecting
from drivers.broker.framing import RETAIN, Publish
from drivers.broker.rival import Rival
from drivers.broker.session import Session
from drivers.broker.topics import fill
from drivers.certificates import Certificates
from drivers.sparkplug.config import SparkplugOptions
from drivers.sparkplug.gathered import Gathered
from drivers.sparkplug.host import Host, rebirth
from drivers.sparkplug.memory import Memory
from drivers.sparkplug.node import Now
from drivers.sparkplug.state import State
from gateway.contract import Item, NotConnected, SourceContext

SAY_SECONDS = 5.0
FAREWELL_SECONDS = 1.0


class SparkplugSource:
    """See README.md. Births are kept in the source's own folder, and stored before they are acknowledged."""

    def __init__(self, options: SparkplugOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._broker = Broker(options, context, persistent=False)
        self._certificates, self._rival = Certificates(context), Rival(context)
        self._host = Host(options, context.tags)
        self._state = State(fill(options.host_id, machine=context.name))
        self._state_topic = self._state.topic.encode()
        self._memory = Memory(context.state_dir)
        self._session: Session | None = None
        self._loaded = self._deny = False

    async def connect(self) -> None:
        try:
            async with connecting(self._broker.peer):
                await self._open()
        except NotConnected as exc:
            raise self._rival.refused(self._session, exc, self._broker) from exc
        self._rival.connected()
        self._certificates.seen(self._broker.ends)
        if waited := sum(node.connected(self._now()) for node in self._host.nodes.values()):
            self._context.dropped("sequence_gap", waited)

    async def _open(self) -> None:
        if not self._loaded:
            known, self._loaded = await asyncio.to_thread(self._memory.load), True
            for name, node in self._host.nodes.items():
                node.load(known.get(name))
        self._session = session = await self._broker.connect(self._state.begin(self._now().ns // 1_000_000))
        qos = self._options.qos
        wanted = [(each, qos, False) for each in (self._state.topic, *self._host.filters)]
        if refused := await session.subscribe(wanted):
            raise NotConnected(self._broker.peer, f"it refuses our subscription to {refused[0]}")
        await self._say(session, self._state.online)

    async def read(self) -> list[Item]:
        session = self._session
        if session is None:
            raise NotConnected(self._broker.peer, "not connected")
        try:
            while True:
                await self._keep()
                self._certificates.look()
                self._rival.look()
                session.accept()
                await self._speak(session)
                if items := self._items(session):
                    return items
                await self._wait(session)
        except NotConnected as exc:
            raise self._rival.lost(session, exc, self._broker) from exc

    async def close(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        try:
            if not session.link.lost:
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await session.publish(self._state.topic, self._state.offline, qos=1, retain=True)
        except (NotConnected, TimeoutError):
            pass  # the broker publishes our will
        finally:
            await session.close()
        await self._keep(closing=True)

    def _items(self, session: Session) -> list[Item]:
        """What there is now. Nothing is awaited from here to the return of `read`: it may be cancelled at any await."""
        now, into = self._now(), Gathered()
        messages = session.take()
        self._hear([message for message in messages if message[0] == self._state_topic])
        self._host.take(messages, now, into)
        self._host.look(now, into)
        for reason, count in into.lost.items():
            self._context.dropped(reason, count)
        for health in into.health:
            self._context.health(health)
        if filled := into.filled():
            self._context.filled(*filled)
        return into.items()

    def _hear(self, messages: list[Publish]) -> None:
        """Of our own state. What is retained is of before; another source of the same host id may leave, and we are still here."""
        for _, payload, command, _, _ in messages:
            if self._state.heard(payload or b"") and not command & RETAIN:
                self._deny = True
        if self._state.outdated:
            raise NotConnected(self._broker.peer, f"somebody said later than us that {self._state.topic} is offline")

    async def _speak(self, session: Session) -> None:
        if self._deny:
            self._deny = False
            await self._say(session, self._state.online)
        for topic in self._host.asks(self._now()):
            await session.publish(topic, rebirth(self._now().ns // 1_000_000))

    async def _say(self, session: Session, payload: bytes) -> None:
        try:
            async with asyncio.timeout(SAY_SECONDS):
                refused = await session.publish(self._state.topic, payload, qos=1, retain=True)
        except TimeoutError as exc:
            raise NotConnected(self._broker.peer, f"it did not take our state within {SAY_SECONDS:g} s") from exc
        if refused:
            raise NotConnected(self._broker.peer, f"it refuses our state on {self._state.topic}: {refused}")

    async def _keep(self, *, closing: bool = False) -> None:
        nodes = self._host.nodes
        if closing or any(node.changed for node in nodes.values()):
            known = {name: node.dump(closing=closing) for name, node in nodes.items()}
            with suppress(OSError):  # what is not kept is asked for again
                await asyncio.to_thread(self._memory.save, known)

    async def _wait(self, session: Session) -> None:
        due = self._host.due
        try:
            async with asyncio.timeout(None if due is None else max(0.0, due - self._now().seconds)):
                await session.wait()
        except TimeoutError:
            pass  # there is something to do

    def _now(self) -> Now:
        return Now(self._context.clock.now_ns(), self._context.clock.monotonic())
