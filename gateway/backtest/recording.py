"""Recorded data: which columns there are, which tag each of them is, and all their readings in the order of their times."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gateway import registry
from gateway.backtest.came import ahead, came
from gateway.clock import SystemClock
from gateway.contract import Batch, ConfigError, EndOfSource, NotConnected, SecretRef, SourceContext, SourcePlugin, Tag

Series: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]
TIMES = ("time", "timestamp", "datetime", "date_time", "date", "t")
VALUE = "value"
MOST_BACK = 0.01  # of the rows may be older than the one before: an hour that comes twice in autumn, a late reading


@dataclass(frozen=True, slots=True)
class File:
    """One CSV file. `columns` are the names of its values as people use them; `own` what the file itself calls them.

    long   one reading a line, and the columns are not known before it is read
    """

    path: Path
    time: str
    columns: tuple[str, ...]
    own: Mapping[str, str]
    long: bool = False


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings by column: `batch.tag` counts in `columns`.

    ahead_ns  of each reading, see `ahead`
    lost      lines without a usable time
    back      readings older than the one before them in their file
    """

    files: tuple[File, ...]
    columns: tuple[str, ...]
    batch: Batch
    ahead_ns: NDArray[np.int64]
    lost: int
    back: int

    def of(self, tags: Mapping[str, Tag]) -> Batch:
        """The readings of these columns, each as its tag's."""
        mine = self._tags(tags)
        batch = self.batch.select(mine >= 0)
        return Batch(mine[mine >= 0], batch.t_ns, batch.value, batch.quality)

    def ahead_of(self, tags: Mapping[str, Tag]) -> NDArray[np.int64]:
        """`ahead_ns` of the same."""
        return self.ahead_ns[self._tags(tags) >= 0]

    def _tags(self, tags: Mapping[str, Tag]) -> NDArray[np.int32]:
        """int32[n]: whose each reading is; -1: of none of these."""
        index = np.full(len(self.columns), -1, dtype=np.int32)
        for column, tag in tags.items():
            index[self.columns.index(column)] = tag.index
        return index[self.batch.tag]


def by_tag(batch: Batch) -> dict[int, Series]:
    """Times and values of each tag."""
    order = np.argsort(batch.tag, kind="stable")
    tags, begins = np.unique(batch.tag[order], return_index=True)
    pieces = np.split(order, begins[1:])
    return {int(tag): (batch.t_ns[rows], batch.value[rows]) for tag, rows in zip(tags, pieces, strict=True)}


def find(data: Path, time: str | None = None) -> tuple[File, ...]:
    """The CSV files of a folder, or the one file, by their headers. Raises ConfigError."""
    if not data.exists():
        raise ConfigError(f"no such file or folder: {data}")
    paths = sorted(path for path in data.iterdir() if path.suffix.lower() == ".csv") if data.is_dir() else [data]
    if paths == [data] and data.suffix.lower() != ".csv":
        raise ConfigError(f"{data}: a recording is a file that ends in .csv, or a folder of them")
    if not paths:
        raise ConfigError(f"{data} holds no file that ends in .csv")
    return tuple(_file(path, time, folder=data.is_dir()) for path in paths)


def read(
    files: Sequence[File],
    wanted: Sequence[str],
    zone: ZoneInfo,
    progress: Callable[[int], None] = lambda _rows: None,
) -> Recording:
    """All readings of these columns; a time without an offset is of this zone. Raises ConfigError."""
    batches, lost, back = [], 0, 0
    for file in files:
        columns = [name for name in wanted if file.long or name in file.columns]
        if not columns:
            continue
        some, gone = asyncio.run(_read(file, columns, [wanted.index(name) for name in columns], zone, progress))
        behind = int((np.diff(some.t_ns) < 0).sum()) if len(some) else 0
        if behind > MOST_BACK * len(some):
            raise ConfigError(f"{file.path}: its lines are not in the order of their times; sort it by the column {file.time!r} first")
        lost, back = lost + gone, back + behind
        batches.append(some)
    whole = Batch.concat(batches) if batches else Batch.of([], [], [])
    if not len(whole):
        raise ConfigError(f"no readings: {files[0].path} has no line with a time and a value of {', '.join(wanted)}")
    # Sorted across files; within one, what is late stays where it came, as it would have in operation.
    by = [ahead(some.t_ns, some.tag) for some in batches]
    order = np.argsort(np.concatenate([came(some.t_ns, ahead_ns) for some, ahead_ns in zip(batches, by, strict=True)]), kind="stable")
    return Recording(tuple(files), tuple(wanted), whole.select(order), np.concatenate(by)[order], lost, back)


