"""Writes DEBIAN/: what dpkg reads of a package."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from debs.target import ROOT

_SCRIPTS = ("preinst", "postinst", "prerm", "postrm")


def write_control(tree: Path, package: str, fields: Mapping[str, str]) -> None:
    """`fields`: what stands as @name@ in packaging/PACKAGE/control and in the scripts beside it."""
    source, target = ROOT / "packaging" / package, tree / "DEBIAN"
    files = sorted(path for path in tree.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(-(-path.stat().st_size // 1024) for path in files)
    target.mkdir()
    for name in ("control", *_SCRIPTS):
        if (source / name).exists():
            (target / name).write_text(_filled((source / name).read_text(encoding="utf-8"), {**fields, "size": str(size)}))
            (target / name).chmod(0o755 if name in _SCRIPTS else 0o644)
    if conffiles := [f"/{path.relative_to(tree)}\n" for path in files if path.is_relative_to(tree / "etc")]:
        (target / "conffiles").write_text("".join(conffiles))
    shipped = [path for path in files if not path.is_relative_to(tree / "etc")]
    (target / "md5sums").write_text("".join(f"{_md5(path)}  {path.relative_to(tree)}\n" for path in shipped))


def _filled(text: str, fields: Mapping[str, str]) -> str:
    return re.sub(r"@([a-z_]+)@", lambda match: fields[match[1]], text)


def _md5(path: Path) -> str:
    """What dpkg --verify compares with; it knows no other."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
