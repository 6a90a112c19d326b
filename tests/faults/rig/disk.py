"""Disks for the state folder that can be cut off, made sick, or filled. Root; nbdkit, nbdfuse, ext4 on a loop device."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from rig.table import PATH

PLUGIN = Path(__file__).with_name("volatile_disk.py")
NEEDS = ("root", "nbdkit", "nbdfuse", "fusermount3", "losetup", "mkfs.ext4", "e2fsck")
_ENVIRONMENT = os.environ | {"PATH": PATH}


class PowerDisk:
    """ext4 at `mount`, on a disk with a volatile write cache: see volatile_disk.py.

    lying   it acknowledges flushes and does nothing, as cheap cards do
    """

    def __init__(self, folder: Path, *, megabytes: int = 48, lying: bool = False) -> None:
        self.mount, self._fuse, self._control = folder / "mnt", folder / "fuse", folder / "control"
        self._image, self._socket = folder / "disk.img", folder / "nbd"
        self._lying, self._size = lying, megabytes << 20
        self._kit: subprocess.Popen[bytes] | None = None
        self._nbdfuse: subprocess.Popen[bytes] | None = None
        self._loop = ""

    def __enter__(self) -> Self:
        for folder in (self.mount, self._fuse, self._control):
            folder.mkdir(parents=True)
        self._log = (self._image.with_name("nbd.log")).open("ab")
        with self._image.open("wb") as file:
            file.truncate(self._size)
        _run("mkfs.ext4", "-q", "-F", str(self._image))
        try:
            self.power_on()
        except BaseException:
            self.power_off()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.power_off()
        self._log.close()

    def power_on(self) -> None:
        """Raises RuntimeError when ext4 cannot be mounted any more."""
        for name in ("cut", "sick", "lying"):
            (self._control / name).unlink(missing_ok=True)
        if self._lying:
            (self._control / "lying").touch()
        self._socket.unlink(missing_ok=True)
        words = ["nbdkit", "-f", "-U", str(self._socket), "python", str(PLUGIN), f"image={self._image}", f"control={self._control}"]
        self._kit = subprocess.Popen(words, env=_ENVIRONMENT, stderr=self._log)
        _wait(self._listens, "nbdkit")
        self._nbdfuse = subprocess.Popen(["nbdfuse", str(self._fuse), "--unix", str(self._socket)], env=_ENVIRONMENT, stderr=self._log)
        _wait((self._fuse / "nbd").exists, "nbdfuse")
        self._loop = _run("losetup", "-f", "--show", str(self._fuse / "nbd")).strip()
        _run("mount", self._loop, str(self.mount))

    def _listens(self) -> bool:
        """The file is there a moment before anybody listens."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self._socket))
            return True
        return False

    def back_somehow(self) -> bool:
        """As at a boot: examined first, and made anew when there is nothing to mend. Whether it had to be."""
        subprocess.run(["e2fsck", "-fy", str(self._image)], check=False, capture_output=True, env=_ENVIRONMENT)
        try:
            self.power_on()
        except RuntimeError:
            self.power_off()
            _run("mkfs.ext4", "-q", "-F", str(self._image))
            self.power_on()
            return True
        return False

    def cut(self, seed: int, share: float) -> None:
        """The power goes, now; what was not flushed survives by this share. `power_off` and `power_on` bring back what is left."""
        left = self._image.with_name("left.img")
        request = self._control / "cut"
        request.with_name("cut.new").write_text(f"{seed} {share} {left}")
        request.with_name("cut.new").rename(request)
        _wait(lambda: not request.exists(), "the power cut")
        left.rename(self._image)

    def sick(self) -> None:
        """Writes and flushes fail with EIO from now on; ext4 becomes read-only when its journal does not get through."""
        (self._control / "sick").touch()

    def heal(self) -> None:
        """Writes work again, the file system is examined and mounted anew at the same place; who had files open there has the old ones."""
        (self._control / "sick").unlink(missing_ok=True)
        _run("umount", "-l", str(self.mount))
        again = _run("losetup", "-f", "--show", str(self._fuse / "nbd")).strip()
        subprocess.run(["e2fsck", "-fy", again], check=False, capture_output=True, env=_ENVIRONMENT)
        _run("mount", again, str(self.mount))
        subprocess.run(["losetup", "-d", self._loop], check=False, capture_output=True, env=_ENVIRONMENT)
        self._loop = again

    def power_off(self) -> None:
        """Nobody may have files open here any more."""
        quiet = {"check": False, "capture_output": True, "env": _ENVIRONMENT}
        subprocess.run(["umount", str(self.mount)], **quiet)  # type: ignore[call-overload]
        subprocess.run(["umount", "-l", str(self.mount)], **quiet)  # type: ignore[call-overload]
        if self._loop:
            subprocess.run(["losetup", "-d", self._loop], **quiet)  # type: ignore[call-overload]
        subprocess.run(["fusermount3", "-u", "-z", str(self._fuse)], **quiet)  # type: ignore[call-overload]
        for process in (self._nbdfuse, self._kit):
            if process is not None:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        self._kit = self._nbdfuse = None
        self._loop = ""


class SmallDisk:
    """A file system in memory of this size at `mount`, which `fill` leaves no room in."""

    def __init__(self, folder: Path, *, megabytes: int = 32) -> None:
        self.mount, self._megabytes = folder / "small", megabytes

    def __enter__(self) -> Self:
        self.mount.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self._megabytes}M", "tmpfs", str(self.mount))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        subprocess.run(["umount", "-l", str(self.mount)], check=False, capture_output=True, env=_ENVIRONMENT)

    def fill(self, leave: int = 0) -> None:
        """Nobody gets more than `leave` bytes any more."""
        with (self.mount / "ballast").open("ab", buffering=0) as file:
            room = shutil.disk_usage(self.mount).free - leave
            with suppress(OSError):
                while room > 0:
                    room -= file.write(b"\0" * min(room, 1 << 20))

    def free(self) -> None:
        (self.mount / "ballast").unlink(missing_ok=True)


def _run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=_ENVIRONMENT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words[:2])}: {done.stderr.strip()}")
    return done.stdout


def _wait(condition: object, what: str, seconds: float = 20.0) -> None:
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError(f"{what}: not within {seconds:g} s")
        time.sleep(0.01)
