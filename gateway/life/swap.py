"""Puts prepared files in the place of what is there, all or nothing, on any file system and also where the folder is a mount.

Everything new lies in ``.restore`` of the state folder, and in ``.restore-<configuration>`` of the one of configurations, which gateways
may share. With the journal there, it is decided: killed anywhere after, `finish` goes on where it was; killed before, nothing has
changed. What was there is kept in ``before-restore-<time>``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from stat import S_ISDIR

import msgspec

from gateway.contract import ConfigError
from gateway.durable import sync, write
from gateway.life.contents import BEFORE, OF_MACHINE, STAGING, is_of_state
from gateway.owner import as_owner_of

_JOURNAL = "journal.json"
_KEPT = (*OF_MACHINE, STAGING)
"""At the top of the state folder, besides what earlier restores put aside."""


class Folder(msgspec.Struct, frozen=True):
    """What goes from `staging` into `path`, and what of it is there and has to go first; names relative to it."""

    path: str
    new: list[str]
    old: list[str]
    staging: str = STAGING


class Journal(msgspec.Struct, frozen=True):
    """The state folder is the first one."""

    stamp: str
    folders: list[Folder]


def staging(folder: Path, config: str = "") -> Path:
    """config   name of the configuration that `folder` is the folder of; empty: it is a state folder"""
    return folder / (f"{STAGING}-{config}" if config else STAGING)


def discard(place: Path) -> None:
    """What a restore left there that was not decided."""
    if place.exists():
        with as_owner_of(place.parent):
            shutil.rmtree(place)


def decide(state_dir: Path, config_dir: Path, config: str, names: Sequence[str], stamp: str) -> None:
    """Everything lies in the stagings and is on disk. Of the folder of configurations only the named files are replaced."""
    new = sorted(path.name for path in staging(state_dir).iterdir())
    there = sorted(path.name for path in state_dir.iterdir() if path.name not in _KEPT and not path.name.startswith(BEFORE))
    old = [name for name in there if is_of_state(name) or name in new]  # what somebody else put there stays
    _check_owners(state_dir, old)
    replaced = [name for name in names if os.path.lexists(config_dir / name)]
    folders = [Folder(str(state_dir), new, old), Folder(str(config_dir), list(names), replaced, staging(config_dir, config).name)]
    os.sync()
    with as_owner_of(state_dir):
        write(staging(state_dir) / _JOURNAL, msgspec.json.encode(Journal(stamp, folders)))


def _check_owners(state_dir: Path, names: Sequence[str]) -> None:
    """A folder can be moved by its owner only. Raises ConfigError."""
    owner = state_dir.stat().st_uid
    for name in names:
        found = (state_dir / name).lstat()
        if os.geteuid() == 0 and found.st_uid != owner and S_ISDIR(found.st_mode):
            raise ConfigError(
                f"{state_dir / name} is not the gateway's: root ran it once; run: sudo chown -R --reference={state_dir} {state_dir}"
            )


def decided(state_dir: Path) -> Journal | None:
    """A restore that was decided and is not finished. Raises OSError; ConfigError: no restore wrote this journal."""
    path = staging(state_dir) / _JOURNAL
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as exc:
        raise ConfigError(f"{path} is damaged: {exc}; restore again, after you have deleted its folder") from exc
    if "/" in journal.stamp or not all(_is_sound(folder, f"{BEFORE}{journal.stamp}") for folder in journal.folders):
        raise ConfigError(f"{path} was written by no restore; look who did, and delete its folder")
    return journal


def _is_sound(folder: Folder, aside: str) -> bool:
    """The journal lies in a folder of the gateway's account, and root does what it says: only where a restore has prepared something."""
    place, names = Path(folder.path), [*folder.new, *folder.old, folder.staging]
    inside = all(not os.path.isabs(name) and ".." not in Path(name).parts for name in names)
    ours = folder.staging.startswith(STAGING) and "/" not in folder.staging and (place / folder.staging).is_dir()
    return inside and ours and not any((place / each).is_symlink() for each in (folder.staging, aside))


def finish(state_dir: Path) -> bool:
    """Do what was decided; True: there was something. The caller holds the folder's lock. Raises OSError."""
    journal = decided(state_dir)
    if journal is None:
        return False
    for folder in journal.folders:
        with as_owner_of(Path(folder.path)):
            _swap(Path(folder.path), folder, f"{BEFORE}{journal.stamp}")
    with as_owner_of(state_dir):
        (staging(state_dir) / _JOURNAL).unlink()
    for folder in journal.folders:
        discard(Path(folder.path) / folder.staging)
    return True


def _swap(place: Path, folder: Folder, aside: str) -> None:
    """Each step looks whether it was done already."""
    for name in dict.fromkeys([*folder.old, *folder.new]):
        there, fresh, before = place / name, place / folder.staging / name, place / aside / name
        if name in folder.old and not os.path.lexists(before) and os.path.lexists(there):
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
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
