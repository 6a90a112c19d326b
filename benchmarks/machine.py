"""The two cores, and what a process has used: CPU seconds and resident memory, from /proc."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

GATEWAY_CORE, OTHER_CORE = 1, 0
_TICKS = os.sysconf("SC_CLK_TCK")


def pin_others() -> None:
    """This process, and so all it starts: the core that is not the gateway's."""
    if (os.cpu_count() or 1) < 2:
        raise SystemExit("the benchmarks need two cores: one for the gateway, one for everything else")
    os.sched_setaffinity(0, {OTHER_CORE})


def pin_gateway() -> None:
    """For `preexec_fn` of the process under test."""
    os.sched_setaffinity(0, {GATEWAY_CORE})


def cpu_seconds(pid: int, thread: int | None = None) -> float:
    """User and system time so far, of all threads or of one."""
    folder = f"/proc/{pid}" if thread is None else f"/proc/{pid}/task/{thread}"
    fields = Path(f"{folder}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def written_bytes(pid: int) -> int:
    """What the process has caused to be written to the disk."""
    found = re.search(r"^write_bytes: (\d+)", Path(f"/proc/{pid}/io").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def resident_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes)."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def fdatasync_ms() -> float:
    """Median of 4 KiB written and synced: what a commit cannot be faster than."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(40):
            file.write(b"\0" * 4096)
            file.flush()
            before = time.perf_counter()
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - before) * 1e3)
    return sorted(took)[20]


def describe() -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    system = f"{os.cpu_count()} cores {cpu[1] if cpu else platform.machine()}, {platform.system()} {platform.release()}"
    software = f"Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
    return f"{system}, {software}, fdatasync {fdatasync_ms():.2f} ms, load {os.getloadavg()[0]:.1f}"
