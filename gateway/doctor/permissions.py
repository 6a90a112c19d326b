"""Who may read and write what is the gateway's, and whether its account may use the serial lines."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, a folder or a device; `mode` -1: it is not there."""

    path: Path
    mode: int
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, kw_only=True)
class Account:
    """The one the gateway runs as, or would run as."""

    name: str
    uid: int
    gids: frozenset[int]


def look(path: Path) -> Entry:
    """Raises PermissionError when one may not look."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return Entry(path=path, mode=-1)
    return Entry(path=path, mode=stat.S_IMODE(found.st_mode), uid=found.st_uid, gid=found.st_gid)


def account(name: str = "lineside") -> Account | None:
    """None: there is no such account, so the gateway runs as whoever starts it."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name=name, uid=entry.pw_uid, gids=frozenset(os.getgrouplist(name, entry.pw_gid)))


def secrets(config_dir: Path) -> list[Entry]:
    """Files of secrets, but for those in a folder of credentials that is closed itself: systemd hands them out.

    raises PermissionError   one may not look
    """
    folders = [config_dir / "secrets", config_dir / "credentials"]
    there = [folder for folder in folders if folder.is_dir() and (folder.name == "secrets" or look(folder).mode & 0o077)]
    return [look(path) for folder in there for path in sorted(folder.iterdir()) if path.is_file()]


def judge(state: Entry, config: Entry, private: Iterable[Entry], owner: Account | None) -> Iterator[Finding]:
    """private   secrets, accounts.json: nobody's but the owner's"""
    if state.mode < 0:
        yield error(f"there is no state folder {state.path}", "start the gateway once: systemd makes it; else make it with mode 0700")
    elif state.mode & 0o077:
        yield warning(
            f"the state folder {state.path} is open to others (mode {state.mode:04o}): events and keys are in it",
            f"sudo chmod 700 {state.path}",
        )
    if state.mode >= 0 and owner is not None and state.uid != owner.uid:
        yield error(
            f"the state folder {state.path} is not {owner.name}'s: the gateway cannot write", f"sudo chown -R {owner.name}: {state.path}"
        )
    if config.mode >= 0 and config.mode & 0o022:
        yield error(
            f"{config.path} can be changed by others (mode {config.mode:04o}): whoever can decides what is sent where",
            f"sudo chmod 640 {config.path}",
        )
    if config.mode >= 0 and owner is not None and not may_read(config, owner):
        yield error(
            f"{config.path} cannot be read by {owner.name}", f"sudo chgrp {owner.name} {config.path} && sudo chmod 640 {config.path}"
        )
    for entry in private:
        if entry.mode >= 0 and entry.mode & 0o077:
            yield error(
                f"{entry.path} can be read by others (mode {entry.mode:04o}); the gateway refuses such secrets",
                f"sudo chmod 600 {entry.path}",
            )
        elif entry.mode >= 0 and owner is not None and entry.path.parent.name == "secrets" and not may_read(entry, owner):
            yield error(f"{entry.path} cannot be read by {owner.name}", f"sudo chown -R {owner.name}: {entry.path.parent}")


def judge_serial(lines: Mapping[str, Entry], owner: Account | None) -> Iterator[Finding]:
    """lines   by machine"""
    for machine, entry in lines.items():
        if entry.mode < 0:
            yield error(
                f"the serial line {entry.path} of {machine} is not there", "plug it in; firmware-config/udev gives adapters names that stay"
            )
        elif owner is not None and not _may_use(entry, owner):
            yield error(
                f"{owner.name} may not use {entry.path} of {machine}",
                f"sudo usermod -aG {_group(entry.gid)} {owner.name}, then restart the gateway",
            )


def may_read(entry: Entry, owner: Account) -> bool:
    return allowed(entry, owner, 0o4)


def _may_use(entry: Entry, owner: Account) -> bool:
    return allowed(entry, owner, 0o6)


def allowed(entry: Entry, owner: Account, wanted: int) -> bool:
    """wanted   bits of a mode, as of its last digit"""
    shift = 6 if entry.uid == owner.uid else 3 if entry.gid in owner.gids else 0
    return entry.mode >> shift & wanted == wanted


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
