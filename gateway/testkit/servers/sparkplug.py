"""An edge node of Sparkplug B at a broker, with an encoder of its own: births, data, deaths, and commands it obeys or not."""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

Metrics: TypeAlias = Mapping[str, tuple[int, Any]]
"""Name -> (datatype, value): int, float, bool, text, bytes (packed arrays) or None (null)."""
BOOLEAN, INT64, DOUBLE, STRING, FLOAT = 11, 4, 10, 12, 9


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def block(field: int, raw: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(raw)) + raw


def value(datatype: int, given: Any, first: int = 10) -> bytes:
    """The value field; `first`: the number of ``int_value``."""
    if isinstance(given, bool):
        return number(first + 4, given)
    if isinstance(given, str):
        return block(first + 5, given.encode())
    if isinstance(given, bytes):
        return block(first + 6, given)
    if datatype == FLOAT:
        return varint((first + 2) << 3 | 5) + struct.pack("<f", given)
    if datatype == DOUBLE or isinstance(given, float):
        return varint((first + 3) << 3 | 1) + struct.pack("<d", given)
    wide = datatype in (4, 7, 8, 13)
    return number(first + wide, given % 2 ** (64 if wide else 32))


def metric(
    datatype: int,
    given: Any,
    *,
    name: str = "",
    alias: int | None = None,
    t_ms: int | None = None,
    historical: bool = False,
    quality: int | None = None,
    raw: bytes = b"",
) -> bytes:
    """One metric. `raw`: more fields, encoded, instead of a value."""
    out = block(1, name.encode()) if name else b""
    out += number(2, alias) if alias is not None else b""
    out += number(3, t_ms) if t_ms is not None else b""
    out += number(4, datatype) if datatype else b""
    out += number(5, 1) if historical else b""
    out += number(7, 1) if given is None and not raw else b""
    if quality is not None:
        out += block(9, block(1, b"Quality") + block(2, number(1, 3) + number(3, quality)))
    return out + (raw or (value(datatype, given) if given is not None else b""))


def payload(*metrics: bytes, seq: int | None = None, t_ms: int | None = None) -> bytes:
    head = number(1, t_ms if t_ms is not None else time.time_ns() // 1_000_000)
    return head + b"".join(block(2, each) for each in metrics) + (number(3, seq % 256) if seq is not None else b"")


class EdgeNode:
    """`devices`: name -> metrics; the empty name is the node itself. Aliases count on from `first_alias` over all of them.

    obeys   whether it answers a request for its births
    asked   how many requests came
    """

    def __init__(
        self, url: str, group: str, node: str, devices: Mapping[str, Metrics], *, first_alias: int = 1, obeys: bool = True
    ) -> None:
        self._url, self.group, self.node = urlsplit(url), group, node
        self.devices = {device: dict(metrics) for device, metrics in devices.items()}
        self.first_alias, self.obeys, self.asked, self.bd_seq, self._seq = first_alias, obeys, 0, 0, 0
        self._client: Client | None = None

    async def __aenter__(self) -> EdgeNode:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Connect, with a death as will, and publish all births; they are with the broker on return."""
        self._loop, ready = asyncio.get_running_loop(), asyncio.Semaphore(0)
        commands = f"spBv1.0/{self.group}/NCMD/{self.node}"
        client = self._client = Client(CallbackAPIVersion.VERSION2)
        client.will_set(self.topic("NDEATH"), self.death(), qos=1)

        def connected(client: Client, *_: object) -> None:
            client.subscribe(commands, 1)

        client.on_connect = connected
        client.on_subscribe = lambda *_: self._call(ready.release)
        client.on_message = lambda *_: self._call(self._commanded)
        await asyncio.to_thread(client.connect, str(self._url.hostname), self._url.port or 1883)
        client.loop_start()
        async with asyncio.timeout(10):
            await ready.acquire()
            self.births()
            client.subscribe(commands, 1)  # answered after what was said before it
            await ready.acquire()

    async def stop(self) -> None:
        """Leave in silence: the death is not published."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def die(self) -> None:
        """Publish the death and leave; the next `start` has the next bdSeq."""
        self.publish("NDEATH", "", self.death())
        await self.stop()
        self.bd_seq += 1

    def topic(self, kind: str, device: str = "") -> str:
        return f"spBv1.0/{self.group}/{kind}/{self.node}" + (f"/{device}" if device else "")

    def death(self) -> bytes:
        return payload(metric(INT64, self.bd_seq, name="bdSeq"))

    def births(self) -> None:
        self._seq = 0
        for device in sorted(self.devices):
            self.birth(device)

    def birth(self, device: str, *, t_ms: int | None = None) -> None:
        told = [metric(INT64, self.bd_seq, name="bdSeq")] if not device else []
        aliases = self.aliases(device)
        told += [metric(kind, now, name=name, alias=aliases[name], t_ms=t_ms) for name, (kind, now) in self.devices[device].items()]
        self.publish("DBIRTH" if device else "NBIRTH", device, payload(*told, seq=self.next_seq()))

    def aliases(self, device: str) -> dict[str, int]:
        everything = [(each, name) for each in sorted(self.devices) for name in self.devices[each]]
        return {name: self.first_alias + at for at, (each, name) in enumerate(everything) if each == device}

    def data(self, device: str, /, **values: Any) -> None:
        """New values by alias, without datatypes, as of now."""
        kinds, aliases, t_ms = self.devices[device], self.aliases(device), time.time_ns() // 1_000_000
        for name, given in values.items():
            kinds[name] = (kinds[name][0], given)
        told = [
            block(2, b"".join((number(2, aliases[name]), number(3, t_ms), value(kinds[name][0], given)))) for name, given in values.items()
        ]
        self.publish("DDATA" if device else "NDATA", device, number(1, t_ms) + b"".join(told) + number(3, self.next_seq()))

    def next_seq(self) -> int:
        seq, self._seq = self._seq, (self._seq + 1) % 256
        return seq

    def publish(self, kind: str, device: str, raw: bytes) -> None:
        assert self._client is not None, "not connected"
        self._client.publish(self.topic(kind, device), raw, qos=1 if kind == "NDEATH" else 0)

    def _call(self, what: Callable[[], object]) -> None:
        """On the loop; paho's thread calls us."""
        self._loop.call_soon_threadsafe(what)

    def _commanded(self) -> None:
        self.asked += 1
        if self.obeys and self._client is not None:
            self.births()
