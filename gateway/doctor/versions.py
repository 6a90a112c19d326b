"""Python, SQLite and the libraries, against what this version was tried with."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gateway.doctor.finding import Finding, error, warning

LEAST_PYTHON, LEAST_SQLITE = (3, 11), (3, 37, 0)
"""STRICT tables came with SQLite 3.37."""
_MOST_NAMED = 5
_LINE = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)")


@dataclass(frozen=True, kw_only=True)
class Versions:
    """locked      by library, any of these: one per Python; empty: the lock did not come along
    installed   of those that are locked and there
    """

    python: tuple[int, ...]
    sqlite: tuple[int, ...]
    locked: Mapping[str, frozenset[str]]
    installed: Mapping[str, str]


def read(lock: Path | None = None) -> Versions:
    """lock   default: as a wheel brings it, or as it lies in a checkout"""
    locked = parse_lock(_text(lock or lock_file()))
    installed = {name: found for name in locked if (found := _installed(name))}
    return Versions(python=sys.version_info[:3], sqlite=sqlite3.sqlite_version_info, locked=locked, installed=installed)


def judge(found: Versions) -> Iterator[Finding]:
    if found.python[:2] < LEAST_PYTHON:
        yield error(f"Python {_dots(found.python)} is older than {_dots(LEAST_PYTHON)}", "install a newer Debian, or a newer Python")
    if found.sqlite < LEAST_SQLITE:
        yield error(
            f"SQLite {_dots(found.sqlite)} is older than {_dots(LEAST_SQLITE)}: the outbox cannot be made", "install a newer Debian"
        )
    other = [
        f"{name} {has}, not {' or '.join(sorted(found.locked[name]))}"
        for name, has in found.installed.items()
        if has not in found.locked[name]
    ]
    if other:
        more = f" and {len(other) - _MOST_NAMED} more" if len(other) > _MOST_NAMED else ""
        yield warning(
            f"libraries are not those this version was tried with: {', '.join(other[:_MOST_NAMED])}{more}",
            "pip install --require-hashes -r gateway.lock, or install the package again",
        )


def lock_file() -> Path:
    installed = Path(sys.prefix) / "share" / "lineside" / "gateway.lock"
    return installed if installed.exists() else Path(__file__).parents[2] / "locks" / "gateway.lock"


def parse_lock(text: str) -> dict[str, frozenset[str]]:
    r"""
    >>> parse_lock("numpy==2.4.6 ; python_full_version < '3.12' \\\n    --hash=x\nnumpy==2.5.5 \\\nclick==8.1\n")["click"]
    frozenset({'8.1'})
    """
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if match := _LINE.match(line):
            found.setdefault(match[1], set()).add(match[2])
    return {name: frozenset(versions) for name, versions in found.items()}


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _dots(numbers: tuple[int, ...]) -> str:
    return ".".join(map(str, numbers))
