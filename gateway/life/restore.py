"""Restores a backup: everything is prepared and checked beside what is there, then swapped. See `swap.py` for being killed on the way."""

from __future__ import annotations

import os
import pwd
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from tarfile import TarFile

from gateway.contract import ConfigError
from gateway.life import swap
from gateway.life.archive import SEALED, Damaged, Manifest, extract, inside, opened, unpack, verify
from gateway.life.contents import BEFORE, CONFIG, OUTBOX, SECRET_CONFIG, STATE, is_of_device
from gateway.life.sealed import unseal
from gateway.outbox import epoch
from gateway.outbox.database import open_database
from gateway.outbox.migrate import SCHEMA_VERSION
from gateway.owner import as_owner_of

_ACCOUNT = "lineside"


@dataclass(frozen=True, kw_only=True)
class Restored:
    """files and secrets that were put in place, by name; missing: secrets that were not"""

    epoch: epoch.Epoch
    files: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    aside: str = ""


def look(file: Path) -> Manifest:
    """Check every byte of it.

    raises ConfigError   there is none, or it is of a newer version
    raises Damaged, OSError
    """
    with opened(file) as (tar, manifest):
        verify(tar, manifest, file)
    if f"{CONFIG}/{manifest.config}" not in manifest.files or "/" in manifest.config:
        raise Damaged(f"{file} cannot be restored: its configuration {manifest.config!r} is not in it")
    if manifest.schema > SCHEMA_VERSION:
        knows = f"schema {manifest.schema}, this one knows {SCHEMA_VERSION}"
        raise ConfigError(f"{file} is of a newer lineside ({manifest.version}; {knows}); install that one, then restore")
    return manifest


def content_of(file: Path, name: str) -> bytes:
    """Of a small file in it, which is there."""
    with opened(file) as (tar, _):
        found = tar.extractfile(name)
        return b"" if found is None else found.read()


def make_folders(*folders: Path) -> None:
    """With the gateway's account as their owner, if root makes them; all or none. Raises ConfigError: something else is there; OSError."""
    for folder in folders:
        if os.path.lexists(folder) and not folder.is_dir():
            raise ConfigError(f"{folder} is there, and no folder")
    for folder in folders:
        _make_folder(folder)


def _make_folder(folder: Path) -> None:
    if folder.is_dir():
        return
    folder.mkdir(parents=True, mode=0o700)
    if os.geteuid() == 0:
        with suppress(KeyError):
            account = pwd.getpwnam(_ACCOUNT)
            os.chown(folder, account.pw_uid, account.pw_gid)


def restore(
    file: Path,
    state_dir: Path,
    config_dir: Path,
    *,
    passphrase: str | None,
    as_new_device: bool,
    now_ns: int,
    who: str,
    but: Collection[str] = (),
) -> Restored:
    """The caller holds the lock of `state_dir`, and has made both folders. What is there is kept aside.

    but   names of files in the backup that are not put in place

    raises WrongPassphrase, Damaged, ConfigError, OSError, sqlite3.Error   nothing has changed
    """
    manifest = look(file)
    stamp = _stamp(now_ns, (state_dir, config_dir))
    places = {STATE: swap.staging(state_dir), CONFIG: swap.staging(config_dir, manifest.config)}

    def wanted(name: str) -> bool:
        return name != SEALED and name not in but and not (as_new_device and is_of_device(name))

    try:
        for place in places.values():
            swap.discard(place)
            with as_owner_of(place.parent):
                place.mkdir(mode=0o700)
                swap.give_to_owner_of(place.parent, place)
        with opened(file) as (tar, _):
            secrets = _secrets(tar, manifest, passphrase)
            names, taken = list(filter(wanted, manifest.files)), list(filter(wanted, secrets))
            for top, place in places.items():
                with as_owner_of(place.parent):
                    _put(place, tar, _of(top, names), {name: secrets[name] for name in _of(top, taken)}, manifest.modes)
        with as_owner_of(state_dir):
            begun = _begin_epoch(places[STATE], manifest, now_ns, who)
        config = [name.removeprefix(f"{CONFIG}/") for name in [*names, *taken] if name.startswith(f"{CONFIG}/")]
        swap.decide(state_dir, config_dir, manifest.config, config, stamp)
    except BaseException:
        if swap.decided(state_dir) is None:
            for place in places.values():
                swap.discard(place)
        raise
    swap.finish(state_dir)
    missing = [name for name in (*manifest.left_out, *([] if secrets else manifest.sealed)) if name not in but]
    return Restored(epoch=begun, files=names, secrets=taken, missing=missing, aside=f"{BEFORE}{stamp}")


def _stamp(now_ns: int, folders: Sequence[Path]) -> str:
    """Names what was put aside. A second restore within the second, or with a clock that was set back, must not find its name taken: what
    it puts aside would stay where it is.
    """
    first = f"{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}"
    names = chain([first], (f"{first}-{number}" for number in count(2)))
    return next(name for name in names if not any(os.path.lexists(folder / f"{BEFORE}{name}") for folder in folders))


def _secrets(tar: TarFile, manifest: Manifest, passphrase: str | None) -> dict[str, bytes]:
    if passphrase is None or not manifest.sealed:
        return {}
    found = tar.extractfile(SEALED)
    secrets = unpack(unseal(b"" if found is None else found.read(), passphrase))
    if not all(inside(name) for name in secrets):
        raise Damaged("the sealed part names files that have no business in a backup")
    return secrets


def _of(top: str, names: Collection[str]) -> list[str]:
    return [name for name in names if name.startswith(f"{top}/")]


def _put(owner: Path, tar: TarFile, names: list[str], secrets: dict[str, bytes], modes: dict[str, int]) -> None:
    """Of one of the two, into what is prepared for it."""
    for name in [*names, *secrets]:
        rest = name.partition("/")[2]
        path = owner / rest
        _folders(path.parent, owner, secret=rest.split("/")[0] in SECRET_CONFIG)
        with path.open("xb") as target:
            if name in secrets:
                target.write(secrets[name])
            else:
                extract(tar, name, target)
            os.fchmod(target.fileno(), modes.get(name, 0o600) & (0o700 if name in secrets else 0o755))
        swap.give_to_owner_of(owner, path)


def _folders(folder: Path, top: Path, *, secret: bool) -> None:
    if folder == top or folder.exists():
        return
    _folders(folder.parent, top, secret=secret)
    folder.mkdir(mode=0o700 if secret or top.parent.stat().st_mode & 0o055 == 0 else 0o750)
    swap.give_to_owner_of(top, folder)


def _begin_epoch(place: Path, manifest: Manifest, now_ns: int, who: str) -> epoch.Epoch:
    """In the prepared outbox, which is brought up to date first. Nothing was given after the epoch's begin: it is not running."""
    connection, replaced = open_database(place)
    with closing(connection):
        if replaced is not None:
            raise Damaged(f"{OUTBOX} in the backup is damaged: {replaced.problem}")
        connection.execute("BEGIN IMMEDIATE")
        begun = epoch.begin(connection, backup_ns=manifest.taken_ns, now_ns=now_ns, who=who)
        connection.execute("COMMIT")
        if connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
            raise sqlite3.OperationalError("the prepared outbox could not be completed")
    for path in place.glob("outbox.db*"):
        swap.give_to_owner_of(place, path)
    return begun
