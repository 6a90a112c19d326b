"""Room on the disk that is kept aside, so that a full disk still takes what must be noted: deliveries, the ledger, the end of incidents."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

log = logging.getLogger("lineside")
FILE_NAME = "reserve"
MARGIN_BYTES = 1 << 20
"""Free beside the reserve before it is taken: it must not be the reserve itself that fills the disk."""


class Reserve:
    """A file of so many bytes that nobody reads. Used on one thread at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        self._path, self.size = folder / FILE_NAME, size

    @property
    def held(self) -> int:
        """Bytes."""
        try:
            return self._path.stat().st_size
        except OSError:
            return 0

    def take(self, margin: int = MARGIN_BYTES) -> bool:
        """True: it is there, or none is wanted and the disk has `margin` free. The blocks are really allotted, not only promised."""
        if self.held == self.size > 0:
            return True
        try:
            found = os.statvfs(self._path.parent)
            if found.f_bavail * found.f_frsize < self.size - self.held + margin:
                return False
            if not self.size:
                self._path.unlink(missing_ok=True)
                return True
            self._allot()
        except OSError as exc:
            if exc.errno != errno.ENOSPC:
                log.warning("no room can be kept aside", extra={"fields": {"why": exc.strerror, "file": str(self._path)}})
            self.release()
            return False
        return True

    def _allot(self) -> None:
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(descriptor, self.size)
            os.posix_fallocate(descriptor, 0, self.size)
        finally:
            os.close(descriptor)

    def release(self) -> bool:
        """Give the room back to the disk; False: there was none."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
