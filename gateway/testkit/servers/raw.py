"""A server that answers an HTTP request with whatever bytes a test wants, or with none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

Reply: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def raw_server(reply: Reply) -> AsyncIterator[str]:
    """Its address. Reads one whole request from each connection, lets `reply` write, and cuts the connection."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
            await reply(writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writers.discard(writer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in list(writers):
            writer.transport.abort()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def said(text: bytes) -> Reply:
    """These bytes and no more: garbage, half an answer, or, when empty, a connection that is hung up."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()

    return reply


def half_an_answer(status: str = "200 OK") -> Reply:
    """Promises a thousand bytes of JSON and gives a dozen."""
    return said(f'HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n[{{"success":t'.encode())


def endless(status: str = "200 OK", block: bytes = b" " * 65536) -> Reply:
    """A body that never ends, as fast as it is read."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\r\n[".encode())
        while not writer.is_closing():
            writer.write(block)
            await writer.drain()

    return reply


def status_and_silence(status: str = "200 OK") -> Reply:
    """The head of an answer, and then nothing, for as long as the other side has patience."""

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n".encode())
        await writer.drain()
        await writer.wait_closed()

    return reply
