"""One backup is one tar: a manifest with the hash of everything, the files, and at most one sealed part with the secrets."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

import msgspec

from gateway.contract import ConfigError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
SEALED: Final = "secrets.sealed"
_MOST_MANIFEST = 16 << 20
_CHUNK = 1 << 20


class Damaged(Exception):
    """The archive is no longer what was written."""


class Manifest(msgspec.Struct, kw_only=True):
    """format     of the archive
    gateway    urn of the gateway
    version    of lineside; `schema` of its outbox
    sequence   the last one that was given
    taken_ns   before anything was copied: what came later may be in it or not
    config     name of the configuration in its folder
    files      SHA-256 by name; `modes` of those of the configuration
    sealed     names of what is in the sealed part
    left_out   secrets that are not in the backup
    """

    format: int
    gateway: str
    version: str
    taken_ns: int
    config: str
    schema: int = 0
    sequence: int = 0
    files: dict[str, str] = {}
    modes: dict[str, int] = {}
    sealed: list[str] = []
    left_out: list[str] = []


class Writer:
    """Adds files and knows their hashes; the manifest comes last."""

    def __init__(self, file: IO[bytes], mtime: int) -> None:
        self._tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115  closed by `close`
        self._mtime = mtime
        self.hashes: dict[str, str] = {}

    def add(self, name: str, path: Path) -> None:
        """A file as it is now; one that grows or shrinks meanwhile is read again as a whole by whoever needs it, not here."""
        self.add_bytes(name, path.read_bytes()) if path.stat().st_size <= _CHUNK else self._add_large(name, path)

    def add_bytes(self, name: str, content: bytes) -> None:
        self.hashes[name] = hashlib.sha256(content).hexdigest()
        self._tar.addfile(self._info(name, len(content)), io.BytesIO(content))

    def _add_large(self, name: str, path: Path) -> None:
        with path.open("rb") as file:
            hashing = _Hashing(file)
            self._tar.addfile(self._info(name, path.stat().st_size), hashing)  # type: ignore[arg-type]  # it reads, that is all
        self.hashes[name] = hashing.sha256.hexdigest()

    def _info(self, name: str, size: int) -> tarfile.TarInfo:
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._mtime, 0o600
        return info

    def close(self, manifest: Manifest) -> None:
        content = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
        self._tar.addfile(self._info(MANIFEST, len(content)), io.BytesIO(content))
        self._tar.close()


class _Hashing:
    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.sha256 = file, hashlib.sha256()

    def read(self, size: int) -> bytes:
        read = self._file.read(size)
        self.sha256.update(read)
        return read


@contextmanager
def opened(path: Path, file: IO[bytes] | None = None) -> Iterator[tuple[tarfile.TarFile, Manifest]]:
    """The backup at `path`, or in `file`, which will be there.

    raises Damaged       it is no backup of ours, or a damaged one
    raises ConfigError   there is none, or it is of a newer version
    raises OSError       it cannot be read
    """
    try:
        with tarfile.open(None if file else path, mode="r:", fileobj=file) as tar:
            yield tar, _manifest(tar, path)
    except FileNotFoundError as exc:
        raise ConfigError(f"there is no file {path}") from exc
    except (tarfile.TarError, EOFError) as exc:
        raise Damaged(f"{path} is no backup, or a damaged one: {exc}") from exc


def _manifest(tar: tarfile.TarFile, path: Path) -> Manifest:
    try:
        raw = _content(tar, MANIFEST, most=_MOST_MANIFEST)
    except KeyError as exc:
        raise Damaged(f"{path} is no backup, or it was not written to its end: it has no manifest") from exc
    try:
        version = msgspec.json.decode(raw, type=dict).get("format")
        if isinstance(version, int) and version > FORMAT:
            raise ConfigError(f"{path} was written by a newer lineside (format {version}, this one knows {FORMAT})")
        return msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, ValueError) as exc:
        raise Damaged(f"{path} is damaged: its manifest cannot be read: {exc}") from exc


def verify(tar: tarfile.TarFile, manifest: Manifest, path: Path) -> None:
    """Every file is there with its hash, and nothing else is. Raises Damaged."""
    found: set[str] = set()
    for member in tar:
        if member.name == MANIFEST:
            continue
        if not member.isreg() or member.name in found or not inside(member.name):
            raise Damaged(f"{path} is damaged: {member.name!r} has no business in a backup")
        if _sha256(tar, member) != manifest.files.get(member.name):
            raise Damaged(f"{path} is damaged: {member.name} is not what its manifest says")
        found.add(member.name)
    if missing := sorted(set(manifest.files) - found):
        raise Damaged(f"{path} is damaged: {missing[0]} is missing")


def inside(name: str) -> bool:
    """
    >>> inside("state/outbox.db"), inside("../etc/passwd"), inside("/etc/passwd"), inside("config/../../x")
    (True, False, False, False)
    """
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and ".." not in path.parts
        and (name == SEALED or (path.parts[0] in ("state", "config") and len(path.parts) > 1))
    )


def _sha256(tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    digest, file = hashlib.sha256(), tar.extractfile(member)
    while file is not None and (piece := file.read(_CHUNK)):
        digest.update(piece)
    return digest.hexdigest()


def _content(tar: tarfile.TarFile, name: str, *, most: int) -> bytes:
    member = tar.getmember(name)
    if member.size > most:
        raise KeyError(name)
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


def extract(tar: tarfile.TarFile, name: str, target: IO[bytes]) -> None:
    """One file's bytes."""
    file = tar.extractfile(tar.getmember(name))
    while file is not None and (piece := file.read(_CHUNK)):
        target.write(piece)


def pack(files: Mapping[str, bytes]) -> bytes:
    """What is sealed: small files in one."""
    return msgspec.msgpack.encode(dict(files))


def unpack(packed: bytes) -> dict[str, bytes]:
    return msgspec.msgpack.decode(packed, type=dict[str, bytes])
