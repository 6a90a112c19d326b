"""What the blocks of one channel have shown so far, averaged with forgetting. O(1)."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.vibration.diagnosis.density import Density


@dataclass(slots=True)
class Memory:
    """The mean of the first `length` blocks, then exponential forgetting: each new block weighs one in `length`.

    share   sum of the squared weights: 1 / share blocks of equal weight would know as much
    """

    points: int
    length: int
    blocks: int = 0
    share: float = 1.0
    cell: float = 0.0
    averages: float = 0.0
    revolutions: float = 0.0
    power: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.power = np.zeros(self.points, dtype=np.float32)

    def add(self, density: Density) -> None:
        self.blocks += 1
        weight = 1 / min(self.blocks, self.length)
        self.power += np.float32(weight) * (density.power - self.power)
        self.cell += weight * (density.cell - self.cell)
        self.averages += weight * (density.averages - self.averages)
        self.revolutions += weight * (density.revolutions - self.revolutions)
        self.share = (1 - weight) ** 2 * self.share + weight**2

    @property
    def density(self) -> Density:
        """Averages count for as many as blocks of equal weight would.

        >>> memory = Memory(2, 4)
        >>> for _ in range(100):
        ...     memory.add(Density(np.ones(2, dtype=np.float32), 0.05, 3.0, 30.0))
        >>> round(memory.density.averages / 3.0, 2)  # (2 - 1/4) / (1/4): of exponential forgetting
        7.0
        """
        return Density(self.power, self.cell, self.averages / self.share, self.revolutions / self.share)

    def with_(self, other: Memory) -> Density:
        """What both know, as if they were one mean."""
        together = self.blocks + other.blocks
        part = self.blocks / together
        cell, averages = (part * getattr(self, name) + (1 - part) * getattr(other, name) for name in ("cell", "averages"))
        power = np.float32(part) * self.power + np.float32(1 - part) * other.power
        return Density(power, cell, averages * together, part * self.revolutions * together + (1 - part) * other.revolutions * together)

    def replace(self, other: Memory) -> None:
        """What this knew no longer holds; take over what `other` knows."""
        for name in ("blocks", "share", "cell", "averages", "revolutions"):
            setattr(self, name, getattr(other, name))
        self.power = other.power.copy()

    def clear(self) -> None:
        self.replace(Memory(self.points, self.length))
