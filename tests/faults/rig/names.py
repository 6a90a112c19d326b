"""A name server that answers, refuses, lies or is silent. Needs root for its port, and stands behind a `Namespace`'s wire."""

from __future__ import annotations

import asyncio
import struct
from typing import Literal, Self, TypeAlias, cast

from rig.netns import THERE

Mode: TypeAlias = Literal["right", "refuse", "unknown", "silent", "wrong"]
_CODE = {"refuse": 5, "unknown": 3}
_A = 1


class Names(asyncio.DatagramProtocol):
    """mode    what becomes of a question:
        right    `address`
        refuse   REFUSED
        unknown  NXDOMAIN
        silent   nothing
        wrong    an address nobody has
    asked     how many questions came
    """

    def __init__(self, address: str = THERE, *, wrong: str = "10.99.0.77") -> None:
        self.mode: Mode = "right"
        self.asked = 0
        self._address, self._wrong = address, wrong
        self._transport: asyncio.DatagramTransport | None = None

    async def __aenter__(self) -> Self:
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, (THERE, 53))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if self.mode != "silent" and self._transport is not None:
            self._transport.sendto(self._answer(data), addr)

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035; one question, at most one address, for a minute of no time at all."""
        end = question.index(0, 12) + 5
        kind = struct.unpack(">H", question[end - 4 : end - 2])[0]
        found = kind == _A and self.mode in ("right", "wrong")
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | _CODE.get(self.mode, 0), 1, int(found), 0, 0)
        address = bytes(map(int, (self._address if self.mode == "right" else self._wrong).split(".")))
        record = struct.pack(">HHHIH", 0xC00C, _A, 1, 0, 4) + address if found else b""
        return head + question[12:end] + record
