"""What a file is to the source: pieces, in the order in which they are to be played."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.contract import Batch, Tag, Waveform


@dataclass(frozen=True, slots=True)
class Piece:
    """Readings in file order, or one block.

    due_ns   int64[n] for a Batch: when each reading is due, never falling; int64[1] for a Waveform: its last sample
    lost     lines before or in it that hold no reading, because they have no time
    """

    item: Batch | Waveform
    due_ns: NDArray[np.int64]
    lost: int = 0


class Recording(Protocol):
    """An open file. `take` may block on the disk, and is not called by two threads at once."""

    def take(self) -> Piece | None:
        """The next piece, None at the end."""

    def close(self) -> None:
        """Release the file."""


def piece(batch: Batch, lost: int = 0) -> Piece:
    """Due as recorded; one that is out of time order is due with the latest before it."""
    return Piece(batch, np.maximum.accumulate(batch.t_ns), lost)


def column(tag: Tag) -> str:
    """How the file calls a tag."""
    return str(tag.options.column or tag.name)


@dataclass(slots=True)
class Rows:
    """Readings on their way into a Batch."""

    tag: list[int] = field(default_factory=list)
    t_ns: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    quality: list[int] = field(default_factory=list)
    lost: int = 0

    def add(self, tag: int, t_ns: int, reading: tuple[float, int]) -> None:
        self.tag.append(tag)
        self.t_ns.append(t_ns)
        self.value.append(reading[0])
        self.quality.append(reading[1])
