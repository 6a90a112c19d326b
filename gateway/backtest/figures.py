"""What a run comes to: per watch and channel the alarms per week, the labelled windows that were hit, and how late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from gateway.backtest.labels import Window
from gateway.backtest.play import Alarm, Played
from gateway.backtest.recording import by_tag
from gateway.contract import Batch, Json, Tag

WEEK_NS = 7 * 86_400_000_000_000
HOLE = 10.0  # usual intervals without a reading are no time of observation


@dataclass(frozen=True, slots=True)
class Row:
    """One watch on one tag, or on a machine as a whole (`tag` empty).

    tags                   it looks at, of those that are recorded
    weeks                  that were recorded, holes left out
    false_alarms_per_week  outside the windows, by the weeks outside; None without labels
    median_delay_seconds   from a window's beginning to its first alarm, of those that were hit
    """

    watch: str
    machine: str
    tag: str
    tags: tuple[str, ...]
    readings: int
    weeks: float
    alarms: int
    alarms_per_week: float
    windows: int = 0
    windows_hit: int = 0
    median_delay_seconds: float | None = None
    false_alarms_per_week: float | None = None

    @property
    def channel(self) -> str:
        return f"{self.machine}/{self.tag}" if self.tag else self.machine

    def concerns(self, alarm: Alarm) -> bool:
        """An alarm of several tags counts for the first, the most telling one."""
        return _of(alarm, self.machine, self.tag)

    def as_json(self) -> Json:
        return asdict(self)


def rows(played: Played, readings: Batch, windows: Sequence[Window] | None) -> list[Row]:
    """In the order of the configuration; tags that are not recorded are left out."""
    recorded = by_tag(readings)
    found = []
    for watch in played.line.watches:
        alarms = [alarm for alarm in played.book.alarms if alarm.watch == watch.name]
        for machine, tag, of in _channels(watch.takes, [tag for tag in watch.settings.tags if tag.index in recorded]):
            mine = [alarm for alarm in alarms if _of(alarm, machine, tag)]
            indices, names = [one.index for one in of], tuple(one.name for one in of)
            of_channel = np.concatenate([recorded[index][0] for index in indices])
            found.append(_row(watch.name, (machine, tag, names), len(of_channel), np.unique(of_channel), mine, windows))
    return found


def _of(alarm: Alarm, machine: str, tag: str) -> bool:
    return alarm.machine == machine and (not tag or not alarm.tags or alarm.tags[0] == tag)


def _channels(takes: frozenset[type], tags: Sequence[Tag]) -> Iterator[tuple[str, str, list[Tag]]]:
    """(machine, tag, tags): each tag if the watch looks at single readings, else each machine."""
    if Batch in takes:
        yield from ((tag.machine, tag.name, [tag]) for tag in tags)
        return
    for machine in dict.fromkeys(tag.machine for tag in tags):
        yield machine, "", [tag for tag in tags if tag.machine == machine]


def _row(
    watch: str,
    channel: tuple[str, str, tuple[str, ...]],
    count: int,
    t_ns: NDArray[np.int64],
    alarms: Sequence[Alarm],
    windows: Sequence[Window] | None,
) -> Row:
    machine, tag, names = channel
    mine = list({(one.from_ns, one.to_ns): one for one in windows or () if one.concerns(machine, (tag,) if tag else ())}.values())
    delays = [delay for one in mine if (delay := _delay(one, alarms)) is not None]
    weeks, outside = _weeks(t_ns, mine)
    false = sum(not any(one.holds(alarm.raised_ns) for one in mine) for alarm in alarms)
    return Row(
        watch=watch,
        machine=machine,
        tag=tag,
        tags=names,
        readings=count,
        weeks=weeks,
        alarms=len(alarms),
        alarms_per_week=len(alarms) / weeks if weeks else 0.0,
        windows=len(mine),
        windows_hit=len(delays),
        median_delay_seconds=median(delays) if delays else None,
        false_alarms_per_week=None if windows is None else false / outside if outside else 0.0,
    )


def _delay(window: Window, alarms: Sequence[Alarm]) -> float | None:
    """Seconds from the window's beginning to the first alarm that was raised in it."""
    inside = [alarm.raised_ns for alarm in alarms if window.holds(alarm.raised_ns)]
    return (min(inside) - window.from_ns) / 1e9 if inside else None


def _weeks(t_ns: NDArray[np.int64], windows: Sequence[Window]) -> tuple[float, float]:
    """All of it and what is outside the windows."""
    if len(t_ns) < 2:
        return 0.0, 0.0
    step = np.diff(t_ns)
    step = np.where(step > HOLE * np.median(step), 0, step)
    outside = np.ones(len(step), dtype=bool)
    for one in windows:
        outside[(t_ns[1:] >= one.from_ns) & (t_ns[1:] <= one.to_ns)] = False
    return float(step.sum()) / WEEK_NS, float(step[outside].sum()) / WEEK_NS
