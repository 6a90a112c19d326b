"""What belongs into a backup: which files of the state folder and of the configuration's folder, and which of them are secrets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from gateway.contract import ConfigError
from gateway.outbox.database import FILE_NAME

STATE, CONFIG = "state", "config"
OUTBOX = f"{STATE}/{FILE_NAME}"
STAGING = ".restore"
"""Where `lineside restore` prepares; in a folder of configurations, which gateways may share, with the name of one behind it."""
BEFORE = "before-restore-"
"""Where it puts what was there."""
OF_MACHINE = ("lock", "reserve", "probe", "wear.json", "clock.json")
"""At the top of the state folder: what belongs to this machine, its disk and its clock, and stays through a restore."""
_OF_STATE = (
    *OF_MACHINE,
    f"{FILE_NAME}*",
    "detectors",
    "blocks",
    "sources",
    "uplinks",
    "commands",
    "pki",
    "accounts.json",
    "audit.head",
    "audit.pending",
    "sessions*",
    STAGING,
    f"{BEFORE}*",
    "*.new",
)
"""There, too: all that is of our making."""
_LEFT_OUT = (*OF_MACHINE, "sessions*", "blocks", f"{FILE_NAME}*", f"{STAGING}*", f"{BEFORE}*", "*.new")
"""The outbox is copied by SQLite itself; whole blocks and what was set aside may be deleted anyway."""
_OF_MEDIUM = "lost+found"
"""In a folder that is a medium of its own: root's, and closed to the gateway's account."""
_ARCHIVES = ("*.tar", "*.tar.gz")
"""In both folders, however deep: backups and bundles; each would hold all before it, and be twice as large."""
SECRET_CONFIG = ("secrets", "credentials")
IDENTITY = (f"{STATE}/pki/own", f"{STATE}/pki/device")
"""What makes this device this device: its certificate for OPC UA with its key, and its identity for the fleet."""
_MOST_CONFIG = 64 << 20
_PRIVATE = b"PRIVATE KEY-----"


class Item(NamedTuple):
    """A file. `name` in the backup, ``state/...`` or ``config/...``."""

    name: str
    path: Path
    secret: bool


def is_of_state(name: str) -> bool:
    """At the top of the state folder, what a gateway keeps there; all else was put there by somebody.

    >>> is_of_state("outbox.db-wal"), is_of_state(".accounts.json.17.new"), is_of_state("lost+found")
    (True, True, False)
    """
    return _matches(name, _OF_STATE)


def items(state_dir: Path, config_dir: Path, theirs: Callable[[str], bool] = lambda _: False) -> Iterator[Item]:
    """All but the outbox, in order.

    theirs   whether a file beside the configuration, by its relative name, is another gateway's

    raises OSError       a folder cannot be listed, those of secrets aside
    raises ConfigError   too much lies beside the configuration
    """
    for name, path in _files(state_dir, _LEFT_OUT):
        yield _item(f"{STATE}/{name}", path)
    yield from config_items(state_dir, config_dir, theirs)


def config_items(state_dir: Path, config_dir: Path, theirs: Callable[[str], bool] = lambda _: False) -> Iterator[Item]:
    """Of the configuration's folder alone; the state folder may lie in it."""
    size = 0
    for name, path in _files(config_dir, (f"{STAGING}*", f"{BEFORE}*", "*.new"), state_dir.absolute()):
        if theirs(name):
            continue
        size += path.stat().st_size
        if size > _MOST_CONFIG:
            raise ConfigError(f"{config_dir} holds more than {_MOST_CONFIG >> 20} MB; give the configuration a folder of its own")
        yield _item(f"{CONFIG}/{name}", path)


def is_identity(name: str) -> bool:
    """
    >>> is_identity("state/pki/own/own.der"), is_identity("state/pki/trusted/own.der")
    (True, False)
    """
    return any(name.startswith((f"{part}/", f"{part}.")) for part in IDENTITY)


def is_of_device(name: str) -> bool:
    """What another device beside the first one must not have: its identity, and the session that a broker keeps for it.

    >>> is_of_device("state/sources/pump-3/session.json"), is_of_device("state/sources/pump-3/map.json")
    (True, False)
    """
    return is_identity(name) or fnmatchcase(name, f"{STATE}/sources/*/session.json")


def _item(name: str, path: Path) -> Item:
    parts = name.split("/")
    by_place = (parts[0] == CONFIG and parts[1] in SECRET_CONFIG) or is_identity(name)
    return Item(name, path, by_place or holds_a_private_key(path))


def holds_a_private_key(path: Path) -> bool:
    try:
        if not path.is_file():
            return False  # who opens a pipe waits for its other end
        with path.open("rb") as file:
            head = file.read(65_536)
    except OSError:
        return False  # told when it is copied
    return _PRIVATE in head or path.name.endswith((".key", ".key.pem", ".p12", ".pfx"))


def _files(folder: Path, left_out: tuple[str, ...], but: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Regular files (or links to such) below, by name; of folders that are links nothing."""
    for place, folders, names in os.walk(folder, onerror=_complain):
        here = Path(place)
        top = here == folder
        wanted = [name for name in folders if not (top and _matches(name, (*left_out, _OF_MEDIUM))) and not (here / name).is_symlink()]
        folders[:] = sorted(name for name in wanted if (here / name).absolute() != but)
        for name in sorted(names):
            path = here / name
            unwanted = not _is_text(name) or name.startswith(".") or _matches(name, _ARCHIVES) or (top and _matches(name, left_out))
            if not unwanted and path.is_file() and _is_of_its_maker(path):
                yield path.relative_to(folder).as_posix(), path


def _is_of_its_maker(path: Path) -> bool:
    """Root reads everything, and the gateway's account the backup: a link it made must not bring it what is root's alone."""
    return os.geteuid() != 0 or path.lstat().st_uid in (0, path.stat().st_uid)


def _is_text(name: str) -> bool:
    """No configuration names a file whose name is no UTF-8, and no manifest can."""
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _complain(error: OSError) -> None:
    if Path(str(error.filename)).name not in SECRET_CONFIG:
        raise error


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
