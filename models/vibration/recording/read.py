"""Reads one channel of a recording: npz, wav, csv or mat."""

from __future__ import annotations

import csv
import struct
import sys
import wave
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from models.vibration.spectrum import Samples

_RATES = ("rate_hz", "fs", "sampling_rate", "sample_rate")
_SPEEDS = ("rpm", "speed_rpm")
_TIMES = ("time", "t", "seconds", "time_s")
_FEWEST = 1024


_DAMAGED: tuple[type[Exception], ...] = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, EOFError, RuntimeError, NameError, SyntaxError, OverflowError),
    *(BadZipFile, TokenError, struct.error, wave.Error, zlib.error),
)
"""What the libraries raise for files that are not what their ending says, or are cut off."""


class Unreadable(Exception):
    """What is wrong with the file, in a line."""


@dataclass(frozen=True)
class Recording:
    """`rate_hz` and `rpm`: None where the file does not tell."""

    channel: str
    samples: Samples
    rate_hz: float | None = None
    rpm: float | None = None


Arrays: TypeAlias = Mapping[str, NDArray[Any]]


def read(path: Path, channel: str | None = None) -> Recording:
    """Raises Unreadable.

    channel   name of an array or column, or the number of a column from 0; the only or the longest one if none is given
    """
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise Unreadable(f"cannot read {path.suffix or 'a file without an ending'}; give {', '.join(_READERS)}")
    try:
        found = reader(path, channel)
    except OSError as exc:
        raise Unreadable(exc.strerror or str(exc)) from exc
    except _DAMAGED as exc:
        raise Unreadable(f"is no {path.suffix.lower()[1:]} file that can be read ({exc or 'damaged'})") from exc
    if not np.isfinite(found.samples).all():
        raise Unreadable(f"channel {found.channel} holds values that are no numbers")
    if len(found.samples) < _FEWEST:
        raise Unreadable(f"channel {found.channel} has {len(found.samples)} samples; {_FEWEST} are the fewest that tell anything")
    return found


def _npz(path: Path, channel: str | None) -> Recording:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as saved:
        return _of_arrays({name: saved[name] for name in saved.files}, channel)


def _mat(path: Path, channel: str | None) -> Recording:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        with path.open("rb") as file:
            saved = loadmat(file)
    except MatReadError as exc:
        raise Unreadable(f"is no mat file that can be read ({exc})") from exc
    except NotImplementedError as exc:
        raise Unreadable("is a mat file of MATLAB 7.3; save it with -v7") from exc
    arrays = {name: value for name, value in saved.items() if not name.startswith("__") and np.issubdtype(value.dtype, np.number)}
    return _of_arrays(arrays, channel)


def _of_arrays(arrays: Arrays, channel: str | None) -> Recording:
    """A channel is an array of one dimension, or a column of one of two."""
    columns: dict[str, NDArray[Any]] = {}
    for name, array in arrays.items():
        whole = np.squeeze(array)
        if not np.issubdtype(whole.dtype, np.number) or np.iscomplexobj(whole):
            continue
        if whole.ndim == 1 and len(whole) > 1:
            columns[name] = whole
        elif whole.ndim == 2:
            longest = whole if whole.shape[0] >= whole.shape[1] else whole.T
            columns |= {f"{name}.{i}": longest[:, i] for i in range(longest.shape[1])}
    name = _chosen(list(columns), channel, {name: len(column) for name, column in columns.items()})
    return Recording(name, columns[name].astype(np.float32), _number(arrays, _RATES), _number(arrays, _SPEEDS))


def _number(arrays: Arrays, names: tuple[str, ...]) -> float | None:
    """CWRU names the speed X097RPM."""
    for name, array in arrays.items():
        lower = name.lower()
        if array.size == 1 and np.issubdtype(array.dtype, np.number) and (lower in names or lower.endswith(names[0])):
            value = float(np.real(array.reshape(-1)[0]))
            if not np.isfinite(value):
                raise Unreadable(f"its {name} is {value:g}")
            return value
    return None


def _chosen(names: list[str], channel: str | None, lengths: Mapping[str, int]) -> str:
    if not names:
        raise Unreadable("holds no channel: no array or column of numbers")
    if channel is None:
        return max(names, key=lambda name: lengths[name])
    if channel in names:
        return channel
    if channel.isdecimal() and int(channel) < len(names):
        return names[int(channel)]
    raise Unreadable(f"has no channel {channel!r}; there are {', '.join(names[:12])}")


def _wav(path: Path, channel: str | None) -> Recording:
    """Full scale is 1."""
    with wave.open(str(path), "rb") as file:
        count, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
        data = file.readframes(file.getnframes())
    data = data[: len(data) // width * width]
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), dtype=np.uint8)
        padded[:, 1:] = np.frombuffer(data, dtype=np.uint8)[: len(data) // 3 * 3].reshape(-1, 3)
        values = padded.view("<i4").reshape(-1) / 2.0**31
    elif width == 1:
        values = (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128
    else:
        values = np.frombuffer(data, dtype=f"<i{width}") / 2.0 ** (8 * width - 1)
    frames = values[: len(values) // count * count].reshape(-1, count)
    names = [str(i) for i in range(count)]
    name = _chosen(names, channel, dict.fromkeys(names, len(frames)))
    return Recording(name, frames[:, int(name)].astype(np.float32), float(rate))


def _csv(path: Path, channel: str | None) -> Recording:
    """Columns of numbers, with or without a head; a column named time, in seconds, tells the rate."""
    csv.field_size_limit(sys.maxsize)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise Unreadable("is no text in UTF-8") from exc
    delimiter = next((one for one in (";", "\t", ",") if one in text[:4096]), ",")
    rows = [row for row in csv.reader(text.splitlines(), delimiter=delimiter) if row]
    if not rows:
        raise Unreadable("is empty")
    headed = not _is_number(rows[0][0])
    names = [name.strip() for name in rows[0]] if headed else [str(i) for i in range(len(rows[0]))]
    begins = 2 if headed else 1
    try:
        table = np.array([[float(cell) for cell in row] for row in rows[headed:]], dtype=np.float64)
    except ValueError:
        bad = next((at for at, row in enumerate(rows[headed:], begins) if not all(map(_is_number, row)) or len(row) != len(names)), begins)
        raise Unreadable(f"line {bad} is not {len(names)} numbers") from None
    if table.ndim != 2 or table.shape[1] != len(names):
        raise Unreadable("has lines of different lengths, or none with numbers")
    columns = dict(zip(names, table.T, strict=True))
    time = next((name for name in names if name.lower() in _TIMES), None)
    rate = None if time is None else _rate(columns.pop(time))
    name = _chosen(list(columns), channel, {name: len(column) for name, column in columns.items()})
    return Recording(name, columns[name].astype(np.float32), rate)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rate(seconds: NDArray[np.float64]) -> float:
    step = np.diff(seconds)
    usual = float(np.median(step)) if len(step) else 0.0
    if usual <= 0 or float(np.abs(step - usual).max()) > 0.5 * usual:
        raise Unreadable("its times are not evenly spaced: samples are missing, or it is no waveform")
    return (len(seconds) - 1) / float(seconds[-1] - seconds[0])


_READERS: dict[str, Callable[[Path, str | None], Recording]] = {".npz": _npz, ".wav": _wav, ".csv": _csv, ".mat": _mat}
