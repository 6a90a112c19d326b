"""What is asked, and what an answer must be: messages without their frames. Pure; pymodbus encodes the requests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pymodbus.pdu import ModbusPDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest, WriteSingleCoilRequest
from pymodbus.pdu.mei_message import ReadDeviceInformationRequest
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
    WriteSingleRegisterRequest,
)

from drivers.modbus.address import Table
from drivers.modbus.frames import IDENTIFY

_READ: dict[Table, Any] = {
    "coil": ReadCoilsRequest,
    "discrete": ReadDiscreteInputsRequest,
    "input": ReadInputRegistersRequest,
    "holding": ReadHoldingRegistersRequest,
}
_WORDS = {  # of the specification (MODBUS Application Protocol V1.1b3, 7), shortened
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge, still working",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}
OF_THE_ADDRESS = (1, 2, 3)
OF_THE_GATEWAY = (10, 11)  # said by a gateway in place of a unit that does not answer


class Refused(Exception):
    """The device answered with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}" + (f", {_WORDS[code]}" if code in _WORDS else ""))
        self.code = code


class Unexpected(Exception):
    """A whole frame whose message is not an answer to what was asked."""


@dataclass(frozen=True, slots=True)
class Request:
    """size   bytes of the payload of its answer; 0: any"""

    unit: int
    function: int
    message: bytes
    size: int = 0

    def payload(self, answer: bytes) -> bytes:
        """Of a read: its registers or packed bits; of anything else: what stands behind the function code.

        raises Refused      the device answered with an exception
        raises Unexpected   another function, length or echo than asked for
        """
        function = answer[0]
        if function & 0x7F != self.function:
            raise Unexpected(f"asked function {self.function}, got {function & 0x7F}")
        if function & 0x80:
            if len(answer) != 2:
                raise Unexpected(f"an exception of {len(answer)} bytes")
            raise Refused(answer[1])
        if self.size:
            if len(answer) != self.size + 2 or answer[1] != self.size:
                raise Unexpected(
                    f"asked for {self.size} bytes, got {len(answer) - 2} that call themselves {answer[1:2].hex() or 'nothing'}"
                )
            return answer[2:]
        if self.function != IDENTIFY and answer != self.message[:5]:
            raise Unexpected("the confirmation names something else than what was written")
        return answer[1:]


def _request(unit: int, pdu: ModbusPDU, size: int = 0) -> Request:
    return Request(unit, pdu.function_code, bytes([pdu.function_code]) + pdu.encode(), size)


def read(unit: int, table: Table, start: int, count: int) -> Request:
    size = 2 * count if table in ("input", "holding") else (count + 7) // 8
    return _request(unit, _READ[table](address=start, count=count), size)


def write_coil(unit: int, start: int, on: bool) -> Request:
    return _request(unit, WriteSingleCoilRequest(address=start, bits=[on]))


def write_registers(unit: int, start: int, words: list[int]) -> Request:
    """Function 6 for one, function 16 for several."""
    if len(words) == 1:
        return _request(unit, WriteSingleRegisterRequest(address=start, registers=words))
    return _request(unit, WriteMultipleRegistersRequest(address=start, registers=words))


def identify(unit: int) -> Request:
    """Function 43/14: vendor, product, revision."""
    return _request(unit, ReadDeviceInformationRequest(read_code=1, object_id=0))


def identity(payload: bytes) -> dict[int, str]:
    """Object id to text, as far as the bytes go; `payload` from behind the function code."""
    found: dict[int, str] = {}
    at, count = 6, payload[5] if len(payload) > 5 else 0
    while count and at + 2 <= len(payload):
        text = payload[at + 2 : at + 2 + payload[at + 1]]
        found[payload[at]] = "".join(c if c.isprintable() else " " for c in text.decode("latin-1")).strip()
        at, count = at + 2 + payload[at + 1], count - 1
    return found
