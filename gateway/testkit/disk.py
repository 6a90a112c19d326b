"""Disks that fill up, or fail when they are told to: mounted for real, so it takes root and, for those that fail, nbdkit."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

TOOLS = ("nbdkit", "nbdfuse", "losetup", "mkfs.ext4", "mount", "fusermount3")
NEEDS = "a part of make faults; needs root, nbdkit, libnbd-bin, fuse3 and e2fsprogs"


def can_fail() -> bool:
    """Whether `SickDisk` works here, and is wanted: `make faults` sets LINESIDE_DISKS."""
    return "LINESIDE_DISKS" in os.environ and not os.geteuid() and all(map(shutil.which, TOOLS))


@contextmanager
def mounted_memory(folder: Path, megabytes: int, *options: str) -> Iterator[bool]:
    """A file system of so many megabytes in memory; False: it could not be mounted."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", ",".join((f"size={megabytes}m", *options)), "lineside", str(folder)]
    if os.geteuid() or subprocess.run(command, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


class SickDisk:
    """ext4 on a loop device on an NBD server, mounted at `folder`. `fail` and `heal` it.

    `remount` forgets what is only in the kernel's memory.
    """

    def __init__(self, work: Path, *options: str) -> None:
        self._work, self.folder, self._trigger = work, work / "mnt", work / "err"
        image, self._fuse, socket = work / "disk.img", work / "fuse", work / "socket"
        for folder in (self.folder, self._fuse):
            folder.mkdir()
        with image.open("wb") as file:
            file.truncate(48 << 20)
        _run("mkfs.ext4", "-q", "-F", *options, str(image))
        error = ("error=EIO", "error-rate=100%", f"error-file={self._trigger}")
        self._kit = subprocess.Popen(["nbdkit", "-f", "-U", str(socket), "--filter=error", "file", str(image), *error])
        _wait(socket.exists)
        self._nbd = subprocess.Popen(["nbdfuse", str(self._fuse), "--unix", str(socket)])
        _wait((self._fuse / "nbd").exists)
        self._loop = subprocess.check_output(["losetup", "-f", "--show", str(self._fuse / "nbd")], text=True).strip()
        _run("mount", self._loop, str(self.folder))

    def fail(self) -> None:
        self._trigger.touch()

    def give_up(self) -> None:
        """Use the failing disk until the file system has become read-only; without a journal it never does."""

        def refuses() -> bool:
            try:
                with (self.folder / "probe").open("wb") as file:
                    os.fsync(file.fileno())
            except OSError as exc:
                return exc.errno == errno.EROFS
            return False

        _wait(refuses)

    def heal(self) -> None:
        self._trigger.unlink()

    @contextmanager
    def after_a_power_cut(self) -> Iterator[Path]:
        """What is really on the disk now, mounted elsewhere: nothing that only the kernel's memory holds."""
        image, folder = self._work / "cut.img", self._work / "cut"
        shutil.copyfile(self._work / "disk.img", image)
        subprocess.run(["fsck.ext4", "-fy", str(image)], capture_output=True, check=False)
        folder.mkdir(exist_ok=True)
        _run("mount", "-o", "loop", str(image), str(folder))
        try:
            yield folder
        finally:
            _run("umount", str(folder))

    def remount(self, *, repair: bool = False) -> None:
        _run("umount", str(self.folder))
        if repair:
            subprocess.run(["fsck.ext4", "-fy", self._loop], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        _run("mount", self._loop, str(self.folder))

    def close(self) -> None:
        self._trigger.unlink(missing_ok=True)
        for command in (["umount", "-l", str(self.folder)], ["losetup", "-d", self._loop], ["fusermount3", "-uz", str(self._fuse)]):
            subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
        for process in (self._nbd, self._kit):
            process.terminate()
            process.wait(10)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)
