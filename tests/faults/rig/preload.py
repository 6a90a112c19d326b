"""Small C libraries that are preloaded into one daemon: its wall clock, and its writes."""

from __future__ import annotations

import hashlib
import os
import struct
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parents[1]
BUILT = Path(__file__).parents[3] / "build" / "faults"


class Skew:
    """`env` goes into the daemon's; `set` counts at once."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "skew"
        self._file.write_bytes(struct.pack("d", 0.0))
        self.env = {"LD_PRELOAD": str(library("clockskew")), "CLOCKSKEW_FILE": str(self._file)}

    def set(self, seconds: float) -> None:
        """The daemon's wall clock is ahead by so much; negative: behind."""
        _put(self._file, struct.pack("d", seconds))


class WriteFault:
    """Writes below `state` fail when told to. `env` goes into the daemon's."""

    def __init__(self, folder: Path, state: Path) -> None:
        self._file = folder / "iofault"
        self._file.write_bytes(struct.pack("qqq", -1, 0, 0))
        self.env = {"LD_PRELOAD": str(library("iofault")), "IOFAULT_FILE": str(self._file), "IOFAULT_FOLDER": str(state)}

    def after(self, writes: int, number: int) -> None:
        """The `writes`-th write from now, and every one after it, fails with this errno."""
        _put(self._file, struct.pack("qqq", writes, number, 0))

    def heal(self) -> None:
        _put(self._file, struct.pack("q", -1))

    @property
    def failed(self) -> int:
        """Calls that have failed since it was told to."""
        return int(struct.unpack("qqq", self._file.read_bytes())[2])


def library(name: str) -> Path:
    """Built anew when the source has changed."""
    source = SOURCES / f"{name}.c"
    built = BUILT / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}.so"
    if not built.exists():
        BUILT.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", str(built), str(source), "-lm"], check=True, capture_output=True)
    return built


def _put(path: Path, what: bytes) -> None:
    """In place: it is mapped."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(descriptor, what, 0)
    finally:
        os.close(descriptor)
