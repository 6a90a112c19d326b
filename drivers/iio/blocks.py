"""Samples as they are read, in pieces, to blocks of one length. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from drivers.iio.timing import lost_samples, measured_rate
from gateway.contract import GOOD, Quality, Waveform

DRIFT = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Scaled:
    """A channel of a tag: (raw + offset) * scale is what the kernel means; times `own` scale, plus own offset, the tag's value."""

    tag: int
    channel: str
    scale: float
    offset: float
    own: tuple[float, float] = (1.0, 0.0)

    def samples(self, raw: NDArray[np.int64]) -> NDArray[np.float32]:
        return (((raw + self.offset) * self.scale) * self.own[0] + self.own[1]).astype(np.float32)


BAD_LENGTH = int(Quality.BAD_LENGTH)
NEVER_SET_NS = 1_420_070_400_000_000_000  # 2015-01-01
FIFO_SECONDS = 1.0
"""How long a sensor may keep a sample before anybody can read it."""


class Blocks:
    """Cuts what is fed to it.

    rate_hz   what the device says; None: told by the first block's time stamps
    seconds   of a block
    wall      the time stamps are UTC; otherwise, and as long as the kernel's clock was never set, they tell rates and gaps only
    """

    def __init__(self, channels: Sequence[Scaled], rate_hz: float | None, seconds: float, *, wall: bool) -> None:
        self._channels, self._nominal, self._seconds, self._wall = channels, rate_hz, seconds, wall
        self._rate = rate_hz
        self._columns: dict[str, list[NDArray[np.int64]]] = {channel.channel: [] for channel in channels}
        self._stamps: list[NDArray[np.int64]] = []
        self._waiting = 0
        self._last_ns: int | None = None
        self._lost = 0
        self._longest = 0.0

    def feed(
        self, columns: Mapping[str, NDArray[np.int64]], t_ns: NDArray[np.int64] | None, now_ns: int, *, lost: int = 0, since: float = inf
    ) -> list[Waveform]:
        """The blocks that are complete now.

        now_ns   when the last of these samples was read
        lost     how many are missing before the first of them
        since    seconds since those before them were read: what their times differ by beyond is a clock that was set
        """
        self._longest = max(self._longest, since + FIFO_SECONDS)
        count = len(next(iter(columns.values())))
        self._lost += lost
        self._waiting += count
        for name, parts in self._columns.items():
            parts.append(columns[name])
        if t_ns is not None:
            self._stamps.append(t_ns)
        if self._rate is None:
            self._rate = measured_rate(np.concatenate(self._stamps), None) if self._stamps else None
            if self._rate is None:
                return []
        length = max(1, round(self._rate * self._seconds))
        found = []
        while self._waiting >= length:
            found += self._cut(length, now_ns)
        if found:
            self._longest = since + FIFO_SECONDS
        return found

    def _cut(self, length: int, now_ns: int) -> list[Waveform]:
        assert self._rate is not None  # noqa: S101  `feed` saw to it; this tells mypy
        columns = {name: _take(parts, length) for name, parts in self._columns.items()}
        begin_ns = now_ns - round(self._waiting / self._rate * 1e9)
        self._waiting -= length
        lost, self._lost = self._lost, 0
        inside = lost  # without time stamps nobody knows where in the block
        if self._stamps:
            stamps = _take(self._stamps, length)
            before = stamps[:0] if self._last_ns is None else np.array([self._last_ns])
            lost = max(lost, lost_samples(np.concatenate([before, stamps]), self._rate, self._longest))
            inside = lost_samples(stamps, self._rate, self._longest)
            self._last_ns = int(stamps[-1])
            self._follow(measured_rate(stamps, self._nominal))
            begin_ns = int(stamps[0]) if self._wall and stamps[0] >= NEVER_SET_NS else begin_ns
        return [
            Waveform(
                tag=channel.tag,
                t_ns=begin_ns,
                rate_hz=self._rate,
                samples=channel.samples(columns[channel.channel]),
                quality=BAD_LENGTH if inside else GOOD,
                dropped=lost,
            )
            for channel in self._channels
        ]

    def _follow(self, measured: float | None) -> None:
        """A rate that moves with every block would be a new one for whoever keeps something per rate."""
        if measured is not None and self._rate is not None and (abs(measured / self._rate - 1) > DRIFT or self._rate == self._nominal):
            self._rate = measured


def _take(parts: list[NDArray[np.int64]], length: int) -> NDArray[np.int64]:
    """The first `length` samples; the rest stays."""
    whole = np.concatenate(parts)
    parts[:] = [whole[length:]]
    return whole[:length]
