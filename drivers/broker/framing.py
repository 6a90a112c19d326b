"""MQTT packets out of a stream of bytes, many at a time. Pure.

Fixed header, remaining length and PUBLISH: MQTT 5.0 sections 2.1 and 3.3, the same in 3.1.1 but for the properties.
"""

from __future__ import annotations

from typing import TypeAlias

PUBLISH, PUBREL, PUBACK, CONNACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 0x30, 0x62, 0x40, 0x20, 0x90, 0xB0, 0xD0, 0xE0
RETAIN, QOS1, QOS2 = 0x01, 0x02, 0x04
_OTHERS = frozenset({PUBREL, PUBACK, CONNACK, SUBACK, UNSUBACK, PINGRESP, DISCONNECT})


class Malformed(Exception):
    """The peer does not speak MQTT, or not this version."""


Publish: TypeAlias = tuple[bytes, bytes | None, int, bytes, bytes]
"""One message, a plain tuple because there are tens of thousands a second:

topic
payload     None if it is larger than allowed
command     first byte of the packet: QoS and retain
mid         two bytes; empty for QoS 0
properties  as on the wire, without their length; version 5 only
"""


class Framer:
    """Cuts what `feed` brings. `others` are the packets that are no PUBLISH: (first byte, body).

    more   True if another `cut` may find something without another `feed`
    """

    def __init__(self, *, version5: bool, most_bytes: int) -> None:
        self._version5, self._most = version5, most_bytes
        self._rest = b""
        self._at = 0
        self._skip = 0
        self._parts: list[bytes] = []
        self._missing = 0
        self.more = False

    def feed(self, data: bytes) -> None:
        """Append what was received."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._parts.append(data)
        self._missing -= len(data)
        if self._missing > 0:
            return  # a message of many megabytes is put together once, not at every piece
        if self._at < len(self._rest):
            self._parts.insert(0, self._rest[self._at :])
        self._rest = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._missing = self._at = 0
        self.more = True

    @property
    def partial(self) -> bool:
        """What was fed ends within a packet; to be asked when there is no `more`."""
        return self._skip > 0 or self._missing > 0 or self._at < len(self._rest)

    def cut(self, most: int) -> tuple[list[Publish], list[tuple[int, bytes]]]:
        """At most `most` messages and the other packets between them; raises Malformed."""
        messages: list[Publish] = []
        others: list[tuple[int, bytes]] = []
        data, at, size = self._rest, self._at, len(self._rest)
        self.more = True
        while len(messages) < most:
            if at + 1 < size and data[at + 1] < 128:
                start = at + 2
                end = start + data[at + 1]
            else:
                start, end = _body(data, at)
            if not start:
                self.more = False
                break
            command = data[at]
            if command & 0xF0 != PUBLISH and command not in _OTHERS:
                raise Malformed(f"a packet that begins with 0x{command:02x}")
            large = end - start > self._most
            if end > size and not large:
                self.more, self._missing = False, end - size
                break
            if command & 0xF0 == PUBLISH:
                if large and size - start < min(end - start, 65_540):
                    self.more = False
                    break
                messages.append(self._publish(data, command, start, end, large=large))
                if end > size:
                    self._skip = end - size
                    end = size
            elif large:
                raise Malformed(f"a packet of {end - start} bytes")
            else:
                others.append((command, data[start:end]))
            at = end
        self._at = at
        return messages, others

    def _publish(self, data: bytes, command: int, start: int, end: int, *, large: bool) -> Publish:
        try:
            topic_end = start + 2 + (data[start] << 8 | data[start + 1])
            at = topic_end
            mid = b""
            if command & (QOS1 | QOS2):
                if command & QOS1 and command & QOS2:
                    raise Malformed("a message of QoS 3")
                at += 2
                mid = data[topic_end:at]
            properties = b""
            if self._version5 and not large:
                if data[at]:
                    first, at = _body(data, at - 1)
                    properties = data[first:at]
                else:
                    at += 1
        except IndexError as exc:
            raise Malformed("a message shorter than its own header") from exc
        if not start < at <= end or topic_end == start + 2:
            raise Malformed("a message shorter than its own header, or without a topic")
        return data[start + 2 : topic_end], None if large else data[at:end], command, mid, properties


def _body(data: bytes, at: int) -> tuple[int, int]:
    """(start, end) of what follows the variable byte integer at `at + 1`; (0, 0) if it is not complete. Raises Malformed."""
    size = len(data)
    if at + 2 > size:
        return 0, 0
    length = data[at + 1]
    if length < 128:
        return at + 2, at + 2 + length
    length &= 127
    for position in (2, 3, 4):
        if at + position >= size:
            return 0, 0
        byte = data[at + position]
        length |= (byte & 127) << 7 * (position - 1)
        if byte < 128:
            return at + position + 1, at + position + 1 + length
    raise Malformed("a length of more than four bytes")
