"""Brings the blocks of a machine's channels and those of its tacho together. Bounded: one block of each waits."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.contract import Waveform

_SAME = 0.1
"""Share of a block by which the beginnings may lie apart."""


class Tachos:
    """tags   index of a machine's channel -> index of its tacho"""

    def __init__(self, tags: dict[int, int]) -> None:
        self._tacho_of = tags
        self._channels = {tacho: [tag for tag, mine in tags.items() if mine == tacho] for tacho in tags.values()}
        self._latest: dict[int, Waveform] = {}
        self._waiting: dict[int, Waveform] = {}
        self.lost = 0
        """Blocks that no block of the tacho came for."""

    def pairs(self, block: Waveform) -> Iterator[tuple[Waveform, Waveform | None]]:
        """Channels' blocks that can be looked at now, each with its tacho's; None: the machine has none."""
        if block.tag in self._channels:
            self._latest[block.tag] = block
            for tag in self._channels[block.tag]:
                if tag in self._waiting and _together(self._waiting[tag], block):
                    yield self._waiting.pop(tag), block
        elif block.tag not in self._tacho_of:
            yield block, None
        elif (tacho := self._latest.get(self._tacho_of[block.tag])) is not None and _together(block, tacho):
            yield block, tacho
        else:
            self.lost += block.tag in self._waiting
            self._waiting[block.tag] = block


def _together(one: Waveform, other: Waveform) -> bool:
    return abs(one.t_ns - other.t_ns) <= _SAME * 1e9 * len(one.samples) / one.rate_hz
