"""What is known of one bearing from all blocks so far, and what is concluded from it."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.vibration.bearing import Orders
from models.vibration.diagnosis.comb import Spectrum
from models.vibration.diagnosis.density import Density
from models.vibration.diagnosis.memory import Memory
from models.vibration.diagnosis.verdict import Verdict, conclude

RECENT = 4
_FADED = 0.5
_ENOUGH = 128.0


@dataclass(slots=True)
class Knowledge:
    """What the whitened and the conventional envelope showed: a long memory, which finds what no single block shows, and the last
    blocks, which find what is new and notice what is gone.

    points   of the grid of orders; 0 without a bearing
    length   of the long memory, blocks
    last     up to RECENT blocks, `before` the RECENT blocks before these
    since    revolutions that were learnt and not yet looked at
    claimed  a fault when it was last looked
    """

    points: int
    length: int
    since: float = 0.0
    claimed: bool = False
    long: tuple[Memory, Memory] = field(init=False)
    last: tuple[Memory, Memory] = field(init=False)
    before: tuple[Memory, Memory] = field(init=False)

    def __post_init__(self) -> None:
        self.long = Memory(self.points, self.length), Memory(self.points, self.length)
        self.last = Memory(self.points, RECENT), Memory(self.points, RECENT)
        self.before = Memory(self.points, RECENT), Memory(self.points, RECENT)

    @property
    def blocks(self) -> int:
        """That the long memory has seen."""
        return self.long[0].blocks

    @property
    def memories(self) -> tuple[Memory, ...]:
        return *self.long, *self.last, *self.before

    def learn(self, found: tuple[Density, Density], orders: Orders, level: float) -> Verdict | None:
        """None: too little is new to look again; only while nothing is claimed."""
        if self.last[0].blocks == RECENT:
            self.before, self.last = self.last, self.before
            for memory in self.last:
                memory.clear()
        for memories in (self.long, self.last):
            for memory, density in zip(memories, found, strict=True):
                memory.add(density)
        self.since += found[0].revolutions
        if self.since < _ENOUGH and not self.claimed and self.length > RECENT and self.blocks > 2 * RECENT:
            return None
        verdict = self._look(orders, level)
        self.since, self.claimed = 0.0, bool(verdict.fault)
        return verdict

    def _look(self, orders: Orders, level: float) -> Verdict:
        """At the long memory, and where it claims nothing at the last blocks."""
        known = conclude(Spectrum(self.long[0].density), Spectrum(self.long[1].density), orders, level)
        if self.length <= RECENT:
            return known
        if known.fault and self.last[0].blocks == RECENT and self._faded(known, orders):
            for memory, newer in zip(self.long, self.last, strict=True):
                memory.replace(newer)
            for memory in self.before:
                memory.clear()
        elif known.fault or self.blocks <= 2 * RECENT:
            return known
        white, usual = (Spectrum(now.with_(before)) for now, before in zip(self.last, self.before, strict=True))
        return conclude(white, usual, orders, level)

    def _faded(self, known: Verdict, orders: Orders) -> bool:
        """The lines are much weaker in the last blocks: repaired, or something else now."""
        white, usual = (Spectrum(memory.density).strength(orders, known.family).depth for memory in self.last)
        return white < _FADED * known.depth and usual < _FADED * known.conventional[known.family].depth
