"""Makes a .deb of a tree: the same bytes for the same tree."""

from __future__ import annotations

import os
from pathlib import Path

from debs.run import run

COMPRESSION = ("-Zzstd", "-z9")
"""xz makes a fifth less of it, in twenty times the time."""


def pack(tree: Path, deb: Path, epoch: int) -> None:
    for path in [tree, *tree.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        os.utime(path, (epoch, epoch), follow_symlinks=False)
    deb.parent.mkdir(parents=True, exist_ok=True)
    unfinished = deb.with_suffix(".part")
    run("dpkg-deb", "--root-owner-group", *COMPRESSION, "--build", str(tree), str(unfinished), SOURCE_DATE_EPOCH=str(epoch))
    unfinished.replace(deb)
