"""pymodbus as transport and framing; replies are kept as the bytes they came in."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException, ModbusIOException
from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.modbus.config import ModbusOptions, Table
from drivers.modbus.plan import Block
from gateway.contract import NotConnected

# pymodbus logs the last twenty frames at ERROR on every lost reply; the supervisor tells what happened, once.
logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)

_REQUESTS: dict[Table, Any] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "input": ReadInputRegistersRequest,
    "holding": ReadHoldingRegistersRequest,
}


class _RawReply(ModbusPDU):
    """A read reply whose payload is not unpacked register by register."""

    rtu_byte_count_pos = 2
    payload = b""

    def decode(self, data: bytes) -> None:
        if data[0] != len(data) - 1:
            raise ModbusIOException(f"byte count {data[0]}, but {len(data) - 1} bytes came")
        self.payload = data[1:]

    def encode(self) -> bytes:
        return bytes([len(self.payload)]) + self.payload


class _RawCoils(_RawReply):
    function_code = 1


class _RawDiscrete(_RawReply):
    function_code = 2


class _RawHolding(_RawReply):
    function_code = 3


class _RawInput(_RawReply):
    function_code = 4


class Refused(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Wire:
    """One connection; one request in flight, because most devices can do no better."""

    def __init__(self, options: ModbusOptions) -> None:
        self._options = options
        self._host, self._port = options.peer
        self.peer = f"{self._host}:{self._port}"
        self._client: AsyncModbusTcpClient | None = None

    async def connect(self) -> None:
        """Raises NotConnected."""
        client = AsyncModbusTcpClient(
            self._host, port=self._port, timeout=self._options.timeout, retries=0, reconnect_delay=0, name=self.peer
        )
        for reply in (_RawCoils, _RawDiscrete, _RawHolding, _RawInput):
            client.register(reply)
        self._client = client
        try:
            async with asyncio.timeout(min(9.0, 2 * self._options.timeout + 1)):
                connected = await client.connect()
        except (TimeoutError, OSError, ModbusException) as exc:
            raise NotConnected(self.peer, str(exc) or "timed out") from exc
        if not connected:
            raise NotConnected(self.peer, "no connection: refused, unreachable or timed out")

    async def read(self, block: Block) -> bytes:
        """The payload of the reply.

        raises Refused        the device answered with an exception
        raises NotConnected   no, half or a wrong answer: the connection cannot be trusted any more
        """
        if self._client is None or not self._client.connected:
            raise NotConnected(self.peer, "connection lost")
        request = _REQUESTS[block.table](address=block.start, count=block.count, dev_id=self._options.unit_id)
        try:
            reply = await self._client.execute(False, request)
        except (ModbusException, OSError, TimeoutError) as exc:
            raise NotConnected(self.peer, self._why(exc)) from exc
        if reply.isError():
            raise Refused(int(reply.exception_code))
        expected = 2 * block.count if block.table in ("input", "holding") else (block.count + 7) // 8
        if len(reply.payload) != expected:
            raise NotConnected(self.peer, f"asked for {expected} bytes, got {len(reply.payload)}")
        return bytes(reply.payload)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _why(self, exc: Exception) -> str:
        if "No response" in str(exc) and self._client is not None and self._client.connected:
            return f"unit {self._options.unit_id} did not answer within {self._options.timeout:g} s"
        return "connection lost" if "No response" in str(exc) else str(exc)[:200]
