"""Decommissioning: what of ours is on this device is overwritten and deleted, keys first."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from gateway.durable import sync
from gateway.life.contents import BEFORE, SECRET_CONFIG, STAGING, holds_a_private_key

_CHUNK = 1 << 20
_LAST = "lock"


def found(state_dir: Path, config_dir: Path, *, configuration: bool) -> list[Path]:
    """Files in the order they go: secrets and keys, accounts, the rest; the lock last. Raises OSError for a folder that cannot be read."""
    files = [*_files(state_dir), *(path for path in _files(config_dir) if configuration or _is_secret(path, config_dir))]
    files = [path for path in dict.fromkeys(files) if path != state_dir / _LAST]
    return sorted(files, key=lambda path: _rank(path, config_dir)) + [path for path in [state_dir / _LAST] if path.exists()]


def erase(path: Path) -> None:
    """Overwrite once, where it lies, and delete. Raises OSError; the rest can be done again."""
    if stat.S_ISREG(path.lstat().st_mode):
        with path.open("r+b", buffering=0) as file:
            left = os.fstat(file.fileno()).st_size
            while left > 0:
                left -= file.write(os.urandom(min(left, _CHUNK)))
            os.fsync(file.fileno())
    path.unlink()


def remove_folders(top: Path) -> None:
    """Those below that are empty now; the folder itself stays: the package's."""
    for place, _, _ in os.walk(top, topdown=False):
        folder = Path(place)
        if folder != top and not any(folder.iterdir()):
            folder.rmdir()
    sync(top)


def _is_secret(path: Path, config_dir: Path) -> bool:
    parts = path.relative_to(config_dir).parts
    aside = [part for part in parts if part != STAGING and not part.startswith(BEFORE)]
    return aside[0] in SECRET_CONFIG or holds_a_private_key(path)


def _rank(path: Path, config_dir: Path) -> tuple[int, str]:
    if "pki" in path.parts or path.is_relative_to(config_dir) or holds_a_private_key(path):
        return 0, str(path)
    return (1 if path.name == "accounts.json" else 2), str(path)


def _files(folder: Path) -> Iterator[Path]:
    """Everything that is no folder, hidden or not; links themselves, not what they lead to."""

    def complain(error: OSError) -> None:
        raise error

    if folder.is_dir():
        for place, folders, names in os.walk(folder, onerror=complain):
            yield from (Path(place) / name for name in names)
            yield from (Path(place) / name for name in folders if (Path(place) / name).is_symlink())
