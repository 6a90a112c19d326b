"""What flows up the line: columns of readings, blocks of fast samples, business messages.

Times are int64 nanoseconds since 1970-01-01 UTC, taken at the source where it tells them and never rewritten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.contract.quality import BAD, GOOD

Json: TypeAlias = Any  # None | bool | int | float | str | list[Json] | dict[str, Json]
Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Batch:
    """Many readings, column by column: the unit of flow.

    tag      int32[n]    index into the tag table (`Tag.index`)
    t_ns     int64[n]    source time
    value    float64[n]  engineering units after the stages; NaN where quality is bad
    quality  uint8[n]    see `quality.py`

    Readings of one tag are in the order the source gave them. Columns are never changed in place:
    whoever needs other values makes a new Batch.
    """

    tag: NDArray[np.int32]
    t_ns: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.tag)

    @property
    def good(self) -> NDArray[np.bool_]:
        """bool[n]: what a detector may look at (good or uncertain, never NaN)."""
        return (self.quality < BAD) & ~np.isnan(self.value)

    def select(self, rows: NDArray[Any]) -> Batch:
        """The readings at `rows` (a mask or positions), as a new Batch."""
        return Batch(self.tag[rows], self.t_ns[rows], self.value[rows], self.quality[rows])

    @staticmethod
    def of(tag: object, t_ns: object, value: object, quality: object = None) -> Batch:
        """Build from anything numpy understands; quality None means all good."""
        tags = np.atleast_1d(np.asarray(tag, dtype=np.int32))
        given = np.full(len(tags), GOOD) if quality is None else quality
        return Batch(
            tags,
            np.atleast_1d(np.asarray(t_ns, dtype=np.int64)),
            np.atleast_1d(np.asarray(value, dtype=np.float64)),
            np.atleast_1d(np.asarray(given, dtype=np.uint8)),
        )

    @staticmethod
    def concat(batches: list[Batch]) -> Batch:
        """Join in order."""
        if len(batches) == 1:
            return batches[0]
        return Batch(
            np.concatenate([b.tag for b in batches]),
            np.concatenate([b.t_ns for b in batches]),
            np.concatenate([b.value for b in batches]),
            np.concatenate([b.quality for b in batches]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Waveform:
    """One block of a fast channel.

    tag        index into the tag table
    t_ns       time of the first sample
    rate_hz    samples per second, > 0
    samples    float32[n], engineering units of the tag
    quality    one for the block: a block of the wrong length is bad and is not analysed
    dropped    samples lost just before it, or inside it, where the source can tell; inside, the block is no stretch of time and is bad
    speed_rpm  shaft speed during the block, if known; the engine fills it from the machine's speed tag
    load       of the machine during the block, if known; the engine fills it from the tag the watch names
    """

    tag: int
    t_ns: int
    rate_hz: float
    samples: NDArray[np.float32]
    quality: int = GOOD
    dropped: int = 0
    speed_rpm: float | None = None
    load: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One business message: an order step, a test result, a stock movement.

    source   ``machine/record`` as the configuration names it
    t_ns     when it happened, by the sender
    fields   the message, JSON-like
    """

    source: str
    t_ns: int
    fields: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The wide form: one machine's tags aligned on a tick.

    names   k tag names, `tags` int32[k] their indices
    t_ns    int64[n]      end of each tick
    x       float64[n, k] last value that was valid at the tick; NaN = missing, never invented
    """

    machine: str
    names: tuple[str, ...]
    tags: NDArray[np.int32]
    t_ns: NDArray[np.int64]
    x: NDArray[np.float64]

    def column(self, name: str) -> Iterator[tuple[int, float]]:
        """(t_ns, value) of one tag, missing ones left out; raises KeyError for a name not in `names`."""
        if name not in self.names:
            raise KeyError(name)
        values = self.x[:, self.names.index(name)]
        for row in np.flatnonzero(~np.isnan(values)):
            yield int(self.t_ns[row]), float(values[row])


Item: TypeAlias = Batch | Waveform | Record