def _file(path: Path, time: str | None, *, folder: bool) -> File:
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
            header = [name.strip() for name in next(csv.reader(lines), [])]
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror or exc}") from exc
    except csv.Error as exc:
        raise ConfigError(f"{path}: no CSV: {exc}") from exc
    if not header:
        raise ConfigError(f"{path} is empty; its first line must name the columns: time,<tag>,<tag>")
    own_time = _time(path, header, time)
    names = [name for name in header if name and name != own_time]
    if {"tag", VALUE} <= set(names):
        return File(path, own_time, (), {}, long=True)
    if not names:
        raise ConfigError(f"{path} has no column beside {own_time!r}")
    own = {path.stem if folder and names == [VALUE] else name: name for name in names}
    return File(path, own_time, tuple(own), own)


def _time(path: Path, header: Sequence[str], time: str | None) -> str:
    if time is not None:
        if time not in header:
            raise ConfigError(f"{path}: no column {time!r} with the time; there are {', '.join(header)}")
        return time
    found = next((name for known in TIMES for name in header if name.lower() == known), None)
    if found is None:
        if len(header) == 1 and ";" in header[0]:
            raise ConfigError(f"{path}: its columns are separated by ';'; save it with commas, and with decimal points")
        raise ConfigError(f"{path}: no column with the time; there are {', '.join(header)}; say which one it is with --time COLUMN")
    return found


async def _read(
    file: File, columns: Sequence[str], indices: Sequence[int], zone: ZoneInfo, progress: Callable[[int], None]
) -> tuple[Batch, int]:
    """(readings in the order of the file, lines without a time), through the driver that replays recordings."""
    lost = 0

    def dropped(_why: str, count: int) -> None:
        nonlocal lost
        lost += count

    plugin, batches = registry.source("replay"), []
    options = plugin.options.model_validate({"replay": str(file.path), "speed": 0, "time": file.time, "timezone": zone.key})
    source = plugin.build(options, _context(file, _tags(plugin, file, columns, indices), dropped))
    try:
        await source.connect()
        while True:
            item = await source.read()
            assert isinstance(item, Batch)  # noqa: S101  a CSV holds no waveforms
            batches.append(item)
            progress(len(item))
    except EndOfSource:
        return Batch.concat(batches) if batches else Batch.of([], [], []), lost
    except NotConnected as exc:
        raise ConfigError(f"{file.path}: {exc}") from exc
    finally:
        await source.close()


def _tags(plugin: SourcePlugin, file: File, columns: Sequence[str], indices: Sequence[int]) -> tuple[Tag, ...]:
    return tuple(
        Tag(index, "recording", name, plugin.tag.model_validate({"column": file.own.get(name, name)}))
        for index, name in zip(indices, columns, strict=True)
    )


def _context(file: File, tags: tuple[Tag, ...], dropped: Callable[[str, int], None]) -> SourceContext:
    return SourceContext(
        name="recording",
        tags=tags,
        records=(),
        clock=SystemClock(),
        state_dir=file.path.parent,
        pki=file.path.parent,
        secret=_no_secret,
        dropped=dropped,
        skipped=lambda _count: None,
    )


def _no_secret(ref: SecretRef) -> str:
    raise ConfigError(f"a recording has no secret {ref.secret}")
