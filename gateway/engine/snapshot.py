"""Detector state on disk: checksummed, replaced atomically, never a pickle."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from zlib import crc32

log = logging.getLogger("lineside")
_MAGIC = b"LSSTATE1"


class Snapshots:
    """One file per watch in `folder`. A damaged file is the same as none, but it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            raw = path.read_bytes()
        except FileNotFoundError:
            return None
        if raw[:8] != _MAGIC or crc32(raw[12:]) != int.from_bytes(raw[8:12], "big"):
            log.warning("detector state damaged, starting fresh", extra={"fields": {"watch": name, "file": path.name}})
            return None
        return raw[12:]

    def save(self, name: str, state: bytes) -> None:
        """Temp file, fsync, rename, fsync of the folder: after a power cut either the old or the new state is there."""
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        temporary = path.with_suffix(".new")
        with temporary.open("wb") as file:
            file.write(_MAGIC + crc32(state).to_bytes(4, "big") + state)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.state"
