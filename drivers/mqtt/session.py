"""One connection and what is said over it: questions and their answers, messages and their acknowledgements."""

from __future__ import annotations

from drivers.mqtt.framing import CONNACK, DISCONNECT, PUBREL, SUBACK, UNSUBACK, Framer, Malformed, Publish
from drivers.mqtt.inflight import Inflight
from drivers.mqtt.link import Link
from drivers.mqtt.packets import GOODBYE, read_disconnect
from gateway.contract import NotConnected

MESSAGES = 2_000
EARLY_MESSAGES = 50_000
_ANSWERS = (CONNACK, SUBACK, UNSUBACK)


class Session:
    """Everything raises NotConnected when the link is lost or the broker does not keep to the protocol."""

    def __init__(self, link: Link, framer: Framer, inflight: Inflight, peer: str) -> None:
        self.link, self._framer, self._inflight, self._peer = link, framer, inflight, peer
        self._answers: dict[int, bytes] = {}
        self._early: list[Publish] = []
        self._farewell = ""

    async def ask(self, packet: bytes, answer: int) -> bytes:
        """The body of the answer; messages that come before it are kept for `take`."""
        self.link.send(packet)
        while answer not in self._answers:
            messages = self._cut()
            self._early += messages
            if len(self._early) > EARLY_MESSAGES:
                raise NotConnected(self._peer, f"{EARLY_MESSAGES} messages and no answer")
            if not messages and answer not in self._answers:
                await self.wait()
        return self._answers.pop(answer)

    def take(self) -> list[Publish]:
        """Messages that have come and were not taken over before; empty if there is nothing now."""
        early, self._early = self._early, []
        while messages := early or self._cut():
            early = []
            if new := self._inflight.arrived(messages):
                return new
        return []

    def accept(self) -> None:
        """Acknowledge what was taken."""
        if answers := self._inflight.accept():
            self.link.send(answers)

    async def wait(self) -> None:
        """Until there is something to take."""
        if self.link.lost:
            raise NotConnected(self._peer, self._farewell or self.link.lost)
        await self.link.wait()

    async def close(self) -> None:
        self.link.send(GOODBYE)
        await self.link.close()

    def _cut(self) -> list[Publish]:
        """`MESSAGES` at most; other packets on the way are answered."""
        try:
            while self._fill():
                messages, others = self._framer.cut(MESSAGES)
                for command, body in others:
                    self._handle(command, body)
                if messages:
                    return messages
        except Malformed as exc:
            raise NotConnected(self._peer, f"no MQTT as we know it: {exc}") from exc
        return []

    def _fill(self) -> bool:
        if not self._framer.more and (data := self.link.take()):
            self._framer.feed(data)
        return self._framer.more

    def _handle(self, command: int, body: bytes) -> None:
        if command in _ANSWERS:
            self._answers[command] = body
        elif command == PUBREL and len(body) >= 2:
            self.link.send(self._inflight.released(body[:2]))
        elif command == DISCONNECT:
            self._farewell = f"closed by the broker: {read_disconnect(body)}"
            self.link.lose(self._farewell)
