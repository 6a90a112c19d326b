"""A TCP proxy on loopback between the daemon and a server, whose mode is changed while it runs."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Literal, Self, TypeAlias

Mode: TypeAlias = Literal["pass", "hold", "lose_answers", "reset", "refuse", "dribble", "cut", "garbage", "rate", "late"]


class Chaos:
    """mode           what is done to every connection from now on:
        pass          nothing
        hold          accepts and swallows both ways, closes nothing: half-open
        lose_answers  requests go through, answers are swallowed
        reset         resets what is open and what comes
        refuse        nobody listens; what is open is reset
        dribble       one byte each `seconds`
        cut           resets an answer after `after` bytes
        garbage       flips each byte with probability `share`
        rate          `bytes_per_second` each way
        late          waits `seconds`, more or less half of it
    connections, up, down   how many were accepted, bytes passed on each way
    """

    def __init__(self, to: tuple[str, int], *, seed: int = 0) -> None:
        self.to, self.port = to, 0
        self.mode: Mode = "pass"
        self.seconds, self.after, self.share, self.bytes_per_second = 0.3, 100, 0.01, 8000.0
        self.connections = self.up = self.down = 0
        self._dice = random.Random(seed)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.set("refuse")
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def set(self, mode: Mode) -> None:
        self.mode = mode
        if mode in ("reset", "refuse"):
            for writer in list(self._writers):
                _reset(writer)
        if mode == "refuse" and self._server is not None:
            self._server.close()
            self._server = None
        elif mode != "refuse" and self._server is None:
            await self._listen()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.connections += 1
        try:
            await self._pass_on(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._writers.discard(writer)
            _reset(writer)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "reset":
            return
        self._writers.add(writer)
        there, onward = await asyncio.open_connection(*self.to)
        self._writers.add(onward)
        pumps = [asyncio.create_task(self._pump(reader, onward, "up")), asyncio.create_task(self._pump(there, writer, "down"))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._writers.discard(onward)
            _reset(onward)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Literal["up", "down"]) -> None:
        passed = 0
        with suppress(OSError):
            while block := await reader.read(65536):
                if self.mode == "hold" or (self.mode == "lose_answers" and way == "down"):
                    continue  # what is swallowed stays lost
                if self.mode == "cut" and way == "down" and passed + len(block) > self.after:
                    writer.write(block[: max(0, self.after - passed)])
                    return
                async for piece in self._pieces(block):
                    writer.write(piece)
                    await writer.drain()
                passed += len(block)
                setattr(self, way, getattr(self, way) + len(block))

    async def _pieces(self, block: bytes) -> AsyncIterator[bytes]:
        if self.mode == "dribble":
            for byte in block:
                await asyncio.sleep(self.seconds)
                yield bytes([byte])
            return
        if self.mode == "rate":
            await asyncio.sleep(len(block) / self.bytes_per_second)
        elif self.mode == "late":
            await asyncio.sleep(self.seconds * self._dice.uniform(0.5, 1.5))
        elif self.mode == "garbage":
            block = bytes(byte ^ 0xFF if self._dice.random() < self.share else byte for byte in block)
        yield block


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, AttributeError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
