"""A proxy that tunnels ``CONNECT`` and nothing else, as plants have them."""

from __future__ import annotations

import asyncio
import base64
from contextlib import suppress
from typing import Self

_HEAD_MOST = 16 * 1024


class ConnectProxy:
    """`targets`: host:port of every tunnel that was asked for, also of those that were refused.

    login    ``user:password`` that is asked for; empty: none is
    refuse   answer every CONNECT with this status instead
    """

    def __init__(self, *, login: str = "") -> None:
        self.targets: list[str] = []
        self.refuse: int | None = None
        self._wanted = "Basic " + base64.b64encode(login.encode()).decode() if login else ""
        self._server: asyncio.Server | None = None
        self._tunnels: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=_HEAD_MOST)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        for tunnel in self._tunnels:
            tunnel.cancel()
        if self._tunnels:
            await asyncio.wait(self._tunnels)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tunnels.add(task)
        try:
            await self._tunnel(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._tunnels.discard(task)
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (each.partition(":") for each in rest)}
        self.targets.append(target)
        status = self._status(method, headers.get("proxy-authorization", ""))
        host, _, port = target.rpartition(":")
        try:
            there, onward = await asyncio.open_connection(host, int(port)) if status == 200 else (None, None)
        except OSError:
            there, onward, status = None, None, 502
        if there is None or onward is None:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            return
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, onward))
                both.create_task(_pass_on(there, writer))
        finally:
            onward.transport.abort()

    def _status(self, method: str, authorization: str) -> int:
        if method != "CONNECT":
            return 405
        if self._wanted and authorization != self._wanted:
            return 407
        return self.refuse or 200


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while block := await reader.read(65536):
            writer.write(block)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
