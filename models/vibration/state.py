"""What a detector knows of one tag, and its saved form (npz, no pickle)."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from gateway.contract import StateError
from models.vibration.diagnosis.knowledge import Knowledge
from models.vibration.diagnosis.lines import FAULTS
from models.vibration.diagnosis.memory import Memory
from models.vibration.diagnosis.verdict import OPEN
from models.vibration.opinion import NOTHING, UNKNOWN, Opinion, agreed_fault, agreed_level
from models.vibration.severity import ZONE_D

VERDICTS = ("", *FAULTS, OPEN)
"""What an opinion on the bearing means, by its number."""

_VERSION = 2
_NUMBERS = 5  # last block; value and since of both opinions
_KNOWN = ("blocks", "share", "cell", "averages", "revolutions")


@dataclass(slots=True)
class Channel:
    """One tag.

    points   of the grid of orders; 0 without a bearing
    memory   blocks that the diagnosis looks back
    """

    points: int
    confirm: int
    memory: int
    last_t_ns: int = 0
    knowledge: Knowledge = field(init=False)
    velocity: Opinion = field(init=False)
    bearing: Opinion = field(init=False)

    def __post_init__(self) -> None:
        self.knowledge = Knowledge(self.points, self.memory)
        self.velocity = Opinion(agreed_level, self.confirm)
        self.bearing = Opinion(partial(agreed_fault, unsure=VERDICTS.index(OPEN)), self.confirm)


def dump(channels: Mapping[str, Channel]) -> bytes:
    """By tag path."""
    columns: dict[str, NDArray[Any]] = {}
    for i, channel in enumerate(channels.values()):
        velocity, bearing = channel.velocity, channel.bearing
        numbers = [channel.last_t_ns, velocity.value, velocity.since_ns, bearing.value, bearing.since_ns]
        columns[f"numbers_{i}"] = np.array(numbers, dtype=np.int64)
        columns[f"velocity_{i}"] = np.array(velocity.recent, dtype=np.int64).reshape(-1, 2)
        columns[f"bearing_{i}"] = np.array(bearing.recent, dtype=np.int64).reshape(-1, 2)
        memories = channel.knowledge.memories
        columns[f"power_{i}"] = np.stack([memory.power for memory in memories])
        columns[f"since_{i}"] = np.array([channel.knowledge.since, channel.knowledge.claimed])
        columns[f"known_{i}"] = np.array([[getattr(memory, name) for name in _KNOWN] for memory in memories])
    out = io.BytesIO()
    np.savez(out, version=_VERSION, paths=np.array(list(channels), dtype=np.str_), **columns)  # type: ignore[arg-type]
    return out.getvalue()


def load(state: bytes, channels: Mapping[str, Channel]) -> dict[str, Channel]:
    """New channels with what was saved of them; raises StateError. Tags that are gone are left out."""
    try:
        with np.load(io.BytesIO(state), allow_pickle=False) as saved:
            if int(saved["version"]) != _VERSION:
                raise StateError(f"state is of version {int(saved['version'])}")
            row = {str(path): i for i, path in enumerate(saved["paths"])}
            columns = ("numbers", "velocity", "bearing", "power", "known", "since")
            return {
                path: _continued(channel, [saved[f"{name}_{row[path]}"] for name in columns]) if path in row else channel
                for path, channel in channels.items()
            }
    except (ValueError, OSError, KeyError, EOFError, BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc


def _continued(channel: Channel, columns: Sequence[NDArray[Any]]) -> Channel:
    numbers, velocity, bearing, power, known, since = columns
    if numbers.shape != (_NUMBERS,) or velocity.ndim != 2 or bearing.ndim != 2:
        raise ValueError("columns of the wrong shape")
    new = Channel(channel.points, channel.confirm, channel.memory)
    new.last_t_ns, new.velocity.value, new.velocity.since_ns, new.bearing.value, new.bearing.since_ns = map(int, numbers)
    new.velocity.recent, new.bearing.recent = _pairs(velocity, channel.confirm), _pairs(bearing, channel.confirm)
    for opinion, highest in ((new.velocity, ZONE_D), (new.bearing, len(VERDICTS) - 1)):
        if not UNKNOWN <= opinion.value <= highest or not all(NOTHING <= value <= highest for _, value in opinion.recent):
            raise ValueError("an opinion that does not exist")
    memories = new.knowledge.memories
    if known.shape != (len(memories), len(_KNOWN)) or power.ndim != 2 or len(power) != len(memories):
        raise ValueError("memories of the wrong shape")
    if not np.isfinite(known).all() or not np.isfinite(power).all() or (known < 0).any() or (power < 0).any():
        raise ValueError("memories that do not exist")
    if since.shape != (2,) or not np.isfinite(since).all():
        raise ValueError("a time of the last look that does not exist")
    # Another bearing has another grid: its memory begins anew, what was told stays.
    if power.shape[1] == channel.points:
        new.knowledge.since, new.knowledge.claimed = float(since[0]), bool(since[1])
        for memory, density, numbers in zip(memories, power, known, strict=True):
            _remember(memory, density, numbers)
    return new


def _remember(memory: Memory, density: NDArray[Any], numbers: NDArray[Any]) -> None:
    memory.power = density.astype(np.float32)
    for name, value in zip(_KNOWN, numbers.tolist(), strict=True):
        setattr(memory, name, int(value) if name == "blocks" else value)


def _pairs(recent: NDArray[Any], blocks: int) -> list[tuple[int, int]]:
    return [(int(t_ns), int(value)) for t_ns, value in recent[-blocks:]]
