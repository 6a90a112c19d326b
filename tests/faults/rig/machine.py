"""What a reader must know of the machine a row ran on; nothing that names it."""

from __future__ import annotations

import os
import platform
import re
import sqlite3
import sys
from functools import cache
from pathlib import Path

from gateway import __version__


def version() -> str:
    return __version__


@cache
def describe() -> str:
    cpu = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    kernel = ".".join(platform.release().split(".")[:2])
    system = f"{os.cpu_count()} cores {cpu[1].strip() if cpu else platform.machine()}, {platform.system()} {kernel}"
    return f"{system}, Python {sys.version.split()[0]}, SQLite {sqlite3.sqlite_version}"
