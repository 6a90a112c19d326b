"""Files that must survive a power cut: written beside, synced, renamed; the folder is synced too."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO


@contextmanager
def replacing(path: Path, *, mode: int = 0o600) -> Iterator[IO[bytes]]:
    """A file to write that takes `path`'s place when the block ends well. Written as root it belongs to whom its folder belongs: the
    gateway has to read it.

    raises OSError   the disk is full or refuses, or a device or a pipe has that name (root would put a file in the place of `/dev/null`);
                     what was there is untouched and nothing is left behind
    """
    if path.exists() and not path.is_file():
        raise FileExistsError(errno.EEXIST, "it is there, and no file", str(path))
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    with suppress(FileNotFoundError):
        beside.unlink()  # of a process that had this number and was killed
    descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            os.fchmod(file.fileno(), mode)
            if os.geteuid() == 0:
                owner = path.parent.stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink()
        raise
    sync(path.parent)


def write(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """See `replacing`."""
    with replacing(path, mode=mode) as file:
        file.write(content)


def sync(folder: Path) -> None:
    """Make renames in it last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
