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
from models.vibration.diagnose import FAULTS, UNSURE
from models.vibration.opinion import NOTHING, UNKNOWN, Opinion, agreed_fault, agreed_level
from models.vibration.severity import ZONE_D

VERDICTS = ("", *FAULTS, UNSURE)
"""What an opinion on the bearing means, by its number."""

_VERSION = 1
_NUMBERS = 5  # last block; value and since of both opinions


@dataclass(slots=True)
class Channel:
    """One tag.

    points      of the order grid; 0 without a bearing
    prominence  float32[<= average, points], oldest first
    """

    points: int
    confirm: int
    average: int
    last_t_ns: int = 0
    prominence: NDArray[np.float32] = field(init=False)
    velocity: Opinion = field(init=False)
    bearing: Opinion = field(init=False)

    def __post_init__(self) -> None:
        self.prominence = np.zeros((0, self.points), dtype=np.float32)
        self.velocity = Opinion(agreed_level, self.confirm)
        self.bearing = Opinion(partial(agreed_fault, unsure=VERDICTS.index(UNSURE)), self.confirm)

    def averaged(self, prominence: NDArray[np.float32]) -> NDArray[np.float32]:
        """The last blocks with this one."""
        self.prominence = np.concatenate([self.prominence, prominence[None]])[-self.average :]
        return self.prominence


def dump(channels: Mapping[str, Channel]) -> bytes:
    """By tag path."""
    columns: dict[str, NDArray[Any]] = {}
    for i, channel in enumerate(channels.values()):
        velocity, bearing = channel.velocity, channel.bearing
        numbers = [channel.last_t_ns, velocity.value, velocity.since_ns, bearing.value, bearing.since_ns]
        columns[f"numbers_{i}"] = np.array(numbers, dtype=np.int64)
        columns[f"velocity_{i}"] = np.array(velocity.recent, dtype=np.int64).reshape(-1, 2)
        columns[f"bearing_{i}"] = np.array(bearing.recent, dtype=np.int64).reshape(-1, 2)
        columns[f"prominence_{i}"] = channel.prominence
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
            columns = ("numbers", "velocity", "bearing", "prominence")
            return {
                path: _continued(channel, [saved[f"{name}_{row[path]}"] for name in columns]) if path in row else channel
                for path, channel in channels.items()
            }
    except (ValueError, OSError, KeyError, EOFError, BadZipFile) as exc:
        raise StateError(f"state cannot be read: {exc}") from exc


def _continued(channel: Channel, columns: Sequence[NDArray[Any]]) -> Channel:
    numbers, velocity, bearing, prominence = columns
    if numbers.shape != (_NUMBERS,) or velocity.ndim != 2 or bearing.ndim != 2 or prominence.ndim != 2:
        raise ValueError("columns of the wrong shape")
    new = Channel(channel.points, channel.confirm, channel.average)
    new.last_t_ns, new.velocity.value, new.velocity.since_ns, new.bearing.value, new.bearing.since_ns = map(int, numbers)
    new.velocity.recent, new.bearing.recent = _pairs(velocity, channel.confirm), _pairs(bearing, channel.confirm)
    for opinion, highest in ((new.velocity, ZONE_D), (new.bearing, len(VERDICTS) - 1)):
        if not UNKNOWN <= opinion.value <= highest or not all(NOTHING <= value <= highest for _, value in opinion.recent):
            raise ValueError("an opinion that does not exist")
    # Another bearing has another grid: its average begins anew, what was told stays.
    if prominence.shape[1] == channel.points and np.isfinite(prominence).all():
        new.prominence = prominence[-channel.average :].astype(np.float32)
    return new


def _pairs(recent: NDArray[Any], blocks: int) -> list[tuple[int, int]]:
    return [(int(t_ns), int(value)) for t_ns, value in recent[-blocks:]]
