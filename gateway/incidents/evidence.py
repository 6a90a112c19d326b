"""Pre- and post-trigger evidence: the last seconds of every machine's tags, bounded in time and in bytes."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from gateway.contract import BAD, Batch, Json, Tag

_POINT_BYTES = 26  # JSON of one point: offset and value with their commas
_MAX_TAGS = 12
_CHUNK_BYTES = 21  # tag, time, value, quality


@dataclass(slots=True)
class _Ring:
    chunks: deque[Batch] = field(default_factory=deque)
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

    def add(self, batch: Batch) -> None:
        """Remember; rows of one machine stay together."""
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
        ring.chunks.append(batch)
        ring.readings += len(batch)
        oldest = int(batch.t_ns[-1]) - self._keep_ns
        while len(ring.chunks) > 1 and (ring.readings > self._max_readings or int(ring.chunks[0].t_ns[-1]) < oldest):
            ring.readings -= len(ring.chunks.popleft())
        if len(ring.chunks) > 256:
            self._merge(ring)

    @staticmethod
    def _merge(ring: _Ring) -> None:
        # Small batches (one MQTT message each) would make a chunk cost more than its readings.
        small = [ring.chunks.popleft() for _ in range(128)]
        ring.chunks.appendleft(Batch.concat(small))

    def points(self, machine: str, since_ns: int, until_ns: int | None = None) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Per tag name: times and values (NaN where bad) after `since_ns` and up to `until_ns`."""
        ring = self._rings.get(machine)
        if ring is None or not ring.chunks:
            return {}
        recent = [chunk for chunk in ring.chunks if int(chunk.t_ns[-1]) >= since_ns]
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
        order = order[:_MAX_TAGS]
        if not order:
            return {}
        most = max(8, max_bytes // _POINT_BYTES // len(order))
        series = {}
        for name in order:
            t_ns, value = thin(*points[name], most)
            series[name] = {
                "t": [round(float(t), 3) for t in (t_ns - since_ns) / 1e9],
                "v": [None if np.isnan(v) else float(f"{v:.6g}") for v in value],
            }
        return {"from_ns": since_ns, "tags": series}


def thin(t_ns: NDArray[np.int64], value: NDArray[np.float64], most: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """At most `most` points: of each equal piece its smallest and largest, in order of time, so that no peak is lost."""
    n = len(t_ns)
    if n <= most:
        return t_ns, value
    pieces = np.array_split(np.arange(n), max(1, most // 2))
    filled = np.where(np.isnan(value), 0.0, value)
    rows = np.unique([row for piece in pieces for row in (piece[np.argmin(filled[piece])], piece[np.argmax(filled[piece])])])
    return t_ns[rows], value[rows]
