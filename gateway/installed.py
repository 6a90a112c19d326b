"""What is installed beside lineside. Every package is looked at, which takes tens of milliseconds: again only when one came or went."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points, packages_distributions
from pathlib import Path
from typing import Final, TypeAlias

GROUPS: Final = ("gateway.sources", "gateway.detectors", "gateway.uplinks", "gateway.commands")
Places: TypeAlias = tuple[tuple[str, int], ...]
"""Folders that packages are found in, and when each was changed, in ns."""


def entries(group: str) -> tuple[EntryPoint, ...]:
    """Entry points of one of our groups, of all packages."""
    return _entries(_places())[group]


def owners(package: str) -> frozenset[str]:
    """Names of the distributions that bring an import package."""
    return frozenset(_owners(_places()).get(package, ()))


def _places() -> Places:
    return tuple((path, _changed_ns(path)) for path in sys.path)


def _changed_ns(path: str) -> int:
    """0 where there is nothing."""
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=1)
def _entries(_places: Places) -> dict[str, tuple[EntryPoint, ...]]:
    found = entry_points()
    return {group: tuple(found.select(group=group)) for group in GROUPS}


@lru_cache(maxsize=1)
def _owners(_places: Places) -> dict[str, list[str]]:
    return dict(packages_distributions())
