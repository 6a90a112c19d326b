"""What a gateway does not carry when it does not need it."""

from __future__ import annotations

import subprocess
import sys

HEAVY = (
    "asyncua",
    "cryptography",
    "narwhals",
    "nkeys",
    "paho",
    "pandas",
    "prometheus_client",
    "pymodbus",
    "river",
    "ruamel",
    "scipy",
    "sqlite_utils",
)
"""Of sources, detectors, uplinks, of a scraper, of commands, of a fresh state folder."""


def test_an_ordinary_gateway_imports_nothing_heavy() -> None:
    probe = f"""
import sys, gateway.cli, gateway.commands.run, gateway.uplink.nats.uplink, models.limit.detector
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


def test_threads_share_one_heap() -> None:
    """Memory of malloc's that threads took lies in the heap of the process: glibc maps 64 MB for another one."""
    probe = """
import re, threading
from pathlib import Path
from gateway.commands.run import one_heap
one_heap()
kept = []
threads = [threading.Thread(target=lambda: kept.append([bytes(5000) for _ in range(200)])) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
reserved = re.findall("^([0-9a-f]+)-([0-9a-f]+) ---p", Path("/proc/self/maps").read_text(), re.M)
sizes = [int(end, 16) - int(start, 16) for start, end in reserved]
print(sum(60 << 20 < size < 64 << 20 for size in sizes))
"""
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["0"]
