"""A PLC on Modbus, by the specification: TCP, and RTU or ASCII over TCP; its values, refusals and faults are set freely."""

from __future__ import annotations

import asyncio
import ssl
import struct
from binascii import unhexlify
from collections import deque
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from gateway.testkit.servers.ports import free_port

_TABLES = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}
_SCHEMES = {"mbap": "tcp", "rtu": "rtu+tcp", "ascii": "ascii+tcp"}


class Plc:
    """Four tables of 65,536 addresses each, zero unless set. Answers functions 1 to 6, 16 and 43/14.

    others     units with tables of their own; all other numbers are this one
    only       if set, the units that answer; the rest is silent
    refuse     addresses that answer with exception 2
    read_only  holding registers and coils that refuse to be written, with exception 3
    code       if set, every request answers with this exception code
    silent     if True, requests are swallowed
    mangle     if set, called with each reply's bytes; what it returns is sent instead
    identity   objects of function 43/14; empty: it does not know the function
    asked      unit and message of the last requests
    """

    def __init__(self, framing: Literal["mbap", "rtu", "ascii"] = "mbap", tls: ssl.SSLContext | None = None) -> None:
        self._tables = {name: np.zeros(65_536, dtype=np.uint16) for name in _TABLES.values()}
        self._framing, self._tls = framing, tls
        self.others: dict[int, Plc] = {}
        self.only: set[int] | None = None
        self.refuse: set[tuple[str, int]] = set()
        self.read_only: set[tuple[str, int]] = set()
        self.code: int | None = None
        self.silent = False
        self.mangle: Callable[[bytes], bytes] | None = None
        self.identity: dict[int, str] = {}
        self.asked: deque[tuple[int, bytes]] = deque(maxlen=10_000)
        self.requests = 0
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'tls' if self._tls else _SCHEMES[self._framing]}://{self.address}"

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

    def words(self, table: str, address: int, count: int) -> list[int]:
        """What stands there."""
        found: list[int] = self._tables[table][address : address + count].tolist()
        return found

    async def start(self) -> None:
        """On the port of last time, or a free one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port or free_port(), ssl=self._tls)
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
        self.connections += 1
        task.add_done_callback(self._serving.discard)
        try:
            while True:
                transaction, unit, request = await self._receive(reader)
                self.requests += 1
                self.asked.append((unit, request))
                if self.silent or (self.only is not None and unit not in self.only):
                    continue
                frame = self._frame(transaction, unit, self.others.get(unit, self)._answer(request))
                writer.write(self.mangle(frame) if self.mangle else frame)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _receive(self, reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
        if self._framing == "mbap":
            transaction, _, length, unit = struct.unpack(">HHHB", await reader.readexactly(7))
            return transaction, unit, await reader.readexactly(length - 1)
        if self._framing == "ascii":
            frame = unhexlify((await reader.readuntil(b"\r\n"))[1:-2])
            return 0, frame[0], frame[1:-1]
        head = await reader.readexactly(7)
        more = {16: 2 + head[6], 43: 0}.get(head[1], 1)
        frame = head + await reader.readexactly(more)
        return 0, frame[0], frame[1:-2]

    def _frame(self, transaction: int, unit: int, message: bytes) -> bytes:
        if self._framing == "mbap":
            return struct.pack(">HHHB", transaction, 0, len(message) + 1, unit) + message
        frame = bytes([unit]) + message
        if self._framing == "ascii":
            return f":{frame.hex().upper()}{-sum(frame) & 0xFF:02X}\r\n".encode()
        return frame + crc(frame)

    def _answer(self, request: bytes) -> bytes:
        function = request[0]
        if self.code is not None:
            return bytes([function | 0x80, self.code])
        if function == 43 and self.identity:
            objects = b"".join(bytes([key, len(text)]) + text.encode() for key, text in self.identity.items())
            return bytes([43, 14, 1, 1, 0, 0, len(self.identity)]) + objects
        if function in (5, 6, 16):
            address, given = struct.unpack(">HH", request[1:5])
            return self._written(function, address, given, request[6:])
        return self._read(function, request)

    def _read(self, function: int, request: bytes) -> bytes:
        table = _TABLES.get(function)
        if table is None:
            return bytes([function | 0x80, 1])
        address, count = struct.unpack(">HH", request[1:5])
        if address + count > 65_536 or any((table, a) in self.refuse for a in range(address, address + count)):
            return bytes([function | 0x80, 2])
        words = self._tables[table][address : address + count]
        if table in ("coil", "discrete"):
            payload = np.packbits(words.astype(bool), bitorder="little").tobytes()
        else:
            payload = words.astype(">u2").tobytes()
        return bytes([function, len(payload)]) + payload

    def _written(self, function: int, address: int, given: int, data: bytes) -> bytes:
        table = "coil" if function == 5 else "holding"
        words = list(struct.unpack(f">{given}H", data)) if function == 16 else [given == 0xFF00 if function == 5 else given]
        if any((table, a) in self.read_only for a in range(address, address + len(words))):
            return bytes([function | 0x80, 3])
        self.set(table, address, words)
        return struct.pack(">BHH", function, address, given)


def crc(frame: bytes) -> bytes:
    """CRC-16 of Modbus, low byte first (MODBUS over Serial Line V1.02, 6.2.2)."""
    value = 0xFFFF
    for byte in frame:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")
