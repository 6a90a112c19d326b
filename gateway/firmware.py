"""The settings of the operating system that a gateway relies on: what the manifest wants, and what differs from it.

Planning reads and writing writes; nothing here asks, prints or restarts anything. Every path is below a root, so that
an image that is mounted somewhere is treated like the running system.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gateway.contract import ConfigError

Board = Literal["rpi", "ipc"]


class File(BaseModel):
    """One row of the manifest; the columns are explained at its top."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    file: str
    to: str = Field(pattern=r"^/[^\s]+$")
    mode: str | None = Field("0644", pattern=r"^0[0-7]{3}$")
    owner: str = Field("root:root", pattern=r"^[a-z-]+:[a-z-]+$")
    board: Board | None = None
    how: Literal["replace", "once", "append"] = "replace"


class Part(BaseModel):
    """One folder of firmware-config."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    files: tuple[File, ...]
    asked: bool = False
    then: str = ""


Manifest = dict[str, Part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file that is not as the manifest wants it. `before` None: it is not there."""

    part: str
    target: Path
    before: bytes | None
    after: bytes
    mode_before: int | None
    mode: int | None
    owner: tuple[int, int]


def load_manifest(folder: Path) -> Manifest:
    """Raises ConfigError if `folder` holds no manifest, or a wrong one."""
    path = folder / "manifest.yaml"
    try:
        return TypeAdapter(Manifest).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from exc
    except (yaml.YAMLError, ValidationError) as exc:
        raise ConfigError(f"{path}: {exc}") from exc


def board_of(root: Path) -> Board:
    """A Raspberry Pi has its firmware's settings where every other board has none."""
    return "rpi" if (root / "boot/firmware/config.txt").exists() else "ipc"


def plan(folder: Path, root: Path, board: Board, names: Sequence[str]) -> list[Change]:
    """What has to change below `root`; no names: every part that need not be asked for. Raises ConfigError, OSError."""
    rows = _rows(folder, board, names)
    return [change for name, row in rows for change in _difference(folder / name / row.file, root, name, row)]


def left_alone(folder: Path, root: Path, board: Board, names: Sequence[str]) -> list[Path]:
    """Files that belong to their owner, who was there first or has changed them since: not what we would have written."""
    once = [(_below(root, row.to), folder / name / row.file) for name, row in _rows(folder, board, names) if row.how == "once"]
    return [target for target, ours in once if target.exists() and target.read_bytes() != ours.read_bytes()]


def _rows(folder: Path, board: Board, names: Sequence[str]) -> list[tuple[str, File]]:
    """By their part."""
    manifest = load_manifest(folder)
    unknown = sorted(set(names) - set(manifest))
    if unknown:
        raise ConfigError(f"no such part: {', '.join(unknown)}; there are {', '.join(manifest)}")
    chosen = {name: part for name, part in manifest.items() if (name in names if names else not part.asked)}
    return [(name, row) for name, part in chosen.items() for row in part.files if row.board in (None, board)]


def _difference(source: Path, root: Path, part: str, row: File) -> Iterator[Change]:
    target = _below(root, row.to)
    before = target.read_bytes() if target.exists() else None
    after = _wanted(before, source.read_bytes(), row.how)
    mode_before = target.stat().st_mode & 0o7777 if before is not None else None
    mode = int(row.mode, 8) if row.mode is not None else None
    if before is not None and row.how != "replace":
        mode = mode_before  # not our file alone
    owner = _ids(root, row.owner)
    if before != after or mode not in (None, mode_before) or (row.how == "replace" and not _owned(target, owner, mode)):
        yield Change(part=part, target=target, before=before, after=after, mode_before=mode_before, mode=mode, owner=owner)


def _wanted(before: bytes | None, ours: bytes, how: str) -> bytes:
    if before is None or how == "replace":
        return ours
    if how == "once" or _says(before, ours):
        return before
    return before + (b"" if before.endswith(b"\n") or not before else b"\n") + ours


def _says(before: bytes, ours: bytes) -> bool:
    """In lines of its own, one after the other: what stands in a comment is not said."""
    lines, wanted = ([line.strip() for line in text.splitlines()] for text in (before, ours))
    return any(lines[start : start + len(wanted)] == wanted for start in range(len(lines)))


def _below(root: Path, path: str) -> Path:
    """An image's absolute link must not lead into the running system."""
    target = root / path.lstrip("/")
    if not target.resolve().is_relative_to(root.resolve()):
        raise ConfigError(f"{target} leads out of {root}")
    return target


def _owned(target: Path, owner: tuple[int, int], mode: int | None) -> bool:
    """Who is not root cannot give files away, and FAT has no owners."""
    found = target.stat()
    return mode is None or os.geteuid() != 0 or (found.st_uid, found.st_gid) == owner


def _ids(root: Path, owner: str) -> tuple[int, int]:
    user, group = owner.split(":")
    return _id(root / "etc/passwd", user), _id(root / "etc/group", group)


def _id(table: Path, name: str) -> int:
    if name == "root":
        return 0
    rows = (line.split(":") for line in table.read_text(encoding="utf-8").splitlines())
    for row in rows:
        if row[0] == name:
            return int(row[2])
    raise ConfigError(f"{table}: no {name}; create it first (systemd-sysusers)")


def write(change: Change) -> None:
    """Whole or not at all, also if the power goes. Raises OSError."""
    target = change.target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".lineside-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(change.after)
            if change.mode is not None:
                os.fchmod(handle, change.mode)
                if os.geteuid() == 0:
                    os.fchown(handle, *change.owner)
            file.flush()
            os.fsync(handle)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
