"""Puts prepared files in the place of what is there, all or nothing, on any file system and also where the folder is a mount.

Everything new lies in ``.restore`` of its folder. With the journal there, it is decided: killed anywhere after, `finish` goes on
where it was; killed before, nothing has changed. What was there is kept in ``before-restore-<time>``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from gateway.durable import sync, write
from gateway.life.contents import BEFORE, OF_MACHINE, STAGING

_JOURNAL = "journal.json"
_KEPT = (*OF_MACHINE, STAGING)
"""At the top of the state folder, besides what earlier restores put aside."""


class Folder(msgspec.Struct, frozen=True):
    """What goes into `path`, and what of it is there and has to go first; names relative to it."""

    path: str
    new: list[str]
    old: list[str]


class Journal(msgspec.Struct, frozen=True):
    """The state folder is the first one."""

    stamp: str
    folders: list[Folder]


def staging(folder: Path) -> Path:
    return folder / STAGING


def discard(folder: Path) -> None:
    """What a restore left that was not decided."""
    if staging(folder).exists():
        shutil.rmtree(staging(folder))


def decide(state_dir: Path, others: Sequence[tuple[Path, Sequence[str]]], stamp: str) -> None:
    """Everything lies in the stagings and is on disk. `others`: folders of which only the named files are replaced."""
    new = sorted(path.name for path in staging(state_dir).iterdir())
    old = sorted(path.name for path in state_dir.iterdir() if path.name not in _KEPT and not path.name.startswith(BEFORE))
    folders = [Folder(str(state_dir), new, old)]
    folders += [Folder(str(path), list(names), [name for name in names if (path / name).exists()]) for path, names in others]
    os.sync()
    write(staging(state_dir) / _JOURNAL, msgspec.json.encode(Journal(stamp, folders)))


def decided(state_dir: Path) -> Journal | None:
    """A restore that was decided and is not finished. Raises OSError."""
    try:
        return msgspec.json.decode((staging(state_dir) / _JOURNAL).read_bytes(), type=Journal)
    except FileNotFoundError:
        return None


def finish(state_dir: Path) -> bool:
    """Do what was decided; True: there was something. The caller holds the folder's lock. Raises OSError."""
    journal = decided(state_dir)
    if journal is None:
        return False
    for folder in journal.folders:
        _swap(Path(folder.path), folder, f"{BEFORE}{journal.stamp}")
    (staging(state_dir) / _JOURNAL).unlink()
    for folder in journal.folders:
        discard(Path(folder.path))
    return True


def _swap(place: Path, folder: Folder, aside: str) -> None:
    """Each step looks whether it was done already."""
    for name in dict.fromkeys([*folder.old, *folder.new]):
        there, fresh, before = place / name, staging(place) / name, place / aside / name
        if name in folder.old and not before.exists() and there.exists():
            _make(before.parent, place)
            there.rename(before)
        if fresh.exists():
            _make(there.parent, place)
            fresh.rename(there)
    sync(place)


def _make(folder: Path, top: Path) -> None:
    """Down from `top`, each with its owner; what is put aside is nobody's business but the owner's."""
    if folder == top or folder.exists():
        return
    _make(folder.parent, top)
    folder.mkdir(mode=0o700)
    give_to_owner_of(top, folder)


def give_to_owner_of(folder: Path, path: Path) -> None:
    """Root restores, the gateway's account reads."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
