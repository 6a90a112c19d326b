"""Puts what a wheel holds where it belongs below a prefix (the binary distribution format, section "file contents")."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path, PurePosixPath

_FOR_DEVELOPERS = (".a", ".c", ".h", ".pxd", ".pyi", ".pyx")
"""Nobody compiles on a gateway, or runs the tests of its libraries."""


def unpack(wheel: Path, prefix: Path, site: Path) -> None:
    """Its programs into `prefix`/bin, its data below `prefix`, everything else into `site`. Entry points get no scripts."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            target = None if member.is_dir() else _target(PurePosixPath(member.filename), prefix, site)
            if target is not None:
                target.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file)
                target.chmod(0o755 if target.parent == prefix / "bin" else 0o644)


def _target(path: PurePosixPath, prefix: Path, site: Path) -> Path | None:
    if path.is_absolute() or ".." in path.parts:
        raise SystemExit(f"{path} leads out of its wheel")
    if "tests" in path.parts[:-1] or path.suffix in _FOR_DEVELOPERS:
        return None
    if not path.parts[0].endswith(".data"):
        return site / path
    scheme, *rest = path.parts[1:]
    folders = {"purelib": site, "platlib": site, "data": prefix, "scripts": prefix / "bin"}
    return folders[scheme].joinpath(*rest) if scheme in folders else None
