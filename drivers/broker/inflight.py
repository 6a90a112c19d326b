"""Which messages wait for our acknowledgement. Pure.

A message of QoS 1 is acknowledged (PUBACK) when what it caused is on disk; one of QoS 2 is taken over then (PUBREC), and
until the broker lets go of its number (PUBREL) another message of this number is the same one: MQTT 5.0, section 4.3.
"""

from __future__ import annotations

from drivers.broker.framing import QOS1, QOS2, Publish
from drivers.broker.packets import PUBACK, PUBCOMP, PUBREC, acknowledge


class Inflight:
    """`arrived` when messages came, `accept` when what they caused is on disk."""

    def __init__(self) -> None:
        self._once: list[bytes] = []
        self._exactly: dict[bytes, None] = {}
        self._taken: set[bytes] = set()

    def begin(self) -> None:
        """A new connection: what was not accepted comes again."""
        self._once.clear()
        self._exactly.clear()

    def forget(self) -> None:
        """The broker has no session of ours: the numbers of the old one mean nothing."""
        self._taken.clear()

    def arrived(self, messages: list[Publish]) -> list[Publish]:
        """The messages without those that were taken over before."""
        once = [message[3] for message in messages if message[2] & QOS1]
        self._once += once
        if len(once) < len(messages) and any(message[2] & QOS2 for message in messages):
            return [message for message in messages if self._is_new(message)]
        return messages

    def accept(self) -> bytes:
        """Acknowledgements for all that arrived, to be sent."""
        answer = acknowledge(PUBACK, self._once) + acknowledge(PUBREC, list(self._exactly))
        self._taken.update(self._exactly)
        self._once.clear()
        self._exactly.clear()
        return answer

    def released(self, mid: bytes) -> bytes:
        """The answer to PUBREL; the broker may use the number again."""
        self._taken.discard(mid)
        return acknowledge(PUBCOMP, [mid])

    def _is_new(self, message: Publish) -> bool:
        _, _, command, mid, _ = message
        if command & QOS2 == 0:
            return True
        known = mid in self._taken or mid in self._exactly
        self._exactly[mid] = None
        return not known
