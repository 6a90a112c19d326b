"""Detector state on disk: checksummed, replaced atomically, never a pickle."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path
from zlib import crc32

log = logging.getLogger("lineside")
_MAGIC = b"LSSTATE1"
_HEADER = len(_MAGIC) + 4


class Snapshots:
    """One file per watch in `folder`. A damaged file is the same as none, but it is told."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self, name: str) -> bytes | None:
        path = self._path(name)
        problem: str | None
        try:
            raw = path.read_bytes()
            problem = _problem(raw)
        except FileNotFoundError:
            return None
        except OSError as exc:
            problem = exc.strerror
        if problem is None:
            return raw[_HEADER:]
        log.warning("detector state damaged, starting fresh", extra={"fields": {"watch": name, "file": path.name, "why": problem}})
        return None

    def save(self, name: str, state: bytes) -> None:
        """Temp file, fsync, rename, fsync of the folder: after a power cut either the old or the new state is there.

        raises OSError   the disk is full or refuses; the old state is untouched
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(name)
        temporary = path.with_suffix(".new")
        try:
            with temporary.open("wb") as file:
                file.write(_MAGIC + crc32(state).to_bytes(4, "big") + state)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except OSError:
            with suppress(OSError):  # what is left of it would keep a full disk full
                temporary.unlink()
            raise
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.state"


def _problem(raw: bytes) -> str | None:
    if raw[: len(_MAGIC)] != _MAGIC or len(raw) < _HEADER:
        return "not a state file"
    return None if crc32(raw[_HEADER:]) == int.from_bytes(raw[len(_MAGIC) : _HEADER], "big") else "checksum"
