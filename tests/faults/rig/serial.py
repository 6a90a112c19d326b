"""A serial line: a pseudo terminal for the daemon, whose other end is a server of RTU over TCP."""

from __future__ import annotations

import asyncio
import os
import tty
from contextlib import suppress
from typing import Self


class SerialLine:
    """`device` is what the daemon opens."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ours, self._theirs = os.openpty()
        tty.setraw(self._ours)
        tty.setraw(self._theirs)
        self.device = os.ttyname(self._theirs)
        self._back: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        asyncio.get_running_loop().add_reader(self._ours, self._pass_on, writer)
        self._back = asyncio.create_task(self._answer(reader))
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._ours)
        if self._back is not None:
            self._back.cancel()
            with suppress(asyncio.CancelledError):
                await self._back
        os.close(self._ours)
        os.close(self._theirs)

    def _pass_on(self, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(os.read(self._ours, 4096))

    async def _answer(self, reader: asyncio.StreamReader) -> None:
        while block := await reader.read(4096):
            os.write(self._ours, block)
