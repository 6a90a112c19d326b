"""A proxy before an OPC UA server that changes whole chunks of what it answers."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeAlias

Mangle: TypeAlias = Callable[[bytes], bytes]
"""From one chunk to what is sent instead."""
HEADER = 24
"""Bytes of a MSG chunk before its body, without encryption (OPC UA Part 6, 6.7.2)."""


class Mangler:
    """mangle   of the server's MSG chunks; None: all pass
    mangled     how many were changed
    """

    def __init__(self, to: int) -> None:
        self.port, self.mangled, self.connections = 0, 0, 0
        self.mangle: Mangle | None = None
        self._to = to
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
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
            self._tasks.discard(task)
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
