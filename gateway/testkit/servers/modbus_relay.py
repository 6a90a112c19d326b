"""A bad cable: passes bytes on, mangles what comes back, or passes nothing any more and says nothing of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TypeAlias

Mangle: TypeAlias = Callable[[bytes], bytes]


def noise(seed: int, share: float) -> Mangle:
    """Flips a bit, loses, doubles or adds a byte in this share of the bytes; the same seed, the same noise."""
    dice = random.Random(seed)

    def mangle(data: bytes) -> bytes:
        found = bytearray()
        for byte in data:
            kind = dice.randrange(4) if dice.random() < share else None
            if kind is None:
                found.append(byte)
            elif kind == 0:
                found.append(byte ^ 1 << dice.randrange(8))
            elif kind > 1:
                found += bytes([byte, byte if kind == 2 else dice.randrange(256)])
        return bytes(found)

    return mangle


class Relay:
    """Between a client and a port of loopback. `mangle` may be set at any time; None: bytes pass as they are.

    `freeze`: nothing is read nor written any more, the connections stay, and new ones are taken: half-open. `thaw` ends it.
    """

    def __init__(self, target: int, mangle: Mangle | None = None) -> None:
        self._target, self.mangle = target, mangle
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    def freeze(self) -> None:
        self._flows.clear()

    def thaw(self) -> None:
        self._flows.set()

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._flows.wait()
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
            try:
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass_on(reader, onward, mangled=False))
                    both.create_task(self._pass_on(there, writer, mangled=True))
            finally:
                onward.transport.abort()
        except (OSError, asyncio.CancelledError):  # at the end; asyncio would tell a cancelled one as an error
            pass
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, mangled: bool) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(self.mangle(data) if mangled and self.mangle else data)
                await writer.drain()
        writer.transport.abort()
