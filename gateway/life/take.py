"""Takes a backup beside a running gateway: the outbox by SQLite's own backup, everything else file by file."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO

from gateway import __version__
from gateway.config.glance import Glance
from gateway.contract import ConfigError
from gateway.durable import replacing
from gateway.life.archive import FORMAT, SEALED, Damaged, Manifest, Writer, opened, pack, verify
from gateway.life.contents import CONFIG, OUTBOX, Item, items
from gateway.life.neighbours import Whose, belongings
from gateway.life.sealed import seal
from gateway.outbox.append import next_sequence
from gateway.outbox.database import FILE_NAME

_MOST_SECRETS = 16 << 20
_SPARE = 1 << 20
_MOMENT = f"{'[0-9]' * 8}T{'[0-9]' * 6}Z"
"""Digit by digit: of `press-01` in a folder they share `press` must delete none."""


_BESIDE = re.compile(r"\.(?P<name>.+)\.(?P<process>[0-9]+)\.(new|outbox(-journal|-wal|-shm)?)")
"""What is written before it gets its name."""


def take(config: Path, known: Glance, target: Path, *, passphrase: str | None, never: Path | None = None, now_ns: int) -> Manifest:
    """Write the backup `target`, mode 0600. With a passphrase the secrets are in it, sealed; without, their names only.

    never   a file that is in no backup, wherever it lies: the passphrase's

    raises ConfigError   nothing to back up, or no room
    raises Damaged       the outbox is damaged; or what was read back is not what was written
    raises OSError, sqlite3.Error
    """
    if not (known.state_dir / FILE_NAME).exists():
        raise ConfigError(f"there is no outbox in {known.state_dir}; has this gateway ever run?")
    _clear_away(target, known.gateway)
    _check_room(known.state_dir, target.parent)
    manifest = Manifest(format=FORMAT, gateway=known.urn, version=__version__, taken_ns=now_ns, config=config.name)
    with replacing(target) as file:
        writer = Writer(file, mtime=now_ns // 1_000_000_000)
        mine = belongings(config)
        found = items(known.state_dir, config.absolute().parent, lambda name: mine.whose(name) is Whose.THEIRS)
        # Before the outbox, as after a crash: a detector that knew of an incident the outbox does not have would never tell it.
        _add_files(writer, manifest, (item for item in found if never is None or not _same(item.path, never)), passphrase)
        with _copied(known.state_dir / FILE_NAME, target) as (copy, manifest.schema, manifest.sequence):
            writer.add(OUTBOX, copy)
        manifest.files = writer.hashes
        writer.close(manifest)
        _read_back(file, target)
    return manifest


def name_of(gateway: str, now_ns: int) -> str:
    """
    >>> name_of("press-01", 1_800_000_000_000_000_000)
    'lineside-press-01-20270115T080000Z.tar'
    """
    return f"lineside-{gateway}-{datetime.fromtimestamp(now_ns // 1_000_000_000, UTC):%Y%m%dT%H%M%SZ}.tar"


def thin_out(folder: Path, gateway: str, keep: int, now_ns: int) -> list[Path]:
    """Delete all but the newest `keep` backups of this gateway; returns what was deleted.

    One that is named for a time to come was taken before now by a clock that was ahead, or this one is behind: it is older than the others.
    """
    now = name_of(gateway, now_ns)
    found = sorted(folder.glob(f"lineside-{gateway}-{_MOMENT}.tar"), key=lambda path: (path.name <= now, path.name))
    old = found[:-keep]
    for path in old:
        path.unlink()
    return old


def _add_files(writer: Writer, manifest: Manifest, found: Iterator[Item], passphrase: str | None) -> None:
    secrets: dict[str, bytes] = {}
    for item in found:
        if item.secret and passphrase is None:
            manifest.left_out.append(item.name)
            continue
        try:
            if item.name.startswith(f"{CONFIG}/"):
                manifest.modes[item.name] = item.path.stat().st_mode & 0o777
            if item.secret:
                secrets[item.name] = item.path.read_bytes()
            else:
                writer.add(item.name, item.path)
        except FileNotFoundError:  # replaced or deleted since it was listed
            manifest.modes.pop(item.name, None)
    if sum(map(len, secrets.values())) > _MOST_SECRETS:
        raise ConfigError(f"secrets and keys are more than {_MOST_SECRETS >> 20} MB; something else lies in their folders")
    if passphrase is not None:
        manifest.sealed = sorted(secrets)
        writer.add_bytes(SEALED, seal(pack(secrets), passphrase))


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


@contextmanager
def _copied(outbox: Path, target: Path) -> Iterator[tuple[Path, int, int]]:
    """A sound copy of one moment beside the target; its schema and its last sequence. A running gateway goes on writing meanwhile."""
    copy = target.with_name(f".{target.name}.{os.getpid()}.outbox")
    _forget(copy)  # of a process that had this number and was killed
    try:
        read_only = bool(os.statvfs(outbox).f_flag & os.ST_RDONLY)
        _create(copy)
        if read_only:
            _copy_files(outbox, copy)
        with closing(sqlite3.connect(copy, isolation_level=None)) as into:
            into.execute("PRAGMA synchronous=OFF")
            if not read_only:
                with closing(sqlite3.connect(f"{outbox.resolve().as_uri()}?mode=ro", uri=True, timeout=30)) as source:
                    source.backup(into)
            into.execute("PRAGMA journal_mode=DELETE")
            if (problem := into.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise Damaged(f"{outbox} is damaged: {problem}; lineside outbox check says more")
            facts = into.execute("PRAGMA user_version").fetchone()[0], next_sequence(into) - 1
        yield copy, *facts
    finally:
        _forget(copy)


def _create(path: Path) -> None:
    """Where root writes into somebody's folder, a link of that name may lead anywhere."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _forget(copy: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy_files(outbox: Path, copy: Path) -> None:
    """From a medium that is read-only (a worn card, a rescued disk): SQLite wants to write beside what it reads.

    raises ConfigError   somebody writes all the same, by another way: what was copied is not of one moment
    """
    files = [(outbox.with_name(outbox.name + suffix), copy.with_name(copy.name + suffix)) for suffix in ("", "-wal")]
    there = [(source, target) for source, target in files if source.exists()]
    before = [_fingerprint(source) for source, _ in there]
    for source, target in there:
        if target != copy:
            _create(target)
        shutil.copyfile(source, target)
    if before != [_fingerprint(source) for source, _ in there]:
        raise ConfigError(f"{outbox} is written to, but cannot be here: its medium is read-only; back it up where the gateway runs")


