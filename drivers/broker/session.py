"""One connection and what is said over it: questions and their answers, messages and their acknowledgements.

One task uses it. While it waits for an answer, the messages that come are kept for `take`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from drivers.broker import packets
from drivers.broker.framing import CONNACK, DISCONNECT, PUBACK, PUBREL, SUBACK, UNSUBACK, Framer, Malformed, Publish
from drivers.broker.inflight import Inflight
from drivers.broker.link import Link
from drivers.broker.packets import GOODBYE, TAKEN_OVER, Connack, read_disconnect
from gateway.contract import NotConnected

MESSAGES = 2_000
EARLY_MESSAGES = 50_000
EARLY_BYTES = 64 << 20
FILTERS_PER_PACKET = 100


class Swamped(NotConnected):
    """More came before an answer than is kept."""


class Session:
    """Everything raises NotConnected when the link is lost or the broker does not keep to the protocol.

    taken_over        the broker of version 5 gave our session to another client with our id
    unkept            filters that were asked for with QoS 1 or 2 and got 0: the broker keeps nothing of theirs
    session_present   the broker had a session of ours: its subscriptions are there, and what was not acknowledged comes again
    """

    def __init__(self, link: Link, framer: Framer, inflight: Inflight, peer: str, *, version5: bool) -> None:
        self.link, self._framer, self._inflight, self._peer, self.version5 = link, framer, inflight, peer, version5
        self.session_present = self.taken_over = False
        self.unkept: list[str] = []
        self._maximum_qos = 2
        self._awaited: tuple[int, bytes] | None = None
        self._answer: bytes | None = None
        self._early: list[Publish] = []
        self._early_bytes = 0
        self._owes = False
        self._farewell = ""
        self._mid = 0

    def accepted(self, answer: Connack) -> None:
        """The broker took us."""
        self.session_present, self._maximum_qos = answer.session_present, answer.maximum_qos

    async def subscribe(self, wanted: Sequence[tuple[str, int, bool]]) -> list[str]:
        """`wanted`: (topic filter, QoS, True if retained messages are wanted once only: version 5). Returns the filters it refuses.

        Where it kept more for us than we keep here its answer comes behind that, when nobody waits for it any more.
        """
        refused: list[str] = []
        for at in range(0, len(wanted), FILTERS_PER_PACKET):
            part, mid = wanted[at : at + FILTERS_PER_PACKET], self._next_mid()
            answer = await self._ask_beside(packets.subscribe(mid, part, version5=self.version5), SUBACK, mid)
            if answer is None:
                continue
            with self._strict():
                granted = packets.read_suback(answer, version5=self.version5)
                if len(granted) != len(part):
                    raise Malformed(f"{len(granted)} answers to {len(part)} subscriptions")
            refused += [one for (one, _, _), given in zip(part, granted, strict=True) if given >= packets.REFUSED]
            self.unkept += [one for (one, qos, _), given in zip(part, granted, strict=True) if qos and not given]
        return refused

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Take them back; the broker may not have known them."""
        for at in range(0, len(filters), FILTERS_PER_PACKET):
            mid = self._next_mid()
            await self._ask_beside(packets.unsubscribe(mid, filters[at : at + FILTERS_PER_PACKET], version5=self.version5), UNSUBACK, mid)

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> str:
        """A small message. QoS 0 is on its way on return, QoS 1 with the broker: bound the wait by `asyncio.timeout`.

        Returns why the broker does not take it, in its words; empty if it does, or if that cannot be known (QoS 0, version 3.1.1).
        """
        qos, mid = min(qos, self._maximum_qos, 1), self._next_mid()
        packet = packets.publish(topic, payload, qos=qos, retain=retain, mid=mid, version5=self.version5)
        if qos:
            answer = await self.ask(packet, PUBACK, mid)
            with self._strict():
                return packets.read_puback(answer) if self.version5 else ""
        self._check()
        self.link.send(packet)
        return ""

    async def ask(self, packet: bytes, answer: int, mid: int = 0) -> bytes:
        """The body of the answer to this packet; messages that come before it are kept for `take`."""
        self._awaited, self._answer = (answer, mid.to_bytes(2) if mid else b""), None
        self.link.send(packet)
        while self._answer is None:
            if len(self._early) > EARLY_MESSAGES or self._early_bytes > EARLY_BYTES:
                raise Swamped(self._peer, f"{len(self._early)} messages, {self._early_bytes >> 20} MB, and no answer")
            messages = self._cut()
            self._keep(messages)
            if not messages and self._answer is None:
                self._check()
                await self.link.wait()
        self._awaited = None
        return self._answer

    async def _ask_beside(self, packet: bytes, answer: int, mid: int) -> bytes | None:
        """None: what the broker kept for us has to be taken before its answer can come, and it sends no more until then."""
        try:
            return await self.ask(packet, answer, mid)
        except Swamped:
            if not self.session_present:
                raise
            return None

    def take(self) -> list[Publish]:
        """Messages that have come and were not taken over before; empty if there is nothing now."""
        early, self._early, self._early_bytes = self._early, [], 0
        while messages := early or self._cut():
            early, self._owes = [], True
            if new := self._inflight.arrived(messages):
                return new
        return []

    def accept(self) -> None:
        """Acknowledge what was taken."""
        self._owes = False
        if answers := self._inflight.accept():
            self.link.send(answers)

    async def wait(self) -> None:
        """Until there is something to take; at once after a `take`: more may be here, and the broker may wait to be answered."""
        if self._owes:
            await asyncio.sleep(0)
        elif not self._early:
            self._check()
            await self.link.wait()

    async def close(self) -> None:
        """Say goodbye: the broker does not publish our will."""
        self.link.send(GOODBYE)
        await self.link.close()

    def _next_mid(self) -> int:
        self._mid = self._mid % 65_535 + 1
        return self._mid

    def _keep(self, messages: list[Publish]) -> None:
        self._early += messages
        self._early_bytes += sum(len(message[1] or b"") for message in messages)

    def _check(self) -> None:
        if self.link.lost:
            raise NotConnected(self._peer, self._farewell or self.link.lost)

    @contextmanager
    def _strict(self) -> Iterator[None]:
        try:
            yield
        except Malformed as exc:
            raise NotConnected(self._peer, f"no MQTT as we know it: {exc}") from exc

    def _cut(self) -> list[Publish]:
        """`MESSAGES` at most; other packets on the way are answered."""
        with self._strict():
            while self._fill():
                messages, others = self._framer.cut(MESSAGES)
                if messages or others or not self._framer.partial:
                    self.link.cut()
                for command, body in others:
                    self._handle(command, body)
                if messages:
                    return messages
        return []

    def _fill(self) -> bool:
        if not self._framer.more and (data := self.link.take()):
            self._framer.feed(data)
        return self._framer.more

    def _handle(self, command: int, body: bytes) -> None:
        if self._awaited is not None and (command, b"" if command == CONNACK else body[:2]) == self._awaited:
            self._answer = body
        elif command == PUBREL and len(body) >= 2:
            self.link.send(self._inflight.released(body[:2]))
        elif command == DISCONNECT:
            self.taken_over = body[:1] == TAKEN_OVER
            self._farewell = f"closed by the broker: {read_disconnect(body)}"
            self.link.lose(self._farewell)
