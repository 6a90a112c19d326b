"""pymodbus as framing and messages over an asyncio connection; payloads are kept as the bytes they came in.

pymodbus' own client is left out for three reasons: it unpacks every register into a Python integer, it finds a lost
connection only by its timeout, and it logs what the supervisor tells once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from functools import partial
from typing import Any, cast

from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.modbus.config import ModbusOptions, Table
from drivers.modbus.plan import Block
from gateway.contract import NotConnected

logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_REQUESTS: dict[Table, Any] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "input": ReadInputRegistersRequest,
    "holding": ReadHoldingRegistersRequest,
}
_BUFFER_MOST = 2048  # a frame has at most 260 bytes; more than a few that nobody asked for is not Modbus


class Refused(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class _Reply(ModbusPDU):
    """A read reply whose payload is not unpacked register by register."""

    payload = b""

    def decode(self, data: bytes) -> None:
        if not data or data[0] != len(data) - 1:
            raise ModbusIOException(f"byte count {data[:1].hex()}, but {len(data) - 1} bytes came")
        self.payload = data[1:]


def _framer() -> FramerSocket:
    decoder = DecodePDU(is_server=False)
    for request in _REQUESTS.values():
        decoder.register(type("_Reply", (_Reply,), {"function_code": request.function_code}))
    return FramerSocket(decoder)


class _Link(asyncio.Protocol):
    """One connection, one request in flight, because most devices can do no better."""

    def __init__(self) -> None:
        self._framer, self._buffer = _framer(), b""
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[ModbusPDU] | None = None
        self._unit = self._transaction = 0
        self.lost = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asserted: uvloop's transports are no subclass of asyncio.Transport.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = self.lost or (reason(exc) if exc else "connection closed by the device")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ModbusException(self.lost))

    def data_received(self, data: bytes) -> None:
        """Frames of an earlier request (it was cancelled) and of other units are skipped by the framer."""
        self._buffer += data
        if self._waiter is None or self._waiter.done():
            if len(self._buffer) > _BUFFER_MOST:
                self.abort("sends what nobody asked for")
            return
        try:
            used, reply = self._framer.handleFrame(self._buffer, self._unit, self._transaction)
        except ModbusException as exc:
            self._waiter.set_exception(exc)
            return
        self._buffer = self._buffer[used:]
        if reply is not None:
            self._waiter.set_result(reply)
        elif len(self._buffer) > _BUFFER_MOST:
            self.abort("sends what is not Modbus TCP")

    async def ask(self, request: ModbusPDU, timeout: float) -> ModbusPDU:
        """Raises ModbusException, also after `timeout` seconds."""
        if self._transport is None or self.lost:
            raise ModbusException(self.lost or "not connected")
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        self._transaction = request.transaction_id = self._transaction % 65_535 + 1
        self._unit = request.dev_id
        self._transport.write(self._framer.buildFrame(request))
        deadline = loop.call_later(timeout, partial(self._silent, waiter, timeout))
        try:
            reply: ModbusPDU = await waiter
            return reply
        finally:
            deadline.cancel()

    def _silent(self, waiter: asyncio.Future[ModbusPDU], timeout: float) -> None:
        if not waiter.done():
            waiter.set_exception(ModbusException(f"unit {self._unit} did not answer within {timeout:g} s"))

    def abort(self, why: str) -> None:
        self.lost = self.lost or why
        if self._transport is not None:
            self._transport.abort()


class Wire:
    """Asks for blocks; says what happened as Refused or NotConnected."""

    def __init__(self, options: ModbusOptions) -> None:
        self._options = options
        self._host, self._port = options.peer
        self.peer = f"{self._host}:{self._port}"
        self._link: _Link | None = None

    async def connect(self) -> None:
        """Raises NotConnected."""
        seconds = min(9.0, 2 * self._options.timeout + 1)
        try:
            async with asyncio.timeout(seconds):
                _, self._link = await asyncio.get_running_loop().create_connection(_Link, self._host, self._port)
        except TimeoutError as exc:
            raise NotConnected(self.peer, f"no connection within {seconds:g} s") from exc
        except OSError as exc:
            raise NotConnected(self.peer, reason(exc)) from exc

    async def read(self, block: Block) -> bytes:
        """The payload of the reply.

        raises Refused        the device answered with an exception
        raises NotConnected   no, half or a wrong answer: the connection cannot be trusted any more
        """
        if self._link is None:
            raise NotConnected(self.peer, "not connected")
        request = _REQUESTS[block.table](address=block.start, count=block.count, dev_id=self._options.unit_id)
        try:
            reply = await self._link.ask(request, self._options.timeout)
        except ModbusException as exc:
            raise NotConnected(self.peer, exc.string.removeprefix("[Input/Output] ")) from exc
        if reply.function_code & 0x7F != request.function_code:
            raise NotConnected(self.peer, f"asked function {request.function_code}, got {reply.function_code & 0x7F}")
        if reply.isError():
            raise Refused(reply.exception_code)
        expected = 2 * block.count if block.table in ("input", "holding") else (block.count + 7) // 8
        payload = getattr(reply, "payload", b"")
        if len(payload) != expected:
            raise NotConnected(self.peer, f"asked for {expected} bytes, got {len(payload)}")
        return bytes(payload)

    def close(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.abort("closed")


def reason(exc: Exception) -> str:
    """In the operating system's words, without addresses.

    >>> reason(ConnectionRefusedError(111, "Connect call failed ('10.1.4.7', 502)"))
    'connection refused'
    """
    if isinstance(exc, socket.gaierror):
        return (exc.strerror or "name not known").lower()
    if isinstance(exc, OSError) and exc.errno:
        return os.strerror(exc.errno).lower()
    return str(exc) or type(exc).__name__
