"""What the gateway needs of Debian and a minimal installation lacks: fetched by apt, which checks Debian's signatures, for bundles."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from debs.root import beside
from debs.run import run
from debs.target import BUILD, ROOT, Target


def missing(target: Target) -> list[Path]:
    """Of that Debian as it is today. Raises SystemExit when its archive cannot be reached and nothing was fetched before."""
    folder = BUILD / "debian" / str(target)
    for name in ("state/lists/partial", "cache/archives/partial", "debs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "packaging/missing.sh", folder)
    fetched = beside(target.suite, folder, "sh", "/mnt/missing.sh", target.arch, *needed()).split()
    for path in (folder / "debs").iterdir():
        if path.name not in fetched:
            path.unlink()
    return sorted((folder / "debs").iterdir())


def needed() -> list[str]:
    """Names, of alternatives the first; openssl is what checks the next bundle."""
    control = (ROOT / "packaging/lineside/control").read_text(encoding="utf-8")
    fields = re.findall(r"^(?:Depends|Recommends): (.+)$", control, re.MULTILINE)
    return sorted({each.split()[0] for field in fields for each in field.split(",")})


def laid_out(debs: Iterable[Path]) -> dict[str, bytes]:
    """Files below debian/ of a bundle, with the index that makes them a source for apt.

    Without the epoch in their names: apt takes %3a in a name for a colon, and some file systems take no colon.
    """
    files, index = {}, []
    for path in sorted(debs):
        name, content = re.sub(r"_\d+%3a", "_", path.name), path.read_bytes()
        files[f"debian/{name}"] = content
        sums = f"Filename: ./{name}\nSize: {len(content)}\nSHA256: {hashlib.sha256(content).hexdigest()}\n"
        index.append(f"{run('dpkg-deb', '-f', str(path)).strip()}\n{sums}")
    return {**files, "debian/Packages": "\n".join(index).encode()} if files else {}
