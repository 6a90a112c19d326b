"""How much is written to the disk that holds the state, and how long that disk will bear it. From /proc and /sys; Linux only.

gateway   bytes this process had written: ``write_bytes`` of /proc/self/io (proc(5)); without the file system's journal
disk      bytes the block device took from everybody, the journal included: 512 times field 7 of /sys/dev/block/*/stat
          (Documentation/block/stat.rst)

Kept hour by hour over restarts, so the figure of a day is one of a day. Only time that was looked at counts, by the monotonic clock.
"""

from __future__ import annotations

import json
import os
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from gateway.contract import Clock, Json
from gateway.durable import write

HOURS = 24
_HOUR, _DAY, _YEAR = 3600.0, 86_400.0, 365.25 * 86_400.0
_LEAST_SECONDS = 300.0
"""Of looking, before anything is said of a day."""
CYCLES = 300
"""How often a plain card bears to be written over as a whole, where nobody says what it bears: a rule of thumb for its cells (about 1,000
erasures) with a factor of three for pages that are written only in part. Industrial cards and SSDs bear ten times that."""
_SECTOR = 512


class Hour(NamedTuple):
    """What was written in so many seconds; None: not known."""

    seconds: float
    gateway: int | None
    disk: int | None


@dataclass(frozen=True)
class Health:
    """What an eMMC says of itself (JEDEC 84-B51): `used_percent` of its life, in steps of ten; `end`: normal, warning or urgent."""

    used_percent: int | None
    end: str

    @property
    def worn(self) -> bool:
        return self.end in ("warning", "urgent") or (self.used_percent or 0) >= 90


class Wear:
    """Of the disk that holds `folder`. Reads and writes in `look` and `save` only, which are for the thread for files.

    endurance_bytes   what the disk bears to be written in its life, as its maker says; None: `CYCLES` times its size
    """

    def __init__(self, folder: Path, clock: Clock, endurance_bytes: float | None = None) -> None:
        self._file, self._clock, self.endurance_bytes = folder / "wear.json", clock, endurance_bytes
        self._hours: deque[Hour] = deque(maxlen=HOURS)
        self._now = Hour(0.0, 0, 0)
        self._before: tuple[float, int | None, int | None] | None = None
        self._loaded = False
        self.size_bytes: int | None = None
        self.health: Health | None = None

    def look(self) -> None:
        """Once a minute or so."""
        if not self._loaded:
            self._load()
        device = _device(self._file.parent)
        now = self._clock.monotonic(), written_by_us(), None if device is None else written_to(device)
        if self._before is not None:
            seconds = now[0] - self._before[0]
            self._now = Hour(
                self._now.seconds + seconds,
                _plus(self._now.gateway, self._before[1], now[1]),
                _plus(self._now.disk, self._before[2], now[2]),
            )
        self._before = now
        self.size_bytes = _size(self._file.parent) if device is None else _disk_size(device)
        self.health = None if device is None else _health(device)
        if self._now.seconds >= _HOUR:
            self._hours.append(self._now)
            self._now = Hour(0.0, 0, 0)
            self.save()

    def per_day(self) -> dict[str, float | None]:
        """Bytes, of `gateway` and `disk`, at the rate of the last day that was looked at; None: not known, or not yet."""
        hours = [*self._hours, self._now]
        return {"gateway": _rate([(h.seconds, h.gateway) for h in hours]), "disk": _rate([(h.seconds, h.disk) for h in hours])}

    def lasts_years(self) -> float | None:
        """Until the disk has borne what it bears, counted from new, at this rate; None: not known."""
        rates = self.per_day()
        rate = rates["disk"] or rates["gateway"]
        bears = self.endurance_bytes or (self.size_bytes * CYCLES if self.size_bytes else None)
        return bears / (rate * _YEAR / _DAY) if rate and bears else None

    def as_json(self) -> dict[str, Json]:
        """For the status."""
        rates, years = self.per_day(), self.lasts_years()
        return {
            "gateway_bytes_per_day": rates["gateway"],
            "disk_bytes_per_day": rates["disk"],
            "watched_hours": round(sum(hour.seconds for hour in (*self._hours, self._now)) / _HOUR, 2),
            "disk_bytes": self.size_bytes,
            "endurance_bytes": self.endurance_bytes or (self.size_bytes * CYCLES if self.size_bytes else None),
            "endurance_is": "given" if self.endurance_bytes else f"{CYCLES} times its size",
            "lasts_years": None if years is None else round(years, 1),
            "life_used_percent": self.health.used_percent if self.health else None,
            "end_of_life": self.health.end if self.health else None,
        }

    def save(self) -> None:
        """Keep the hours over a restart. A disk that refuses has other troubles."""
        hours = [list(hour) for hour in (*self._hours, self._now) if hour.seconds]
        with suppress(OSError):
            write(self._file, json.dumps({"version": 1, "hours": hours}).encode(), mode=0o644)

    def _load(self) -> None:
        self._loaded = True
        try:
            found = json.loads(self._file.read_text(encoding="ascii"))
            self._hours.extend(
                Hour(float(s), None if own is None else int(own), None if d is None else int(d)) for s, own, d in found["hours"]
            )
        except (OSError, ValueError, TypeError, KeyError):
            self._hours.clear()


def written_by_us() -> int | None:
    """Bytes this process had written to disks, since its start."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/io").read_text(encoding="ascii").splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split(":")[1])
    return None


def written_to(device: Path) -> int | None:
    """Bytes a block device took, since the start of the machine. `device` is its folder in /sys."""
    with suppress(OSError, ValueError, IndexError):
        return int((device / "stat").read_text(encoding="ascii").split()[6]) * _SECTOR
    return None


def _device(folder: Path) -> Path | None:
    """Its folder in /sys; None where there is no block device, as in memory or on an overlay."""
    with suppress(OSError):
        number = folder.stat().st_dev
        found = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
        return found.resolve(strict=True)
    return None


def _disk_size(device: Path) -> int | None:
    """Of the whole disk, whose cells all share the wear, even if `device` is a partition of it."""
    disk = device.parent if (device / "partition").exists() else device
    with suppress(OSError, ValueError):
        return int((disk / "size").read_text(encoding="ascii")) * _SECTOR or None
    return None


def _size(folder: Path) -> int | None:
    with suppress(OSError):
        found = os.statvfs(folder)
        return found.f_blocks * found.f_frsize
    return None


def _health(device: Path) -> Health | None:
    disk = device.parent if (device / "partition").exists() else device
    try:
        ends = [int(word, 16) for word in (disk / "device" / "life_time").read_text(encoding="ascii").split()]
        end = int((disk / "device" / "pre_eol_info").read_text(encoding="ascii"), 16)
    except (OSError, ValueError):
        return None
    used = max(ends, default=0)
    return Health(min(used, 11) * 10 if used else None, {1: "normal", 2: "warning", 3: "urgent"}.get(end, "unknown"))


def _plus(so_far: int | None, before: int | None, now: int | None) -> int | None:
    return None if so_far is None or before is None or now is None or now < before else so_far + now - before


def _rate(hours: list[tuple[float, int | None]]) -> float | None:
    known = [(seconds, count) for seconds, count in hours if count is not None]
    seconds = sum(each for each, _ in known)
    return sum(count for _, count in known) * _DAY / seconds if seconds >= _LEAST_SECONDS else None
