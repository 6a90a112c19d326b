"""Frames around a message (PDU): Modbus TCP's header, RTU's CRC, ASCII's LRC. Pure.

pymodbus builds those with checksums and computes them. Taking them apart is done here: whoever asked knows the unit, the function and,
from the first bytes, the length of the answer, so every byte string ends in an answer, in waiting, or in `Broken`.
"""

from __future__ import annotations

from binascii import unhexlify
from itertools import pairwise
from struct import Struct
from typing import NamedTuple, Protocol

from pymodbus.framer.ascii import FramerAscii
from pymodbus.framer.rtu import FramerRTU
from pymodbus.pdu import DecodePDU

from drivers.modbus.endpoint import Framing

_DECODER = DecodePDU(is_server=False)
_RTU, _ASCII = FramerRTU(_DECODER), FramerAscii(_DECODER)
_HEADER = Struct(">HHHB")  # transaction, protocol, length, unit
MOST_BYTES = 2048  # waiting to be a frame, which has at most 513; more is not Modbus
IDENTIFY = 43


class Broken(Exception):
    """What came can be no part of a conversation in Modbus."""


class Asked(NamedTuple):
    """Whose answer is awaited."""

    unit: int
    function: int
    transaction: int


class Frames(Protocol):
    """One way of framing."""

    def build(self, message: bytes, asked: Asked) -> bytes:
        """The frame to send."""

    def take(self, buffer: bytes, asked: Asked) -> tuple[int, bytes | None]:
        """(bytes that are done with, message of the answer or None: wait for more). Raises Broken.

        Frames of other requests and of other units are skipped.
        """

    def begins(self, buffer: bytes, asked: Asked) -> bool:
        """Whether the answer may have begun in what is no answer yet."""


class Mbap:
    """Modbus TCP and its TLS form: seven bytes before the message (MODBUS Messaging on TCP/IP V1.0b, 3.1.3)."""

    def build(self, message: bytes, asked: Asked) -> bytes:
        return _HEADER.pack(asked.transaction, 0, len(message) + 1, asked.unit) + message

    def take(self, buffer: bytes, asked: Asked) -> tuple[int, bytes | None]:
        used = 0
        while len(buffer) - used >= 8:
            transaction, protocol, length, unit = _HEADER.unpack_from(buffer, used)
            if protocol or not 2 <= length <= 254:
                raise Broken("sends what is not Modbus TCP")
            end = used + 6 + length
            if len(buffer) < end:
                break
            if transaction == asked.transaction and unit == asked.unit:
                return end, buffer[used + 7 : end]
            used = end
        return used, None

    def begins(self, buffer: bytes, asked: Asked) -> bool:
        return len(buffer) > 0


class Rtu:
    """Unit, message, CRC (MODBUS over Serial Line V1.02, 2.5.1). The frame is looked for, because noise may come before it."""

    def build(self, message: bytes, asked: Asked) -> bytes:
        return bytes(_RTU.encode(message, asked.unit, 0))

    def take(self, buffer: bytes, asked: Asked) -> tuple[int, bytes | None]:
        for start in range(len(buffer) - 4):
            if buffer[start] != asked.unit or buffer[start + 1] & 0x7F != asked.function:
                continue
            end = start + 3 + message_length(buffer[start + 1 :])
            if start + 3 < end <= len(buffer) and FramerRTU.check_CRC(
                buffer[start : end - 2], int.from_bytes(buffer[end - 2 : end], "big")
            ):
                return end, buffer[start + 1 : end - 2]
        return 0, None

    def begins(self, buffer: bytes, asked: Asked) -> bool:
        return any(pair[0] == asked.unit and pair[1] & 0x7F == asked.function for pair in pairwise(buffer))


class Ascii:
    """``:``, everything in hexadecimal digits, LRC, CR LF (MODBUS over Serial Line V1.02, 2.5.2)."""

    def build(self, message: bytes, asked: Asked) -> bytes:
        return bytes(_ASCII.encode(message, asked.unit, 0))

    def take(self, buffer: bytes, asked: Asked) -> tuple[int, bytes | None]:
        used = 0
        while (end := buffer.find(b"\r\n", used)) >= 0:
            line, used = buffer[used:end], end + 2
            try:
                frame = unhexlify(line[line.rfind(b":") + 1 :])
            except ValueError:
                continue
            fits = len(frame) >= 4 and frame[0] == asked.unit and frame[1] & 0x7F == asked.function
            if fits and FramerAscii.check_LRC(frame[:-1], frame[-1]):
                return used, frame[1:-1]
        return used, None

    def begins(self, buffer: bytes, asked: Asked) -> bool:
        return b":" in buffer


def message_length(message: bytes) -> int:
    """Of an answer, from its first bytes; 0 if they do not suffice."""
    function = message[0]
    if function & 0x80:
        return 2
    if function in (1, 2, 3, 4):
        return 2 + message[1]
    if function == IDENTIFY:
        return _objects_length(message)
    return 5  # of functions that write: what was asked, repeated


def _objects_length(message: bytes) -> int:
    """Function 43/14: six bytes and their number of objects, each with its id and length (V1.1b3, 6.21)."""
    if len(message) < 7:
        return 0
    end = 7
    for _ in range(message[6]):
        if len(message) < end + 2:
            return 0
        end += 2 + message[end + 1]
    return end


def frames(framing: Framing) -> Frames:
    return Mbap() if framing == "mbap" else Rtu() if framing == "rtu" else Ascii()
