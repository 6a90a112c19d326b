"""What a device's refusals taught, kept over restarts: bound to addresses, so that changed tags lose nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from drivers.modbus.plan import Item, Learnt

VERSION = 1
FILE = "learnt.json"
_MOST_BYTES = 4 * 1024 * 1024


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    """Each entry is (unit, table, start, count) of an item."""

    version: int
    refused: list[tuple[int, str, int, int]]
    cuts: list[tuple[int, str, int, int]]


def _key(item: Item) -> tuple[int, str, int, int]:
    return item.unit, item.table, item.start, item.count


def load(folder: Path, items: Iterable[Item]) -> Learnt:
    """What is known of these items; nothing if the file is missing, damaged or of another version."""
    try:
        with (folder / FILE).open("rb") as file:
            kept = msgspec.json.decode(file.read(_MOST_BYTES), type=_Kept)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return Learnt()
    if kept.version != VERSION:
        return Learnt()
    refused, cuts = set(kept.refused), set(kept.cuts)
    items = list(items)
    return Learnt(
        frozenset(item.index for item in items if _key(item) in refused), frozenset(item.index for item in items if _key(item) in cuts)
    )


def save(folder: Path, items: Iterable[Item], learnt: Learnt) -> None:
    """Temp file, fsync, rename: after a power cut either the old or the new is there. Raises OSError."""
    items = list(items)

    def of(indices: frozenset[int]) -> list[Any]:
        return sorted(_key(item) for item in items if item.index in indices)

    content = msgspec.json.encode(_Kept(VERSION, of(learnt.refused), of(learnt.cuts)))
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{FILE}.new"
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / FILE)
