"""Memory, temperature, supply: what makes a computer in a cabinet slow, or ends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning

LOW_BYTES, WARM_CELSIUS, HOT_CELSIUS = 100 << 20, 75.0, 85.0
_UNDER_VOLTAGE = 1 << 0 | 1 << 16
"""Now, or since the start. Source: Raspberry Pi documentation, vcgencmd get_throttled."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """celsius None: no sensor; throttled as a Raspberry Pi's firmware says, 0 elsewhere

    limited   False: the kernel keeps no account of a unit's memory, as a Raspberry Pi's firmware wants it
    """

    available_bytes: int
    celsius: float | None
    throttled: int
    limited: bool = True


def read(root: Path = Path("/")) -> Machine:
    """Raises OSError."""
    memory = dict(line.split(":", 1) for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines() if ":" in line)
    zones = sorted((root / "sys/class/thermal").glob("thermal_zone*/temp"))
    degrees = [value / 1000 for path in zones if (value := _number(path)) is not None]
    told = (root / "sys/devices/platform").glob("soc*/soc*:firmware/get_throttled")
    throttled = next((value for path in told if (value := _number(path, 16)) is not None), 0)
    available = int(memory.get("MemAvailable", memory.get("MemFree", "0")).split()[0]) * 1024
    limited = "memory" in _controllers(root / "sys/fs/cgroup/cgroup.controllers")
    return Machine(available_bytes=available, celsius=max(degrees, default=None), throttled=throttled, limited=limited)


def judge(machine: Machine) -> Iterator[Finding]:
    if machine.available_bytes < LOW_BYTES:
        yield error(
            f"only {machine.available_bytes >> 20} MB of memory are available: the kernel may end the gateway",
            "ps -e -o rss,comm --sort -rss | head finds who takes it",
        )
    if machine.celsius is not None and machine.celsius >= HOT_CELSIUS:
        yield error(
            f"the processor has {machine.celsius:.0f} °C: it slows itself down and ages", "more air in the cabinet, a heat sink, less sun"
        )
    elif machine.celsius is not None and machine.celsius >= WARM_CELSIUS:
        yield warning(
            f"the processor has {machine.celsius:.0f} °C, near where it slows down", "more air in the cabinet, a heat sink, less sun"
        )
    if not machine.limited:
        yield warning(
            "the kernel limits no unit's memory: MemoryMax= does not hold, and a process that grows takes the machine with it",
            "write cgroup_enable=memory at the end of the line in /boot/firmware/cmdline.txt, then restart the machine",
        )
    if machine.throttled & _UNDER_VOLTAGE:
        yield error(
            "the supply's voltage is or was too low: readings stall and disks lose writes",
            "use the supply of the maker, a short thick cable, fewer USB devices",
        )


def _controllers(path: Path) -> list[str]:
    """Of control groups, version 2; where there is another one, nothing is known to be missing."""
    try:
        return path.read_text(encoding="ascii").split()
    except OSError:
        return ["memory"]


def _number(path: Path, base: int = 10) -> int | None:
    try:
        return int(path.read_text(encoding="ascii").strip(), base)
    except (OSError, ValueError):
        return None
