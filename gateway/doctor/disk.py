"""The disk under the state folder: room, kind of file system, wear."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning

_MEMORY, _NETWORK, _WEAK = ("tmpfs", "ramfs", "overlay"), ("nfs", "nfs4", "cifs", "9p"), ("vfat", "exfat", "ntfs", "ntfs3", "fuseblk")
_WORN = 8
"""Of 10 in JEDEC's DEVICE_LIFE_TIME_EST: 70 to 80 % of the life are used."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """free_bytes, free_inodes   inodes -1: the file system has no limit
    life    tenths used as an eMMC says (JEDEC 84-B51), 0: it does not say
    """

    folder: Path
    free_bytes: int
    free_inodes: int
    kind: str
    read_only: bool
    device: str
    is_sd_card: bool
    life: int


def read(folder: Path, root: Path = Path("/")) -> Disk:
    """Raises OSError. `root` is where /proc and /sys are, for tests."""
    usage = os.statvfs(folder)
    kind, options, device, number = _mount(folder, (root / "proc/self/mountinfo").read_text(encoding="utf-8"))
    block = _block(root, number)
    return Disk(
        folder=folder,
        free_bytes=usage.f_bavail * usage.f_frsize,
        free_inodes=usage.f_favail if usage.f_files else -1,
        kind=kind,
        read_only=bool(usage.f_flag & os.ST_RDONLY) or "ro" in options,
        device=device,
        is_sd_card=_text(block / "device/type") == "SD",
        life=max((int(word, 16) for word in _text(block / "device/life_time").split()), default=0),
    )


def judge(disk: Disk, *, min_free_bytes: int, max_outbox_bytes: int) -> Iterator[Finding]:
    """The limits are those of the configuration's buffer."""
    where = f"{disk.folder} ({disk.kind} on {disk.device})"
    if disk.read_only:
        yield error(
            f"{where} is read-only: nothing is stored",
            "dmesg says why; after a disk error: fsck, then mount it again or replace the medium",
        )
    if disk.free_bytes < min_free_bytes:
        yield error(
            f"{where} has {disk.free_bytes >> 20:,} MB free, less than min_free_megabytes: the outbox may not grow",
            "delete outbox.db.damaged-* and old backups, or move other things away",
        )
    elif disk.free_bytes < min_free_bytes + max_outbox_bytes // 4:
        yield warning(
            f"{where} has {disk.free_bytes >> 20:,} MB free, too little for a long outage",
            "make room, or lower deliver.buffer.max_megabytes",
        )
    if 0 <= disk.free_inodes < 1000:
        yield error(
            f"{where} has only {disk.free_inodes} inodes left: no new file can be made", "df -i finds where the many small files are"
        )
    if disk.kind in _MEMORY:
        yield error(
            f"{where} is in memory: everything is lost with the power",
            "put the state folder on the data partition (firmware-config/overlayroot)",
        )
    if disk.kind in _NETWORK:
        yield error(f"{where} is over the network: SQLite's locks and fsync do not hold there", "keep the state folder on a local disk")
    if disk.kind in _WEAK:
        yield error(f"{where} survives no power cut and keeps no file modes", "use ext4")
    if disk.is_sd_card:
        yield warning(
            f"{where} is an SD card: many of them lose what they acknowledged at a power cut, and wear out",
            "use eMMC, an SSD or an industrial card; take backups elsewhere",
        )
    if disk.life >= _WORN:
        yield warning(
            f"{where} has used {(disk.life - 1) * 10} to {disk.life * 10} % of its life, as it says itself",
            "plan its replacement; lineside backup",
        )


def _mount(folder: Path, mounts: str) -> tuple[str, list[str], str, str]:
    """Kind, options, device and its number of the longest mount point above the folder. Source: proc_pid_mountinfo(5)."""
    best: tuple[int, str, list[str], str, str] = (-1, "unknown", [], "unknown", "")
    here = folder.resolve()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, last = before.split(), after.split()
        place = Path(fields[4].encode().decode("unicode_escape"))
        if len(place.parts) >= best[0] and (place == here or place in here.parents):
            best = len(place.parts), last[0], fields[5].split(",") + last[2].split(","), last[1], fields[2]
    return best[1:]


def _block(root: Path, number: str) -> Path:
    """The whole device; of a partition, its parent."""
    block = (root / "sys/dev/block" / number).resolve()
    return block.parent if (block / "partition").exists() else block


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
