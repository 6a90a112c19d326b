"""How much of the file in work is on disk already, so that a restart begins behind it."""

from __future__ import annotations

import json
import os
from hashlib import blake2b
from pathlib import Path

import msgspec

HEAD_BYTES = 65_536


class Progress(msgspec.Struct, frozen=True):
    """Of one file. It is the same file if number and head are the same: another one of its name begins at its first row.

    head_bytes, digest   of the beginning, which does not change while a writer appends
    rows                 of the beginning that were taken or refused, and committed
    refused, told        how many of them were refused, and the first of these in words
    """

    name: str
    inode: int
    head_bytes: int
    digest: str
    rows: int = 0
    refused: int = 0
    told: tuple[str, ...] = ()


def begin(path: Path) -> Progress:
    """Raises OSError."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        inode = os.fstat(file.fileno()).st_ino
    return Progress(path.name, inode, len(head), _digest(head))


def is_same(progress: Progress, path: Path) -> bool:
    """Raises OSError, but for a file that is not there."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_ino == progress.inode and _digest(file.read(progress.head_bytes)) == progress.digest
    except FileNotFoundError:
        return False


class ProgressFile:
    """On disk, replaced at once. Raises OSError.

    By `json`, for it takes names that are no UTF-8: a share of another system has such files, and msgspec refuses them.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "progress.json"

    def load(self) -> Progress | None:
        try:
            return msgspec.convert(json.loads(self._path.read_bytes()), Progress)
        except (FileNotFoundError, ValueError, msgspec.ValidationError):
            return None

    def save(self, progress: Progress) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(json.dumps(msgspec.to_builtins(progress)).encode())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def clear(self) -> None:
        self._path.unlink(missing_ok=True)


def _digest(head: bytes) -> str:
    return blake2b(head, digest_size=16).hexdigest()
