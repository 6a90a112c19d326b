"""Pre- and post-trigger evidence: the last seconds of every machine's tags, bounded in time and in bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD, Batch, Json, Quality, Tag

_POINT_BYTES = 28  # JSON of one point, at most: offset and value with their commas
_TAG_BYTES = 24  # JSON around one tag: name not counted
_FRAME_BYTES = 64  # JSON around them all
_LEAST_POINTS = 8
_MAX_TAGS = 12
_CHUNK_BYTES = 21  # tag, time, value, quality


@dataclass(slots=True)
class _Ring:
    """Chunks with the time of their newest reading."""

    chunks: deque[tuple[int, Batch]] = field(default_factory=deque)
    readings: int = 0


class History:
    """The recent readings of each machine, as chunks of columns; adding costs O(1) per batch and machine.

    keep_seconds   how far back it must reach; older chunks are forgotten
    max_bytes      for all machines together; a machine that floods shortens its own history first
    """

    def __init__(self, tags: tuple[Tag, ...], *, keep_seconds: float, max_bytes: int = 16 << 20) -> None:
        machines = list(dict.fromkeys(tag.machine for tag in tags))
        self._tags = {machine: [tag for tag in tags if tag.machine == machine] for machine in machines}
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
        timed = batch.quality != Quality.BAD_TIME
        if not timed.all():
            batch = batch.select(timed)
        if not len(batch):
            return
        owner = self._machine_of[batch.tag]
        if owner[0] == owner[-1] and (owner == owner[0]).all():
            self._push(self._names[owner[0]], batch)
            return
        for number in np.unique(owner):
            self._push(self._names[number], batch.select(owner == number))

    def _push(self, machine: str, batch: Batch) -> None:
        ring = self._rings[machine]
        newest = int(batch.t_ns.max())
        ring.chunks.append((newest, batch))
        ring.readings += len(batch)
        oldest = newest - self._keep_ns
        while len(ring.chunks) > 1 and (ring.readings > self._max_readings or ring.chunks[0][0] < oldest):
            ring.readings -= len(ring.chunks.popleft()[1])
        if len(ring.chunks) > 256:
            self._merge(ring)

    @staticmethod
    def _merge(ring: _Ring) -> None:
        # Small batches (one MQTT message each) would make a chunk cost more than its readings.
        small = [ring.chunks.popleft() for _ in range(128)]
        ring.chunks.appendleft((max(newest for newest, _ in small), Batch.concat([chunk for _, chunk in small])))

    def points(self, machine: str, since_ns: int, until_ns: int | None = None) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Per tag name: times and values (NaN where bad) after `since_ns` and up to `until_ns`."""
        ring = self._rings.get(machine)
        if ring is None or not ring.chunks:
            return {}
        recent = [chunk for newest, chunk in ring.chunks if newest >= since_ns]
        if not recent:
            return {}
        whole = Batch.concat(recent)
        whole = whole.select((whole.t_ns > since_ns) & (whole.t_ns <= (until_ns if until_ns is not None else np.iinfo(np.int64).max)))
        value = np.where(whole.quality < BAD, whole.value, np.nan)
        found = {}
        for tag in self._tags[machine]:
            rows = whole.tag == tag.index
            if rows.any():
                found[tag.name] = (whole.t_ns[rows], value[rows])
        return found

    def evidence(self, machine: str, concerned: list[str], since_ns: int, until_ns: int, max_bytes: int) -> dict[str, Json]:
        """``{"from_ns": .., "tags": {name: {"t": [seconds from from_ns], "v": [..]}}}``, at most `max_bytes` of JSON.

        The concerned tags first, then the machine's others; long series are thinned, keeping extremes of each piece.
        """
        points = self.points(machine, since_ns, until_ns)
        order = [name for name in concerned if name in points] + [name for name in points if name not in concerned]
        order = _affordable(order[:_MAX_TAGS], max_bytes)
        if not order:
            return {}
        most = _points(order, max_bytes)
        series = {}
        for name in order:
            t_ns, value = thin(*points[name], most)
            series[name] = {
                "t": [round(float(t), 3) for t in (t_ns - since_ns) / 1e9],
                "v": [None if np.isnan(v) else float(f"{v:.6g}") for v in value],
            }
        return {"from_ns": since_ns, "tags": series}


def _affordable(names: list[str], max_bytes: int) -> list[str]:
    """The first of them, as many as get a few points each."""
    while names and _points(names, max_bytes) < _LEAST_POINTS:
        names = names[:-1]
    return names


def _points(names: list[str], max_bytes: int) -> int:
    """Points per tag that fit."""
    frame = _FRAME_BYTES + sum(len(name.encode()) + _TAG_BYTES for name in names)
    return (max_bytes - frame) // _POINT_BYTES // len(names)


def thin(t_ns: NDArray[np.int64], value: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """At most `most` points: of each equal piece its smallest and largest, in order of time, so that no peak is lost."""
    n = len(t_ns)
    if n <= most:
        return t_ns, value
    pieces = np.array_split(np.arange(n), max(1, most // 2))
    missing = np.isnan(value)
    low, high = np.where(missing, np.inf, value), np.where(missing, -np.inf, value)
    rows = np.unique([row for piece in pieces for row in (piece[np.argmin(low[piece])], piece[np.argmax(high[piece])])])
    return t_ns[rows], value[rows]
