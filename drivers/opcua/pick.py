"""What a tag takes of a value that is more than one number: an element, a field of a structure, a block of samples. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from drivers.opcua.address import split_field
from drivers.opcua.config import OpcuaTag
from drivers.opcua.decode import NUMBERS, numbers
from drivers.opcua.structure import Layout, number_in
from drivers.opcua.values import SEVERITY_SHIFT, judged, time_ns
from drivers.opcua.wire import FIXED, STRUCTURE, Malformed, Raw, Reader, Told
from gateway.contract import BAD, GOOD, UNCERTAIN, Quality, Tag, Waveform


@dataclass(frozen=True, slots=True)
class Pick:
    """Of one tag. `layout` is of the structure that its node has, where `field` asks for one."""

    index: int | None
    field: tuple[str | int, ...]
    layout: Layout | None = None

    def __call__(self, told: Told) -> tuple[float, int]:
        """(value, quality)"""
        try:
            value = None if told.raw is None else self._number(told.raw)
        except Malformed:
            return float("nan"), int(Quality.BAD_FORMAT)
        return judged(value, told.status)

    def _number(self, raw: Raw) -> float | None:
        if raw.array != (self.index is not None):
            return None
        if self.field:
            return self._in_structure(raw)
        column = array_of(raw)
        return float(column[self.index]) if column is not None and self.index is not None and self.index < len(column) else None

    def _in_structure(self, raw: Raw) -> float | None:
        if raw.kind != STRUCTURE or self.layout is None:
            return None
        reader = Reader(raw.body)
        if self.index is not None:
            if self.index >= reader.count():
                return None
            for _ in range(self.index):
                reader.extension()
        return number_in(self.layout, *reader.extension(), self.field)


def pick_of(options: OpcuaTag, layout: Layout | None = None) -> Pick | None:
    """None for a tag that takes a plain number."""
    if options.kind == "waveform" or (options.index is None and not options.field):
        return None
    return Pick(options.index, split_field(options.field) if options.field else (), layout)


def array_of(raw: Raw) -> NDArray[np.float64] | None:
    """float64[n] of an array of numbers."""
    code, size = NUMBERS.get(raw.kind), FIXED.get(raw.kind)
    if not raw.array or code is None or size is None:
        return None
    count = Reader(raw.body).count(size)
    return numbers(np.frombuffer(raw.body, dtype=code, count=count, offset=4), raw.kind)


@dataclass(slots=True)
class Blocks:
    """Waveforms of one tag. The source time is the end of a block: its first sample is as long before it as the block lasts."""

    tag: Tag
    _end_ns: int = field(default=0)

    def take(self, told: Told, now_ns: int) -> Waveform:
        """One block; a bad one has the quality, and what samples it has."""
        options = self.tag.options
        samples = None if told.raw is None else array_of(told.raw)
        quality = self._quality(told, samples)
        block = np.zeros(0) if samples is None else samples
        end_ns = time_ns(told, now_ns)
        start_ns = end_ns - round(len(block) / options.rate_hz * 1e9)
        missing = round((start_ns - self._end_ns) / 1e9 * options.rate_hz) if self._end_ns else 0
        lost = missing if missing > len(block) // 2 else 0  # a server's clock is not exact; half a block is no jitter
        self._end_ns = end_ns
        with np.errstate(over="ignore"):
            engineering = (block * options.scale + options.offset).astype(np.float32)
        return Waveform(tag=self.tag.index, t_ns=start_ns, rate_hz=options.rate_hz, samples=engineering, quality=quality, dropped=lost)

    def nothing(self, t_ns: int, quality: int) -> Waveform:
        """What came is no array: a block without samples, bad."""
        bad = quality if quality >= BAD else int(Quality.BAD_TYPE)
        return Waveform(tag=self.tag.index, t_ns=t_ns, rate_hz=self.tag.options.rate_hz, samples=np.zeros(0, np.float32), quality=bad)

    def _quality(self, told: Told, samples: NDArray[np.float64] | None) -> int:
        severity = told.status >> SEVERITY_SHIFT
        if severity >= 2 or told.raw is None:
            return BAD
        if samples is None:
            return Quality.BAD_TYPE
        if not len(samples) or (self.tag.options.length and len(samples) != self.tag.options.length):
            return Quality.BAD_LENGTH
        if not np.isfinite(samples).all():
            return Quality.BAD_NOT_FINITE
        return UNCERTAIN if severity else GOOD
