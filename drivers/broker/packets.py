"""The control packets of MQTT 3.1.1 and 5 that we send and get. Pure; PUBLISH that comes is cut by `framing`.

Properties, reason codes and subscription options are paho-mqtt's; the numbers of sections are those of MQTT 5.0.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties, VariableByteIntegers
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from drivers.broker.framing import Malformed

PUBACK, PUBREC, PUBCOMP = b"\x40\x02", b"\x50\x02", b"\x70\x02"
PINGREQ, GOODBYE = b"\xc0\x00", b"\xe0\x00"
REFUSED = 0x80
VERSION_REFUSED, CREDENTIALS_REFUSED = frozenset({1, 0x84}), frozenset({4, 5, 0x86, 0x87})

_OLD_REASONS = {  # of 3.1.1, section 3.2.2.3; an old broker answers a client of version 5 with them too
    1: "Unsupported protocol version",
    2: "Client identifier not valid",
    3: "Server unavailable",
    4: "Bad user name or password",
    5: "Not authorized",
}


class Connack(NamedTuple):
    """The broker's answer to CONNECT.

    refusal       in its words, empty if it takes us
    keepalive     the one it imposes, in seconds
    maximum_qos   of what we publish
    code          `VERSION_REFUSED`, `CREDENTIALS_REFUSED` or another
    """

    refusal: str
    session_present: bool
    keepalive: int | None
    maximum_qos: int = 2
    code: int = 0


class Will(NamedTuple):
    """What the broker publishes for us when it loses us, section 3.1.2.5."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


def connect(
    client_id: str,
    *,
    version5: bool,
    clean: bool,
    keepalive: int,
    session_expiry: int,
    receive_maximum: int,
    user: str | None,
    password: str | None,
    will: Will | None = None,
) -> bytes:
    """CONNECT, section 3.1. `session_expiry` in seconds and `receive_maximum` exist in version 5 only."""
    flags = 0x02 * clean | 0x80 * (user is not None) | 0x40 * (password is not None)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | 0x20 * will.retain
    body = _text("MQTT") + struct.pack("!BBH", 5 if version5 else 4, flags, keepalive)
    if version5:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = session_expiry
        properties.ReceiveMaximum = receive_maximum
        body += properties.pack()
    body += _text(client_id)
    if will is not None:
        body += bytes(Properties(PacketTypes.WILLMESSAGE).pack()) * version5 + _text(will.topic) + _counted(will.payload)
    return _packet(0x10, body + b"".join(_text(text) for text in (user, password) if text is not None))


def publish(topic: str, payload: bytes, *, qos: int, retain: bool, mid: int, version5: bool) -> bytes:
    """PUBLISH, section 3.3, without properties; `mid` is of no matter at QoS 0."""
    number = mid.to_bytes(2) if qos else b""
    return _packet(0x30 | qos << 1 | retain, _text(topic) + number + b"\0" * version5 + payload)


def subscribe(mid: int, filters: Iterable[tuple[str, int, bool]], *, version5: bool) -> bytes:
    """SUBSCRIBE, section 3.8. `filters`: (topic filter, QoS, True if retained messages are wanted once only: version 5)."""
    parts = [_mid(mid, version5=version5, kind=PacketTypes.SUBSCRIBE)]
    for topic, qos, once in filters:
        options = SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB if once else 0)
        parts += [_text(topic), options.pack() if version5 else bytes([qos])]
    return _packet(0x82, b"".join(parts))


def unsubscribe(mid: int, filters: Iterable[str], *, version5: bool) -> bytes:
    """UNSUBSCRIBE, section 3.10."""
    return _packet(0xA2, _mid(mid, version5=version5, kind=PacketTypes.UNSUBSCRIBE) + b"".join(map(_text, filters)))


def acknowledge(head: bytes, mids: Sequence[bytes]) -> bytes:
    """PUBACK, PUBREC or PUBCOMP for each of `mids`, section 3.4: success, which needs no reason code."""
    return head + head.join(mids) if mids else b""


def read_connack(body: bytes, *, version5: bool) -> Connack:
    """Section 3.2; raises Malformed."""
    if len(body) < 2:
        raise Malformed("an answer to CONNECT of less than two bytes")
    code = body[1]
    if not version5 or code in _OLD_REASONS or len(body) == 2:
        refusal = _OLD_REASONS.get(code, f"code {code}") if code else ""
        return Connack(refusal, bool(body[0] & 1), None, code=code)
    properties = _properties(PacketTypes.CONNACK, body[2:])
    refusal = _words(PacketTypes.CONNACK, code, properties) if code >= REFUSED else ""
    keepalive, maximum_qos = getattr(properties, "ServerKeepAlive", None), getattr(properties, "MaximumQoS", 2)
    return Connack(refusal, bool(body[0] & 1), keepalive, maximum_qos, code)


def read_suback(body: bytes, *, version5: bool) -> list[int]:
    """For each filter the QoS it is granted, `REFUSED` or more if it is not, section 3.9; raises Malformed."""
    if len(body) < 3:
        raise Malformed("an answer to SUBSCRIBE of less than three bytes")
    return list(body[2 + _end_of_properties(body[2:]) if version5 else 2 :])


def read_puback(body: bytes) -> str:
    """Why the broker of version 5 does not take what we published, section 3.4; empty if it does. Raises Malformed."""
    if len(body) < 3 or body[2] < REFUSED:
        return ""
    return _words(PacketTypes.PUBACK, body[2], _properties(PacketTypes.PUBACK, body[3:] or b"\0"))


TAKEN_OVER = b"\x8e"


def read_disconnect(body: bytes) -> str:
    """Why the broker of version 5 ends it, section 3.14; raises Malformed."""
    code = body[0] if body else 0
    return _words(PacketTypes.DISCONNECT, code, _properties(PacketTypes.DISCONNECT, body[1:] or b"\0"))


def _words(kind: int, code: int, properties: Properties) -> str:
    told = getattr(properties, "ReasonString", "")
    return f"{_name(kind, code)}: {told}" if told else _name(kind, code)


def _name(kind: int, code: int) -> str:
    try:
        return str(ReasonCode(kind, identifier=code))
    except (KeyError, ValueError):  # of no packet, or of another one
        return f"reason code {code}"


def _properties(kind: int, data: bytes) -> Properties:
    found = Properties(kind)
    try:
        found.unpack(data)
    except (MQTTException, ValueError, IndexError, KeyError, struct.error) as exc:
        raise Malformed(f"properties that are none: {exc}") from exc
    return found


def _end_of_properties(data: bytes) -> int:
    try:
        length, used = VariableByteIntegers.decode(data)
    except (MQTTException, IndexError) as exc:
        raise Malformed(f"properties that are none: {exc}") from exc
    return int(length + used)


def _packet(command: int, body: bytes) -> bytes:
    return bytes([command]) + bytes(VariableByteIntegers.encode(len(body))) + body


def _mid(mid: int, *, version5: bool, kind: int) -> bytes:
    return mid.to_bytes(2) + (bytes(Properties(kind).pack()) if version5 else b"")


def _text(text: str) -> bytes:
    return _counted(text.encode())


def _counted(raw: bytes) -> bytes:
    return len(raw).to_bytes(2) + raw
