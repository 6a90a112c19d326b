"""The recent readings of every machine, bounded in time and in bytes, each tag's found without looking at the others."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD, Batch, Quality, Tag

Series: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]

RESOLUTION_NS = 100_000_000
"""What is older than a few seconds is kept as the extremes of such pieces: finer than any evidence shows it."""
_CHUNK_BYTES = 21  # tag, time, value, quality
_MOST_CHUNKS = 256
_MOST_LOOSE = 40_000


class _Chunk(NamedTuple):
    """Readings and the time of the newest of them; a block, which is sorted by tag, also knows where each tag's rows are."""

    newest: int
    batch: Batch
    rows: Mapping[int, slice] = {}


@dataclass(slots=True)
class _Ring:
    """`blocks`: older, sorted by tag and condensed; `chunks`: as they came, `loose` readings, and `together` as one batch."""

    blocks: deque[_Chunk] = field(default_factory=deque)
    chunks: deque[_Chunk] = field(default_factory=deque)
    together: Batch | None = None
    readings: int = 0
    loose: int = 0
    leapt_ns: int = 0


class History:
    """Adding costs O(1) per batch and machine; asking for a tag costs what is known of this tag.

    keep_seconds   how far back it must reach; older readings are forgotten
    max_bytes      for all machines together; a machine that floods shortens its own history first
    """

    def __init__(self, tags: tuple[Tag, ...], *, keep_seconds: float, max_bytes: int = 16 << 20) -> None:
        machines = list(dict.fromkeys(tag.machine for tag in tags))
        self._tags = {machine: {tag.name: tag.index for tag in tags if tag.machine == machine} for machine in machines}
        number = {machine: i for i, machine in enumerate(machines)}
        self._machine_of = np.array([number[tag.machine] for tag in tags], dtype=np.int32)
        self._rings = {machine: _Ring() for machine in machines}
        self._names = machines
        self._keep_ns = int(keep_seconds * 1e9)
        self._max_readings = max(1000, max_bytes // _CHUNK_BYTES // max(1, len(machines)))

    def adopt(self, old: History) -> None:
        """After a reload: tags keep their index, so what is remembered of a machine stays."""
        for machine, ring in old._rings.items():
            if machine in self._rings:
                self._rings[machine] = ring

    def add(self, batch: Batch) -> None:
        """Remember; rows of one machine stay together. A reading of a time no clock shows has no place among the others."""
        if not len(batch):
            return
        if int(batch.quality.max()) >= BAD:
            batch = _gaps(batch.select(batch.quality != Quality.BAD_TIME))
            if not len(batch):
                return
        owner = self._machine_of[batch.tag]
        if owner[0] == owner[-1] and (owner == owner[0]).all():
            self._push(self._rings[self._names[owner[0]]], batch)
            return
        for number in np.flatnonzero(np.bincount(owner)):  # not np.unique, which imports numpy.ma when it is first called
            self._push(self._rings[self._names[number]], batch.select(owner == number))

    def leap(self, delta_ns: int) -> None:
        """The gateway's clock was put right by so much. A machine whose times go by it takes its past along."""
        for ring in self._rings.values():
            ring.leapt_ns += delta_ns if ring.blocks or ring.chunks else 0

    @staticmethod
    def _follow(ring: _Ring, newest: int) -> None:
        delta, ring.leapt_ns, ring.together = ring.leapt_ns, 0, None
        before = (ring.chunks or ring.blocks)[-1].newest
        if abs(newest - before - delta) >= abs(newest - before):
            return  # its times are the source's own
        ring.blocks, ring.chunks = (
            deque(_Chunk(at + delta, replace(batch, t_ns=batch.t_ns + delta), rows) for at, batch, rows in queue)
            for queue in (ring.blocks, ring.chunks)
        )

    def _push(self, ring: _Ring, batch: Batch) -> None:
        newest = int(batch.t_ns.max())
        if ring.leapt_ns:
            self._follow(ring, newest)
        ring.chunks.append(_Chunk(newest, batch))
        ring.together = None
        ring.readings += len(batch)
        ring.loose += len(batch)
        if len(ring.chunks) > _MOST_CHUNKS or ring.loose > _MOST_LOOSE:
            self._settle(ring)
        oldest = newest - self._keep_ns
        while ring.readings > self._max_readings or _oldest(ring) < oldest:
            queue = ring.blocks or ring.chunks
            if queue is ring.chunks and len(queue) == 1:
                return
            gone = len(queue.popleft().batch)
            ring.readings -= gone
            ring.loose -= gone if queue is ring.chunks else 0

    @staticmethod
    def _settle(ring: _Ring) -> None:
        """The older half of the chunks becomes a block."""
        half = [ring.chunks.popleft() for _ in range(max(1, len(ring.chunks) // 2))]
        whole = Batch.concat([chunk.batch for chunk in half])
        block = condense(whole, RESOLUTION_NS)
        ring.blocks.append(_Chunk(max(chunk.newest for chunk in half), block, _rows(block)))
        ring.loose -= len(whole)
        ring.readings += len(block) - len(whole)

    def names(self, machine: str) -> Sequence[str]:
        """The machine's tags, in the order of the table."""
        return tuple(self._tags.get(machine, ()))

    def points(self, machine: str, since_ns: int, until_ns: int | None = None) -> dict[str, Series]:
        """Per tag with readings: times and values (NaN where bad) after `since_ns` and up to `until_ns`."""
        return dict(self.series(machine, self.names(machine), since_ns, until_ns))

    def series(self, machine: str, names: Sequence[str], since_ns: int, until_ns: int | None = None) -> Iterator[tuple[str, Series]]:
        """The same for some tags, one at a time; those without readings are left out."""
        ring = self._rings.get(machine)
        if ring is None or not (ring.blocks or ring.chunks):
            return
        blocks = [block for block in ring.blocks if block.newest >= since_ns]
        recent = self._together(ring)
        last_ns = np.iinfo(np.int64).max if until_ns is None else until_ns
        for name in names:
            index = self._tags[machine].get(name)
            if index is None:
                continue
            parts = [(block.batch.t_ns[rows], block.batch.value[rows]) for block in blocks if (rows := block.rows.get(index))]
            if recent is not None:
                loose = np.flatnonzero(recent.tag == index)
                parts.append((recent.t_ns[loose], recent.value[loose]))
            if not parts:
                continue
            t_ns, value = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
            inside = (t_ns > since_ns) & (t_ns <= last_ns)
            if inside.any():
                yield name, (t_ns[inside], value[inside])

    @staticmethod
    def _together(ring: _Ring) -> Batch | None:
        """The chunks as one, kept until the next comes: many incidents of one moment ask for them."""
        if ring.together is None and ring.chunks:
            ring.together = Batch.concat([chunk.batch for chunk in ring.chunks])
        return ring.together


def by_tag(batch: Batch) -> Batch:
    """Sorted by tag; readings of one tag stay in their order."""
    small = batch.tag.astype(np.uint16) if len(batch) and int(batch.tag.max()) < 65_536 else batch.tag  # sorts in linear time
    return batch.select(np.argsort(small, kind="stable"))


def condense(batch: Batch, resolution_ns: int) -> Batch:
    """Sorted by tag, and of each tag and piece of `resolution_ns` the first smallest and the first largest reading.

    Bad readings are pieces of their own, of which the first and the last stay. No reading is changed.

    >>> readings = Batch.of([0] * 5, [0, 1, 2, 3, 200], [5.0, 9.0, 1.0, 4.0, 7.0])
    >>> condense(readings, 100).value.tolist()
    [9.0, 1.0, 7.0]
    """
    batch = by_tag(batch)
    piece = batch.t_ns // resolution_ns
    bad = (batch.quality >= BAD) | np.isnan(batch.value)
    begins = np.flatnonzero(np.r_[True, (np.diff(batch.tag) != 0) | (np.diff(piece) != 0) | (bad[1:] != bad[:-1])])
    if 2 * len(begins) >= len(batch):
        return batch
    group = np.repeat(np.arange(len(begins)), np.diff(np.r_[begins, len(batch)]))
    value = np.where(bad, 0.0, batch.value)
    keep = np.zeros(len(batch), dtype=bool)
    for extreme in (np.minimum, np.maximum):
        found = np.flatnonzero(value == extreme.reduceat(value, begins)[group])
        keep[found[np.r_[True, np.diff(group[found]) != 0]]] = True
    ends = np.r_[begins[1:], len(batch)] - 1
    keep[ends[bad[ends]]] = True
    return batch.select(keep)


def _oldest(ring: _Ring) -> int:
    return (ring.blocks or ring.chunks)[0].newest


def _rows(block: Batch) -> dict[int, slice]:
    """Where each tag's rows are in a block sorted by tag."""
    begins = np.flatnonzero(np.r_[True, np.diff(block.tag) != 0])
    ends = np.r_[begins[1:], len(block)]
    return {tag: slice(begin, end) for tag, begin, end in zip(block.tag[begins].tolist(), begins.tolist(), ends.tolist(), strict=True)}


def _gaps(batch: Batch) -> Batch:
    """Bad readings are NaN here, whatever they held."""
    return Batch(batch.tag, batch.t_ns, np.where(batch.quality < BAD, batch.value, np.nan), batch.quality)
