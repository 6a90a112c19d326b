"""What tells whether the wall clock of this machine can be trusted. Facts only; `kept.py` judges."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

BUILT_NS = 1_793_491_200_000_000_000
"""2026-11-01, raised with each release: a clock that shows less was never set."""
MARKERS = (Path("/run/systemd/timesync/synchronized"), Path("/run/lineside-clock/synchronised"))
"""systemd-timesyncd makes the first when it has an answer, `lineside-clock.service` the second when the kernel says so: the sandbox of
the gateway's own unit does not let it ask the kernel (ProtectClock=yes)."""
BOOT_ID = "LINESIDE_BOOT_ID"
"""From the unit, whose sandbox hides the file."""
_RTC = Path("/sys/class/rtc/rtc0/since_epoch")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LIBC = ctypes.CDLL(None)  # once: each one brings a class of its own, and this is asked every second for years
_STA_UNSYNC = 0x40
_TIME_ERROR = 5


class _Timex(ctypes.Structure):
    """The beginning of struct timex, see adjtimex(2); `rest` is room for what follows."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_says() -> bool | None:
    """Whether the kernel's clock is disciplined now: chrony, ntpd, timesyncd and PTP tell it so. None where nobody may ask."""
    told = _Timex()
    try:
        state = int(_LIBC.adjtimex(ctypes.byref(told)))
    except AttributeError:  # no such call in this libc
        return None
    return None if state < 0 else state != _TIME_ERROR and not told.status & _STA_UNSYNC


def synchronised() -> bool:
    """It says so. False also where nobody may ask."""
    return kernel_says() is True


def marked_ns() -> int:
    """When, by the wall clock of then, somebody last said that it was synchronised since the boot; 0: nobody has."""
    found = [0]
    for marker in MARKERS:
        with suppress(OSError):
            found.append(marker.stat().st_mtime_ns)
    return max(found)


def rtc_ns() -> int | None:
    """What the battery-backed clock shows; None: there is none, or it cannot be read."""
    try:
        return int(_RTC.read_text(encoding="ascii")) * 1_000_000_000
    except (OSError, ValueError):
        return None


def boot_id() -> str:
    """Of the kernel, another one after each boot; empty where nobody tells it. Without the dashes, as systemd writes it."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip().replace("-", "")
    except OSError:
        return os.environ.get(BOOT_ID, "")


since_boot_ns: Callable[[], int] = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
"""Goes on while the machine sleeps, and never jumps."""


@dataclass(frozen=True)
class Signs:
    """The facts, each asked for when it is needed, so that tests can give others."""

    wall_ns: Callable[[], int] = time.time_ns
    since_boot_ns: Callable[[], int] = since_boot_ns
    synchronised: Callable[[], bool] = synchronised
    marked_ns: Callable[[], int] = marked_ns
    rtc_ns: Callable[[], int | None] = rtc_ns
    boot_id: Callable[[], str] = boot_id
