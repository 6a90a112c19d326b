"""One device in sysfs and its character device. Blocks, and raises OSError, ConfigError and NotConnected.

Source: Linux, Documentation/ABI/testing/sysfs-bus-iio and Documentation/driver-api/iio.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drivers.iio.attributes import Attributes
from drivers.iio.config import IioOptions
from drivers.iio.scan import ScanType, layout, parse_type, unpack
from gateway.contract import ConfigError, NotConnected

TIMESTAMP = "timestamp"
_DEVICES = Path("sys/bus/iio/devices")
_RATES = ("sampling_frequency", "in_accel_sampling_frequency")
_READ_BYTES = 1 << 16


class Device:
    """Found by name in `open`, switched on there, and off in `close`.

    rate_hz      as the device says; None: it does not
    stamped      samples come with time stamps; they are UTC where `wall_clock`
    overrun      the last `drain` found the kernel's buffer full
    """

    def __init__(self, options: IioOptions) -> None:
        self._options, self._root = options, Path(options.root)
        self._files = Attributes(self._root, options.iio)
        self._fd: int | None = None
        self._rest = b""
        self._kinds: dict[str, ScanType] = {}
        self._scan = np.dtype([("nothing", "u1")])
        self._buffer_bytes = 0
        self.rate_hz: float | None = None
        self.wall_clock = self.stamped = self.overrun = False

    def open(self, channels: Collection[str], others: Collection[str]) -> None:
        """`channels` go through the buffer, none: it is not used. `others` are read one by one."""
        self._files = Attributes(self._find(), self._options.iio)
        self._check(channels, others)
        if channels:
            self._files.ensure("buffer/enable", "0")  # who was here before may have left it on, and then nothing can be set
        if self._options.sampling_frequency_hz is not None:
            self._set_rate(self._options.sampling_frequency_hz)
        self.rate_hz = self._files.number(*_RATES) or self._options.sampling_frequency_hz
        if channels:
            self._begin(channels)

    def close(self) -> None:
        """Never raises; twice is fine."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
            try:
                self._files.ensure("buffer/enable", "0")
            except NotConnected:
                return  # it is gone, or root's

    def scaling(self, channel: str) -> tuple[float, float]:
        """(scale, offset): engineering value = (raw + offset) * scale. The channel's own, else that of its kind."""
        kind = channel.split("_")[0]
        scale = self._files.number(f"in_{channel}_scale", f"in_{kind}_scale")
        offset = self._files.number(f"in_{channel}_offset", f"in_{kind}_offset")
        return 1.0 if scale is None else scale, 0.0 if offset is None else offset

    def value(self, channel: str) -> float | None:
        """Engineering units of the kernel; None: it cannot be read now, for example because the buffer has the device."""
        if (processed := self._files.number(f"in_{channel}_input")) is not None:
            return processed
        raw = self._files.number(f"in_{channel}_raw")
        if raw is None:
            if not self._files.path.exists():
                raise NotConnected(self._options.iio, "the device is gone")
            return None
        scale, offset = self.scaling(channel)
        return (raw + offset) * scale

    def drain(self) -> dict[str, NDArray[np.int64]]:
        """All that is there: columns of raw numbers by channel, perhaps empty."""
        if self._fd is None:
            raise NotConnected(self._options.iio, "not open")
        parts, size = [self._rest], len(self._rest)
        while size < self._buffer_bytes:
            try:
                part = os.read(self._fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not part:
                raise NotConnected(self._options.iio, "the device is gone, or somebody has switched its buffer off")
            parts.append(part)
            size += len(part)
        self.overrun = size >= self._buffer_bytes
        data = b"".join(parts)
        whole = size // self._scan.itemsize * self._scan.itemsize
        self._rest = data[whole:]
        return unpack(data[:whole], self._scan, self._kinds)

    def _find(self) -> Path:
        folder, wanted = self._root / _DEVICES, self._options.iio
        found = {path: Attributes(path, wanted).text("name") for path in sorted(folder.glob("iio:device*"))}
        named = [path for path, name in found.items() if wanted in (name, path.name)]
        if not named:
            there = ", ".join(f"{name} ({path.name})" for path, name in found.items()) or "none"
            raise NotConnected(wanted, f"no such device; there are {there}")
        if len(named) > 1:
            raise ConfigError(f"{len(named)} devices are named {wanted!r}; write one of {', '.join(path.name for path in named)}")
        return named[0]

    def _check(self, channels: Collection[str], others: Collection[str]) -> None:
        scan = [name[len("scan_elements/in_") : -len("_en")] for name in self._files.names("scan_elements/in_*_en")]
        plain = sorted({name[3:].rsplit("_", 1)[0] for end in ("raw", "input") for name in self._files.names(f"in_*_{end}")})
        for wanted, known, what in ((channels, scan, "in its buffer"), (others, plain, "that can be read")):
            if missing := [channel for channel in wanted if channel not in known]:
                raise ConfigError(f"{self._options.iio} has no channel {missing[0]!r} {what}; there are {', '.join(known) or 'none'}")

    def _set_rate(self, wanted: float) -> None:
        """Raises ConfigError where the device took another one: it has not got this one."""
        name = next((name for name in _RATES if self._files.has(name)), None)
        if name is None:
            return
        now = self._files.number(name)
        if now is None or abs(now - wanted) > 1e-3 * wanted:
            self._files.write(name, f"{wanted:g}")
            now = self._files.number(name)
        if now is None or abs(now - wanted) > 1e-2 * wanted:
            offered = self._files.text(f"{name}_available")
            raise ConfigError(f"{self._options.iio} samples at {now} Hz, not at {wanted:g}" + (f"; it offers {offered}" if offered else ""))

    def _begin(self, channels: Collection[str]) -> None:
        if self._options.trigger is not None:
            self._files.ensure("trigger/current_trigger", self._options.trigger)
        self._choose(channels)
        self._kinds, self._scan = self._elements()
        if repeated := [name for name in channels if self._kinds[name].repeat > 1]:
            raise ConfigError(f"{self._options.iio}: {repeated[0]} is several numbers at once; a waveform is one")
        self.stamped = TIMESTAMP in self._kinds
        self.wall_clock = self.stamped and self._stamps_are_utc()
        if self.rate_hz is None and not self.stamped:
            raise ConfigError(f"{self._options.iio} tells neither its rate nor times; say sampling_frequency_hz")
        length = max(16, round((self.rate_hz or 1000.0) * self._options.buffer))
        self._files.ensure("buffer/length", str(length), at_least=True)
        self._buffer_bytes = int(self._files.number("buffer/length") or length) * self._scan.itemsize
        if self._options.watermark is not None:
            self._files.ensure("buffer/watermark", str(self._options.watermark))
        self._files.ensure("buffer/enable", "1")
        self._rest = b""
        self._fd = os.open(self._root / "dev" / self._files.path.name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)

    def _choose(self, channels: Collection[str]) -> None:
        """The channels and the time stamp; others are switched off where we may, and read over where not."""
        for name in self._files.names("scan_elements/in_*_en"):
            channel = name[len("scan_elements/in_") : -len("_en")]
            try:
                self._files.ensure(name, "1" if channel in channels or channel == TIMESTAMP else "0")
            except NotConnected:
                if channel in channels:
                    raise

    def _elements(self) -> tuple[dict[str, ScanType], np.dtype[np.void]]:
        found: list[tuple[int, str, ScanType]] = []
        for name in self._files.names("scan_elements/in_*_en"):
            if self._files.text(name) != "1":
                continue
            stem = name.removesuffix("_en")
            try:
                kind = parse_type(self._files.text(f"{stem}_type"))
            except ValueError as exc:
                raise ConfigError(f"{self._options.iio}: {stem}: {exc}") from exc
            found.append((int(self._files.number(f"{stem}_index") or 0), stem.removeprefix("scan_elements/in_"), kind))
        ordered = [(name, kind) for _, name, kind in sorted(found, key=lambda each: each[0])]
        return dict(ordered), layout(ordered)

    def _stamps_are_utc(self) -> bool:
        try:
            if self._files.has("current_timestamp_clock"):
                self._files.ensure("current_timestamp_clock", "realtime")
        except NotConnected:
            return False
        return True
