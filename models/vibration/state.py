"""What a detector knows of one tag, and its saved form (npz, no pickle)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import npz
from models.vibration.diagnosis.knowledge import Knowledge
from models.vibration.diagnosis.lines import FAULTS
from models.vibration.diagnosis.memory import Memory
from models.vibration.diagnosis.verdict import OPEN
from models.vibration.opinion import NOTHING, UNKNOWN, Opinion, Rising, agreed_fault, agreed_level, agreed_trouble
from models.vibration.quality import TROUBLES
from models.vibration.severity import ZONE_D
from models.vibration.trend.level import Level
from models.vibration.trend.machine import QUANTITIES, Trend

VERDICTS = ("", *FAULTS, OPEN)
"""What an opinion on the bearing means, by its number."""

_VERSION = 3
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
    signal: Opinion = field(init=False)
    trend: Rising = field(default_factory=Rising)

    def __post_init__(self) -> None:
        self.knowledge = Knowledge(self.points, self.memory)
        self.velocity = Opinion(agreed_level, self.confirm)
        self.bearing = Opinion(partial(agreed_fault, unsure=VERDICTS.index(OPEN)), self.confirm)
        self.signal = Opinion(agreed_trouble, self.confirm)

    def leap(self, delta_ns: int) -> None:
        """All its times were so much later; 0 is none."""
        self.last_t_ns += delta_ns if self.last_t_ns else 0
        self.trend.since_ns += delta_ns if self.trend.since_ns else 0
        for opinion, _ in self.opinions:
            opinion.since_ns += delta_ns if opinion.since_ns else 0
            opinion.recent = [(t_ns + delta_ns, value) for t_ns, value in opinion.recent]

    @property
    def opinions(self) -> tuple[tuple[Opinion, int], ...]:
        """With the highest number each may have."""
        return (self.velocity, ZONE_D), (self.bearing, len(VERDICTS) - 1), (self.signal, len(TROUBLES) - 1)


def dump(channels: Mapping[str, Channel], trends: Mapping[str, Trend]) -> bytes:
    """By tag path, and by machine."""
    columns: dict[str, NDArray[Any]] = {}
    for i, channel in enumerate(channels.values()):
        told = [number for opinion, _ in channel.opinions for number in (opinion.value, opinion.since_ns)]
        rise = channel.trend
        columns[f"numbers_{i}"] = np.array([channel.last_t_ns, *told, rise.since_ns, rise.blocks, rise.rising], dtype=np.int64)
        for k, (opinion, _) in enumerate(channel.opinions):
            columns[f"recent_{k}_{i}"] = np.array(opinion.recent, dtype=np.int64).reshape(-1, 2)
        memories = channel.knowledge.memories
        columns[f"power_{i}"] = np.stack([memory.power for memory in memories])
        columns[f"known_{i}"] = np.array([[getattr(memory, name) for name in _KNOWN] for memory in memories])
        columns[f"since_{i}"] = np.array([channel.knowledge.since, channel.knowledge.claimed])
    for i, trend in enumerate(trends.values()):
        columns[f"classes_{i}"] = np.array(list(trend.levels), dtype=np.int64).reshape(-1, 2)
        columns[f"levels_{i}"] = np.array([[level.known for level in levels] for levels in trend.levels.values()])
        columns[f"together_{i}"] = np.array([[level.together for level in levels] for levels in trend.levels.values()], dtype=np.int64)
        columns[f"history_{i}"] = trend.history
    names = {"paths": np.array(list(channels), dtype=np.str_), "machines": np.array(list(trends), dtype=np.str_)}
    return npz.dump(_VERSION, names | columns)


def load(state: bytes, channels: Mapping[str, Channel], points: Mapping[str, Sequence[str]]) -> tuple[dict[str, Channel], dict[str, Trend]]:
    """New ones with what was saved of them; raises StateError. Tags that are gone are left out.

    points   paths of each machine's tags: with other ones its levels are learnt anew
    """
    columns = npz.load(state, _VERSION)
    with npz.readable():
        paths = [str(path) for path in columns["paths"]]
        found = {path: _continued(channel, columns, paths.index(path)) if path in paths else channel for path, channel in channels.items()}
        machines = [str(machine) for machine in columns["machines"]]
        trends = {machine: Trend(len(mine)) for machine, mine in points.items()}
        for machine, trend in trends.items():
            before, now = [path for path in paths if path.rpartition("/")[0] == machine], points[machine]
            if machine in machines and set(before) == set(now):
                _follow_on(trend, columns, machines.index(machine), [before.index(path) for path in now])
    return found, trends


def _continued(channel: Channel, columns: Mapping[str, NDArray[Any]], row: int) -> Channel:
    new = Channel(channel.points, channel.confirm, channel.memory)
    numbers = columns[f"numbers_{row}"].tolist()
    new.last_t_ns, (since, blocks, rising) = numbers[0], numbers[-3:]
    new.trend = Rising(since, blocks, bool(rising))
    for k, (opinion, highest) in enumerate(new.opinions):
        opinion.value, opinion.since_ns = numbers[1 + 2 * k : 3 + 2 * k]
        opinion.recent = _pairs(columns[f"recent_{k}_{row}"], channel.confirm)
        if not UNKNOWN <= opinion.value <= highest or not all(NOTHING <= value <= highest for _, value in opinion.recent):
            raise ValueError("an opinion that does not exist")
    power, known, since_look = (columns[f"{name}_{row}"] for name in ("power", "known", "since"))
    memories = new.knowledge.memories
    if known.shape != (len(memories), len(_KNOWN)) or power.ndim != 2 or len(power) != len(memories) or since_look.shape != (2,):
        raise ValueError("memories of the wrong shape")
    if not all(np.isfinite(one).all() and (one >= 0).all() for one in (known, power, since_look)):
        raise ValueError("memories that do not exist")
    # Another bearing has another grid: its memory begins anew, what was told stays.
    if power.shape[1] == channel.points:
        new.knowledge.since, new.knowledge.claimed = float(since_look[0]), bool(since_look[1])
        for memory, density, values in zip(memories, power, known, strict=True):
            _remember(memory, density, values)
    return new


def _remember(memory: Memory, density: NDArray[Any], numbers: NDArray[Any]) -> None:
    memory.power = density.astype(np.float32)
    for name, value in zip(_KNOWN, numbers.tolist(), strict=True):
        setattr(memory, name, int(value) if name == "blocks" else value)


def _follow_on(trend: Trend, columns: Mapping[str, NDArray[Any]], row: int, order: Sequence[int]) -> None:
    """`order`: where each point stands in what was saved."""
    classes, levels, together, history = (columns[f"{name}_{row}"] for name in ("classes", "levels", "together", "history"))
    if history.shape != trend.history.shape or classes.ndim != 2 or classes.shape[1] != 2 or not np.isfinite(levels).all():
        raise ValueError("levels of the wrong shape")
    trend.history = history[order].astype(np.float64)
    for running, known, counts in zip(classes.tolist(), levels, together, strict=True):
        mine = tuple(Level(trend.points) for _ in QUANTITIES)
        for level, one, count in zip(mine, known, counts.tolist(), strict=True):
            if one.shape != level.known.shape:
                raise ValueError("levels of the wrong shape")
            level.known, level.together = one[:, order].astype(np.float64), int(count)
        trend.levels[int(running[0]), int(running[1])] = mine


def _pairs(recent: NDArray[Any], blocks: int) -> list[tuple[int, int]]:
    if recent.ndim != 2:
        raise ValueError("opinions of the wrong shape")
    return [(int(t_ns), int(value)) for t_ns, value in recent[-blocks:]]
