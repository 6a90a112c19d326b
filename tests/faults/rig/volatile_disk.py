"""nbdkit plugin: a disk with a volatile write cache, which loses its power, its honesty or its health when a file asks for it.

What is written is read at once, but lasts only when FLUSH or FUA came after it. `control` holds:

  cut    "SEED SHARE FILE": into FILE goes what a power cut now would leave: what was flushed, and of the 512-byte sectors written
         since, this share, chosen by dice, so that writes are lost, torn and out of order. From then on everything fails.
         Removed when FILE is complete
  sick   as long as it is there, writes and flushes fail with EIO
  lying  as long as it is there, FLUSH is acknowledged and nothing is done
"""

from __future__ import annotations

import errno
import os
import random
import threading
from pathlib import Path

import nbdkit

API_VERSION = 2
SECTOR = 512


class Disk:
    """live: what is read; flushed: what lasts; dirty: sectors written since."""

    def __init__(self) -> None:
        self.image = self.control = ""
        self.live, self.flushed = bytearray(), bytearray()
        self.dirty: set[int] = set()
        self.lock = threading.Lock()
        self.dead = False

    def asked(self, name: str) -> bool:
        return os.path.exists(os.path.join(self.control, name))

    def obey(self) -> None:
        """Called with the lock held, before each write and flush, and by the watcher in between."""
        if self.dead or not self.asked("cut"):
            return
        request = Path(self.control, "cut")
        seed, share, out = request.read_text().split()
        dice, left = random.Random(int(seed)), bytearray(self.flushed)
        for sector in sorted(self.dirty):
            if dice.random() < float(share):
                left[sector * SECTOR : (sector + 1) * SECTOR] = self.live[sector * SECTOR : (sector + 1) * SECTOR]
        Path(out).write_bytes(left)
        self.dead = True
        request.unlink()

    def check(self) -> None:
        self.obey()
        if self.dead or self.asked("sick"):
            nbdkit.set_error(errno.EIO)
            raise RuntimeError("told to fail")

    def flush(self) -> None:
        if not self.asked("lying"):
            for sector in self.dirty:
                self.flushed[sector * SECTOR : (sector + 1) * SECTOR] = self.live[sector * SECTOR : (sector + 1) * SECTOR]
            self.dirty.clear()


disk = Disk()


def thread_model() -> int:
    return nbdkit.THREAD_MODEL_SERIALIZE_ALL_REQUESTS


def config(key: str, value: str) -> None:
    setattr(disk, key, value)


def config_complete() -> None:
    disk.live = bytearray(Path(disk.image).read_bytes())
    disk.flushed = bytearray(disk.live)


def after_fork() -> None:
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    pause = threading.Event()
    while not pause.wait(0.005):
        with disk.lock:
            disk.obey()


def open(readonly: bool) -> int:  # noqa: A001  nbdkit's name for it
    return 1


def get_size(handle: int) -> int:
    return len(disk.live)


def can_flush(handle: int) -> bool:
    return True


def can_fua(handle: int) -> int:
    return int(nbdkit.FUA_NATIVE)


def can_multi_conn(handle: int) -> bool:
    return True


def pread(handle: int, into: bytearray, offset: int, flags: int) -> None:
    with disk.lock:
        into[:] = disk.live[offset : offset + len(into)]


def pwrite(handle: int, given: bytes, offset: int, flags: int) -> None:
    with disk.lock:
        disk.check()
        end = offset + len(given)
        disk.live[offset:end] = given
        if flags & nbdkit.FLAG_FUA and not disk.asked("lying"):
            disk.flushed[offset:end] = given
        else:
            disk.dirty.update(range(offset // SECTOR, -(-end // SECTOR)))


def flush(handle: int, flags: int) -> None:
    with disk.lock:
        disk.check()
        disk.flush()
