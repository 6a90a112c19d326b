"""Properties of a message of MQTT 5 (section 3.3.2.3) that say something of its payload. Pure; they are read by paho-mqtt."""

from __future__ import annotations

import struct

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import MQTTException, Properties, VariableByteIntegers

from drivers.mqtt.times import to_ns


def user_properties(properties: bytes) -> dict[str, str]:
    """By name, the first of each; empty if there are none or they cannot be read."""
    found = _read(properties)
    return {} if found is None else dict(reversed(getattr(found, "UserProperty", [])))


def user_time(told: dict[str, str]) -> int | None:
    """Nanoseconds of the user property ``t_ns``, or None."""
    return to_ns(told["t_ns"], "ns") if "t_ns" in told else None


def is_gzip(properties: bytes) -> bool:
    """True if the content type says so."""
    if b"gzip" not in properties:
        return False
    found = _read(properties)
    return getattr(found, "ContentType", "") in ("application/gzip", "application/x-gzip", "gzip")


def _read(properties: bytes) -> Properties | None:
    if not properties:
        return None
    found = Properties(PacketTypes.PUBLISH)
    try:
        found.unpack(VariableByteIntegers.encode(len(properties)) + properties)
    except (MQTTException, ValueError, IndexError, KeyError, struct.error):
        return None
    return found
