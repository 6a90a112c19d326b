"""One gateway per state folder."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.contract import ConfigError
from gateway.supervisor import Unusable

_PASSING = (errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO)


class NotNow(Unusable):
    """The disk does not take anything at the moment. The process ends; a later start may succeed without anybody changing a file."""


@contextmanager
def state_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the kernel lets it go with the process.

    raises ConfigError   it cannot be had
    raises NotNow        the disk refuses
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a+")
    except OSError as exc:
        why = f"the state folder {folder} cannot be used: {exc.strerror}"
        raise (NotNow(why) if exc.errno in _PASSING else ConfigError(why)) from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise ConfigError(f"another gateway runs with the state folder {folder}") from exc
        _write_pid(file.fileno())
        yield


def held(folder: Path, locks: Path = Path("/proc/locks")) -> bool:
    """A gateway runs with this folder, as the kernel's list of locks says: trying the lock would get into the way of one that starts.

    Raises OSError when one cannot look.
    """
    try:
        inode = (folder / "lock").stat().st_ino
    except FileNotFoundError:
        return False
    return any(f":{inode} " in line and " FLOCK " in line for line in locks.read_text(encoding="ascii").splitlines())


def holder(folder: Path) -> int:
    """Process that holds it; 0: nobody does, or nobody knows. Raises OSError."""
    text = (folder / "lock").read_text(encoding="ascii", errors="replace").strip() if held(folder) else ""
    return int(text) if text.isdigit() else 0


def _write_pid(descriptor: int) -> None:
    """For people; a full disk is no reason not to start."""
    with suppress(OSError):
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
