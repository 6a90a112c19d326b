"""Fetches the wheels that a lock names for another machine and Python, and believes none whose hash the lock does not hold."""

from __future__ import annotations

import hashlib
import sys
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from packaging.utils import canonicalize_name

from debs.lock import Pin
from debs.run import run
from debs.target import BUILD, Target

SOURCE_ONLY = frozenset({"nkeys"})
"""Published without a wheel; pure Python, so one wheel built here fits everywhere."""
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


@dataclass(frozen=True, slots=True)
class Wheel:
    """`sha256`: of the file that the lock names, for what is published as source its archive's."""

    path: Path
    name: str
    version: str
    sha256: str
    metadata: Message


def fetch(target: Target, wanted: Mapping[str, Pin]) -> dict[str, Wheel]:
    """By name, from the folder of this target, or from the index when it is not there yet."""
    house = BUILD / "wheels" / str(target)
    house.mkdir(parents=True, exist_ok=True)
    missing = [pin for pin in wanted.values() if not _files(house, pin)]
    _download(house, target, [pin for pin in missing if pin.name not in SOURCE_ONLY])
    _build(house, [pin for pin in missing if pin.name in SOURCE_ONLY])
    return {pin.name: _checked(house, pin) for pin in wanted.values()}


def _files(house: Path, pin: Pin) -> list[Path]:
    return [path for path in house.glob("*.whl") if _named(path) == (pin.name, pin.version)]


def _named(path: Path) -> tuple[str, str]:
    name, version = path.name.split("-")[:2]
    return canonicalize_name(name), version


def _download(house: Path, target: Target, missing: Iterable[Pin]) -> None:
    if lines := [pin.text for pin in missing]:
        (house / "missing.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        fitting = [f"--platform={tag}" for tag in target.platforms] + [f"--python-version={target.python}", "--only-binary=:all:"]
        run(*_PIP, "download", "--no-deps", "--require-hashes", *fitting, "-d", str(house), "-r", str(house / "missing.txt"))


def _build(house: Path, missing: Iterable[Pin]) -> None:
    """With the setuptools of our own lock, not with one that is fetched for it."""
    for pin in missing:
        (house / "source.txt").write_text(f"{pin.text}\n", encoding="utf-8")
        source = ("--no-deps", "--no-build-isolation", "--require-hashes", "--no-cache-dir", "-r", str(house / "source.txt"))
        run(*_PIP, "wheel", *source, "-w", str(house), SOURCE_DATE_EPOCH="315532800")


def _checked(house: Path, pin: Pin) -> Wheel:
    (path,) = _files(house, pin)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if pin.name in SOURCE_ONLY:
        (found,) = pin.hashes  # pip has compared the archive with it before it built the wheel
    elif found not in pin.hashes:
        raise SystemExit(f"{path.name}: its hash is not in the lock")
    return Wheel(path, pin.name, pin.version, found, _metadata(path))


def _metadata(path: Path) -> Message:
    with zipfile.ZipFile(path) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1)
        return BytesParser().parsebytes(archive.read(name))
