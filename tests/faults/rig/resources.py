"""What a process and its state folder took, from /proc and the file system."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Peaks:
    """The highest that was seen. rss_mb and disk_mb in 10^6 bytes."""

    rss_mb: float = 0.0
    disk_mb: float = 0.0
    fds: int = 0
    threads: int = 0

    def look(self, pid: int, state: Path) -> None:
        """A process that has just ended is passed over."""
        with suppress(OSError, ValueError):
            status = Path(f"/proc/{pid}/status").read_text()
            self.rss_mb = max(self.rss_mb, _number(status, "VmHWM") * 1024 / 1e6)
            self.threads = max(self.threads, _number(status, "Threads"))
            self.fds = max(self.fds, len(os.listdir(f"/proc/{pid}/fd")))
        self.disk_mb = max(self.disk_mb, used_bytes(state) / 1e6)


def resident_mb(pid: int) -> float:
    """Now; 0.0 when it is gone."""
    try:
        return _number(Path(f"/proc/{pid}/status").read_text(), "VmRSS") * 1024 / 1e6
    except (OSError, ValueError):
        return 0.0


def used_bytes(folder: Path) -> int:
    """Of all files below it, as the disk counts them."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found += os.lstat(os.path.join(place, name)).st_blocks * 512
    return found


def _number(status: str, name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    if found is None:
        raise ValueError(name)
    return int(found[1])