def _fingerprint(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


def _clear_away(target: Path, gateway: str) -> None:
    """What backups left that were killed, or whose power was cut: hidden, as large as a backup, and nobody would ever delete it."""
    for path in target.parent.iterdir():
        found = _BESIDE.fullmatch(path.name)
        ours = found is not None and (found["name"] == target.name or fnmatchcase(found["name"], f"lineside-{gateway}-{_MOMENT}.tar"))
        if found is not None and ours and not _runs(int(found["process"])):
            with suppress(OSError):
                path.unlink()


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _check_room(state_dir: Path, folder: Path) -> None:
    """The outbox is there twice for a moment."""
    size = sum(path.stat().st_size for path in state_dir.glob(f"{FILE_NAME}*") if path.name in (FILE_NAME, f"{FILE_NAME}-wal"))
    needed, free = 2 * size + _SPARE, shutil.disk_usage(folder).free
    if free < needed:
        raise ConfigError(f"{folder} has {free >> 20:,} MB free, and the backup needs up to {needed >> 20:,} MB; make room or choose --to")


def _read_back(file: IO[bytes], target: Path) -> None:
    """From the medium, not from the cache."""
    file.flush()
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    file.seek(0)
    with opened(target, file) as (tar, manifest):
        verify(tar, manifest, target)
