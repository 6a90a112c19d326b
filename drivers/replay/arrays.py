"""npz recordings: ``t_ns`` and one array per tag, and blocks of fast samples. All of it is held in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from drivers.replay.recording import Piece, column, piece
from gateway.contract import GOOD, Batch, ConfigError, Quality, Tag, Waveform

READINGS = 20_000  # per piece


class NpzRecording:
    """Opens the file and checks that its arrays fit the tags and each other.

    raises OSError       it cannot be opened
    raises ConfigError   it is no npz, or an array is missing or has another shape
    """

    def __init__(self, path: Path, tags: Sequence[Tag]) -> None:
        try:
            self._pieces = _pieces(_load(path), tags)
        except (ValueError, BadZipFile, EOFError, ConfigError) as exc:
            raise ConfigError(f"{path}: {exc}") from exc

    def take(self) -> Piece | None:
        return next(self._pieces, None)

    def close(self) -> None:
        self._pieces = iter(())


def _load(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        content = np.load(file, allow_pickle=False)
        if not isinstance(content, np.lib.npyio.NpzFile):
            raise ConfigError("one array, not an npz archive of named arrays")
        with content:
            return {name: content[name] for name in content.files}


def _pieces(arrays: dict[str, Any], tags: Sequence[Tag]) -> Iterator[Piece]:
    """Readings and blocks merged by the time they are due."""
    waves = [tag for tag in tags if tag.options.kind == "waveform"]
    blocks = sorted((block for tag in waves for block in _blocks(arrays, tag)), key=lambda block: int(block.due_ns[0]))
    scalars = [tag for tag in tags if tag not in waves]
    readings = piece(_readings(arrays, scalars)) if scalars else piece(Batch.of([], [], []))
    return _merge(readings, blocks)


def _merge(readings: Piece, blocks: list[Piece]) -> Iterator[Piece]:
    batch, start = readings.item, 0
    assert isinstance(batch, Batch)  # noqa: S101  `_readings` made it
    for block in [*blocks, None]:
        end = len(batch) if block is None else int(np.searchsorted(readings.due_ns, block.due_ns[0], side="right"))
        for first in range(start, end, READINGS):
            rows = np.arange(first, min(first + READINGS, end))
            yield Piece(batch.select(rows), readings.due_ns[rows])
        start = max(start, end)
        if block is not None:
            yield block


def _readings(arrays: dict[str, Any], tags: Sequence[Tag]) -> Batch:
    """Row by row in the order of the file; NaN is no reading, text is bad."""
    t_ns = _times(arrays, "t_ns")
    values, qualities = np.empty((len(t_ns), len(tags))), np.full((len(t_ns), len(tags)), GOOD, np.uint8)
    for position, tag in enumerate(tags):
        array = _array(arrays, column(tag), tag)
        if array.shape != t_ns.shape:
            raise ConfigError(f"array {column(tag)!r} has the shape {array.shape}, t_ns has {t_ns.shape}")
        if array.dtype.kind in "biuf":
            values[:, position] = array
            qualities[np.isinf(values[:, position]), position] = Quality.BAD_NOT_FINITE
        else:
            values[:, position], qualities[:, position] = np.inf, Quality.BAD_TYPE
    there = ~np.isnan(values)
    values[qualities != GOOD] = np.nan
    rows, positions = np.nonzero(there)
    index = np.array([tag.index for tag in tags], dtype=np.int32)
    return Batch(index[positions], t_ns[rows], values[there], qualities[there])


def _blocks(arrays: dict[str, Any], tag: Tag) -> Iterator[Piece]:
    """One Waveform per row; due when its last sample was taken."""
    name = column(tag)
    samples, t_ns = _array(arrays, name, tag), _times(arrays, f"{name}_t_ns")
    rate = _array(arrays, f"{name}_rate_hz", tag)
    if samples.ndim != 2 or samples.dtype.kind not in "iuf" or len(samples) != len(t_ns):
        raise ConfigError(f"array {name!r} must be numbers [blocks, samples] with {len(t_ns)} blocks, it is {samples.dtype}{samples.shape}")
    if rate.size != 1 or not np.isfinite(rate_hz := float(rate.reshape(-1)[0])) or rate_hz <= 0:
        raise ConfigError(f"array {name}_rate_hz must be one number above 0")
    for start_ns, block in zip(t_ns.tolist(), samples.astype(np.float32), strict=True):
        due_ns = start_ns + round(len(block) / rate_hz * 1e9)
        quality = GOOD if np.isfinite(block).all() else int(Quality.BAD_NOT_FINITE)
        wave = Waveform(tag=tag.index, t_ns=start_ns, rate_hz=rate_hz, samples=block, quality=quality)
        yield Piece(wave, np.array([due_ns], dtype=np.int64))


def _array(arrays: dict[str, Any], name: str, tag: Tag) -> NDArray[Any]:
    if name not in arrays:
        raise ConfigError(f"no array {name!r} for {tag.path}; there are {', '.join(arrays) or 'none'}")
    return np.asarray(arrays[name])


def _times(arrays: dict[str, Any], name: str) -> NDArray[np.int64]:
    t_ns = np.asarray(arrays.get(name))
    if t_ns.ndim != 1 or t_ns.dtype.kind not in "iu":
        raise ConfigError(f"array {name!r} with int64 nanoseconds since 1970 is missing")
    return t_ns.astype(np.int64)
