"""A minimal Debian of a release: its Python writes the byte code, and a package is tried in it. Needs root and mmdebstrap."""

from __future__ import annotations

import shutil
from pathlib import Path

from debs.run import run
from debs.target import BUILD, Target

INCLUDE = "systemd,systemd-sysv,dbus,python3,procps,openssl"
_BOUND = 'mount --bind "$1" "$2/mnt" && shift && root=$1 && shift && exec chroot "$root" "$@"'
_OVERLAID = """
mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/all &&
mount -t overlay none -o "lowerdir=$2,upperdir=/mnt/up,workdir=/mnt/work" /mnt/all &&
mount --bind "$1" /mnt/all/mnt && mount -t proc proc /mnt/all/proc && shift 2 && exec chroot /mnt/all "$@"
"""


def root(suite: str, arch: str = "") -> Path:
    """Made when it is not there yet, then kept. `arch`: where that is not this machine's kind, dpkg runs under qemu."""
    folder = BUILD / "roots" / (f"{suite}-{arch}" if arch else suite)
    if not (folder / "usr/bin/python3").exists():
        if shutil.which("mmdebstrap") is None:
            raise SystemExit("mmdebstrap is missing; install it: sudo apt-get install mmdebstrap")
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        kind = (f"--architectures={arch}",) if arch else ()
        run("mmdebstrap", "--variant=minbase", "--mode=root", *kind, f"--include={INCLUDE}", suite, str(folder))
    return folder


def beside(suite: str, folder: Path, *words: str, **environment: str) -> str:
    """Runs a program of that Debian, of this machine's kind, with `folder` as its /mnt."""
    return run("unshare", "-m", "sh", "-c", _BOUND, "sh", str(folder), str(root(suite)), *words, **environment)


def thrown_away(target: Target, folder: Path, *words: str) -> str:
    """The same in a Debian of the target's kind, and what it changes there is gone afterwards."""
    foreign = "" if target.arch == run("dpkg", "--print-architecture").strip() else target.arch
    return run("unshare", "-m", "sh", "-c", _OVERLAID, "sh", str(folder), str(root(target.suite, foreign)), *words)


def compile_all(target: Target, tree: Path) -> None:
    """Byte code that is believed without a look at its source: dpkg gives files other times, and nobody else writes here.

    One process and no random hashes, so that the same sources give the same bytes.
    """
    options = ("-q", "--invalidation-mode", "unchecked-hash", "-s", "/mnt", "-p", "/")
    beside(target.suite, tree, "python3", "-m", "compileall", *options, f"/mnt/{target.site}", PYTHONHASHSEED="0")
