"""The clock: whether its time can be believed, and who sets it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.clock.signs import kernel_says
from gateway.doctor.finding import Finding, error, warning

FIRST_SANE_YEAR, LAST_SANE_YEAR = 2025, 2060
RTC_OFF_SECONDS = 120.0
_SOURCES = {"chrony": "run/chrony/chronyd.pid", "systemd-timesyncd": "run/systemd/timesync", "ntpsec": "run/ntpd.pid"}


@dataclass(frozen=True, kw_only=True)
class Clock:
    """now, rtc       seconds since 1970; rtc None: there is none
    synchronised   None: nobody knows
    """

    now: float
    synchronised: bool | None
    source: str
    rtc: float | None


def read(now: float, root: Path = Path("/")) -> Clock:
    """`root` is for tests; the kernel's word on synchronisation is always that of this machine."""
    found = next((name for name, path in _SOURCES.items() if (root / path).exists()), "")
    return Clock(now=now, synchronised=kernel_says(), source=found, rtc=_rtc(root / "sys/class/rtc/rtc0/since_epoch"))


def judge(clock: Clock) -> Iterator[Finding]:
    year = datetime.fromtimestamp(clock.now, UTC).year
    if not FIRST_SANE_YEAR <= year <= LAST_SANE_YEAR:
        yield error(
            f"the clock says {year}: times of readings and certificates are judged by it",
            "sudo timedatectl set-ntp true, or fit a clock with a battery",
        )
    if not clock.source:
        yield warning(
            "nobody sets the clock (no chrony, timesyncd or ntpsec): it drifts by seconds a week",
            "sudo lineside firmware apply time, then: sudo apt-get install chrony",
        )
    elif clock.synchronised is False:
        yield warning(
            f"{clock.source} has not set the clock yet: no time server was reached",
            "chronyc sources (or timedatectl show-timesync) names the servers; open UDP 123 to them",
        )
    if clock.rtc is None:
        yield warning(
            "there is no clock with a battery: after a power cut the time is wrong until a server is reached",
            "fit a DS3231 (firmware-config/rpi), or a battery to a Raspberry Pi 5",
        )
    elif abs(clock.rtc - clock.now) > RTC_OFF_SECONDS:
        yield warning(
            f"the clock with the battery is {clock.rtc - clock.now:+,.0f} s off: the next start begins with that",
            "sudo hwclock --systohc, and check its battery",
        )


def _rtc(path: Path) -> float | None:
    try:
        return float(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
