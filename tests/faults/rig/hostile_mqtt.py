"""A broker of version 3.1.1 that lets everybody in and then says what no broker should."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import Callable
from contextlib import suppress

from rig.listening import Listening

CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ = 1, 8, 10, 12


def publish(topic: bytes, payload: bytes, *, command: int = 0x30, announced: int | None = None) -> bytes:
    """`announced`: a remaining length that is not true."""
    body = struct.pack(">H", len(topic)) + topic + payload
    return bytes([command]) + _length(len(body) if announced is None else announced) + body


def _length(size: int) -> bytes:
    parts = []
    while True:
        size, rest = divmod(size, 128)
        parts.append(rest | (0x80 if size else 0))
        if not size:
            return bytes(parts)


class HostileBroker(Listening):
    """`says` is asked for bytes each 20 ms, as long as `hostile`; and hangs up after ten of them; else each client gets
    ``line/good`` with a number."""

    def __init__(self, dice: random.Random, says: Callable[[random.Random], bytes]) -> None:
        super().__init__()
        self.said, self.hostile = 0, True
        self._dice, self._says = dice, says

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talking: asyncio.Task[None] | None = None
        try:
            while True:
                kind, body = await _packet(reader)
                if kind == CONNECT:
                    writer.write(b"\x20\x02\x00\x00")
                elif kind == SUBSCRIBE:
                    writer.write(b"\x90" + _length(2 + _filters(body)) + body[:2] + b"\x01" * _filters(body))
                    talking = talking or asyncio.create_task(self._talk(writer))
                elif kind == UNSUBSCRIBE:
                    writer.write(b"\xb0\x02" + body[:2])
                elif kind == PINGREQ:
                    writer.write(b"\xd0\x00")
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            if talking is not None:
                talking.cancel()
            writer.transport.abort()

    async def _talk(self, writer: asyncio.StreamWriter) -> None:
        number = 0
        with suppress(OSError):
            while True:
                await asyncio.sleep(0.02)
                number += 1
                if self.hostile:
                    self.said += 1
                writer.write(self._says(self._dice) if self.hostile else publish(b"line/good", b"%d" % number))
                await writer.drain()
                if self.hostile and number % 10 == 0:
                    writer.transport.abort()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, size, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first >> 4, await reader.readexactly(size)


def _filters(body: bytes) -> int:
    at, found = 2, 0
    while at + 2 < len(body):
        at += 3 + struct.unpack(">H", body[at : at + 2])[0]
        found += 1
    return found
