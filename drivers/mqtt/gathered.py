"""What decoders fill."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import nan
from typing import Protocol

from gateway.contract import Batch, Health, Item, Quality, Record, Waveform

BAD_DEVICE = int(Quality.BAD_DEVICE)


@dataclass(slots=True)
class Gathered:
    """What the messages of one drain gave, in their order.

    readings   (tag, t_ns, value, quality)
    health     what devices said of themselves
    lost       counts by reason
    """

    readings: list[tuple[int, int, float, int]] = field(default_factory=list)
    blocks: list[Waveform] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    lost: dict[str, int] = field(default_factory=dict)

    def lose(self, reason: str) -> None:
        self.lost[reason] = self.lost.get(reason, 0) + 1

    def spoil(self, readings: int, blocks: int) -> None:
        """What came after so many readings and blocks is bad: its device says it is not there."""
        self.readings[readings:] = [(tag, t_ns, nan, BAD_DEVICE) for tag, t_ns, _, _ in self.readings[readings:]]
        self.blocks[blocks:] = [replace(block, quality=BAD_DEVICE) for block in self.blocks[blocks:]]

    def items(self) -> list[Item]:
        """One Batch, then blocks, then records."""
        batch: list[Item] = [Batch.of(*zip(*self.readings, strict=True))] if self.readings else []
        return [*batch, *self.blocks, *self.records]


class Decoder(Protocol):
    """Decodes the messages of one topic for some tags, or for one record."""

    def __call__(self, payload: bytes, retained: bool, properties: bytes, now_ns: int, into: Gathered) -> None:
        """`retained`: it was said before we came; `now_ns`: when it came."""
