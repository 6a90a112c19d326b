"""The wall clock of one daemon, moved while it runs: clockskew.c, compiled once."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "clockskew.c"
BUILT = Path(__file__).parents[3] / "build" / "faults"


class Skew:
    """`env` goes into the daemon's; `set` counts at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "skew"
        self._file.write_bytes(struct.pack("d", 0.0))
        self.env = {"LD_PRELOAD": str(library()), "CLOCKSKEW_FILE": str(self._file)}

    def set(self, seconds: float) -> None:
        """The daemon's wall clock is ahead by so much; negative: behind."""
        descriptor = os.open(self._file, os.O_WRONLY)
        try:
            os.pwrite(descriptor, struct.pack("d", seconds), 0)
        finally:
            os.close(descriptor)


def library() -> Path:
    """Built anew when the source has changed."""
    name = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    built = BUILT / f"clockskew-{name}.so"
    if not built.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(built), str(SOURCE), "-lm"], check=True, capture_output=True)
    return built
