"""A proxy before an OPC UA server that changes whole chunks of what it answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from rig.listening import Listening

Mangle: TypeAlias = Callable[[bytes], bytes]
"""From one chunk to what is sent instead."""
HEADER = 24
"""Bytes of a MSG chunk before its body, without encryption (OPC UA Part 6, 6.7.2)."""


class Mangler(Listening):
    """mangle   of the server's MSG chunks; None: all pass
    mangled     how many were changed
    """

    def __init__(self, to: int) -> None:
        super().__init__()
        self.mangled = 0
        self.mangle: Mangle | None = None
        self._to = to

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", self._to)
            up = asyncio.create_task(_pass_on(reader, onward))
            try:
                await self._answers(there, writer)
            finally:
                up.cancel()
                onward.transport.abort()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await there.readexactly(8)
            chunk = head + await there.readexactly(struct.unpack("<I", head[4:])[0] - 8)
            if self.mangle is not None and head[:3] == b"MSG":
                self.mangled += 1
                chunk = self.mangle(chunk)
            writer.write(chunk)
            await writer.drain()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
