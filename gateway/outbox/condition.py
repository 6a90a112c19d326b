"""How the disk behind the outbox is: what an error of SQLite says of it, and since when. No I/O but for one look at the file system."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from pathlib import Path
from typing import Literal, TypeAlias

from gateway.contract import Clock

log = logging.getLogger("lineside")
StorageState: TypeAlias = Literal["storing", "full", "read_only", "locked", "failing"]
REMEDIES: dict[StorageState, str] = {
    "full": "make room on the disk; it goes on by itself",
    "read_only": "look into the kernel's log (dmesg), check the file system (fsck), replace the disk if it is worn; it goes on by itself "
    "when it can write again",
    "locked": "another program holds the outbox; end it (fuser -v outbox.db)",
    "failing": "look into the kernel's log (dmesg); replace the disk; it goes on by itself when the disk takes what is written",
}
_FULL, _READ_ONLY = "SQLITE_FULL", "SQLITE_READONLY"
_PASSING = (_FULL, "SQLITE_ERROR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_INTERRUPT", "SQLITE_NOMEM", "SQLITE_TOOBIG")
_HARDLY_ANY = 64 << 10
"""Bytes; with less free, SQLite's shared memory file cannot be made either, which it reports as an I/O error."""


_ERRNO = {errno.EROFS: _READ_ONLY, errno.ENOSPC: _FULL, errno.EDQUOT: _FULL}


def code(error: sqlite3.Error) -> str:
    """Its name, such as ``SQLITE_IOERR_FSYNC``; empty for an error that is not SQLite's own, nor one of the disk."""
    found: str = getattr(error, "sqlite_errorname", "")
    if not found and isinstance(error.__cause__, OSError):
        found = _ERRNO.get(error.__cause__.errno or 0, "SQLITE_IOERR")
    return found


def means_full(error: sqlite3.Error) -> bool:
    """The disk has no room, or perhaps none for a file of a few kilobytes."""
    return code(error) in (_FULL, "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_SHMOPEN")


def is_passing(error: sqlite3.Error) -> bool:
    """Before the commit it leaves the connection as good as it was; any other error says that file and memory may differ."""
    return code(error).startswith(_PASSING)


class Condition:
    """Whether the outbox stores, told in the log when it changes.

    state      what is wrong; `why` SQLite's words for it, empty while it stores
    since_ns   of the last change; 0: none since the start
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.state: StorageState = "storing"
        self.why, self.since_ns = "", 0

    @property
    def remedy(self) -> str:
        """For people; empty while it stores."""
        return REMEDIES.get(self.state, "")

    def failed(self, error: sqlite3.Error) -> None:
        """A commit or what comes before it failed. Told once for each state."""
        state = self._state(error)
        if state != self.state:
            self.state, self.since_ns = state, self._clock.now_ns()
            facts = {"state": state, "why": str(error), "code": code(error), "remedy": REMEDIES[state]}
            log.error("outbox cannot write", extra={"fields": facts})
        self.why = str(error)

    def works(self) -> None:
        """Something was stored."""
        if self.why:
            seconds = (self._clock.now_ns() - self.since_ns) / 1e9
            log.info("outbox writes again", extra={"fields": {"after_seconds": round(seconds, 1)}})
            self.state, self.why, self.since_ns = "storing", "", self._clock.now_ns()

    def _state(self, error: sqlite3.Error) -> StorageState:
        name = code(error)
        if name == _FULL:
            return "full"
        if name.startswith(_READ_ONLY):
            return "read_only"
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return "locked"
        try:
            found = os.statvfs(self._folder)
        except OSError:
            return "failing"
        if found.f_flag & os.ST_RDONLY:
            return "read_only"
        return "full" if name and found.f_bavail * found.f_frsize < _HARDLY_ANY else "failing"
