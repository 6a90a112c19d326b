"""A PLC whose counter grows with each read, and which notes what it handed out."""

from __future__ import annotations

from gateway.testkit.servers.modbus import Plc

COUNTER, SWING = 0, 2
CALM, ALARM = 20, 90


class CountingPlc(Plc):
    """Holding registers 0-1: a uint32 that grows by one with each read; 2: calm for `every` reads, then in alarm for as many.

    served   reads that were answered
    every    0: always calm
    """

    def __init__(self, every: int = 10) -> None:
        super().__init__()
        self.served, self.every = 0, every

    def _read(self, function: int, request: bytes) -> bytes:
        self.served += 1
        self.set("holding", COUNTER, [self.served >> 16 & 0xFFFF, self.served & 0xFFFF])
        alarm = self.every and self.served // self.every % 2
        self.set("holding", SWING, [ALARM if alarm else CALM])
        return super()._read(function, request)
