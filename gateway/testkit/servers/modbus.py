"""A PLC on Modbus TCP, by the specification (MBAP header, functions 1 to 4), whose values, refusals and faults are set freely."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Mapping

import numpy as np

_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class Plc:
    """Answers reads of all four tables; 65,536 addresses each, zero unless set.

    refuse   addresses that answer with exception 2
    code     if set, every read answers with this exception code
    silent   if True, requests are swallowed
    mangle   if set, called with each reply's bytes; what it returns is sent instead
    """

    def __init__(self) -> None:
        self._tables = {name: np.zeros(65_536, dtype=np.uint16) for name in _TABLES.values()}
        self.refuse: set[tuple[str, int]] = set()
        self.code: int | None = None
        self.silent = False
        self.mangle: Callable[[bytes], bytes] | None = None
        self.requests = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"tcp://{self.address}"

    def set(self, table: str, address: int, words: list[int] | np.ndarray[tuple[int], np.dtype[np.uint16]]) -> None:
        """Write registers (or coils as 0/1) from `address`."""
        self._tables[table][address : address + len(words)] = words

    def set_float(self, table: str, address: int, value: float) -> None:
        """A float32 in the order ABCD."""
        self.set(table, address, list(struct.unpack(">HH", struct.pack(">f", value))))

    def holds(self, values: Mapping[int, int]) -> None:
        """Holding registers by protocol address."""
        for address, word in values.items():
            self.set("holding", address, [word])

    async def start(self) -> None:
        """On the port of last time, or a free one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a power cut would: connections are reset."""
        if self._server is not None:
            self._server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await self._server.wait_closed()
            await asyncio.gather(*self._serving, return_exceptions=True)
            self._server = None

    async def __aenter__(self) -> Plc:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._writers.add(writer)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            while True:
                transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
                request = await reader.readexactly(length - 1)
                self.requests += 1
                if self.silent:
                    continue
                pdu = self._answer(request)
                frame = struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu
                writer.write(self.mangle(frame) if self.mangle else frame)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    def _answer(self, request: bytes) -> bytes:
        function, address, count = struct.unpack(">BHH", request[:5])
        if self.code is not None:
            return bytes([function | 0x80, self.code])
        table = _TABLES.get(function)
        if table is None:
            return bytes([function | 0x80, 1])
        if address + count > 65_536 or any((table, a) in self.refuse for a in range(address, address + count)):
            return bytes([function | 0x80, 2])
        words = self._tables[table][address : address + count]
        if table in ("coil", "discrete"):
            payload = np.packbits(words.astype(bool), bitorder="little").tobytes()
        else:
            payload = words.astype(">u2").tobytes()
        return bytes([function, len(payload)]) + payload
