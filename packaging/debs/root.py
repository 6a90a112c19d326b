"""A minimal Debian of a release: its Python writes the byte code, and a package is tried in it. Needs root and mmdebstrap."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from debs.run import run
from debs.target import BUILD, Target

_MINIMAL = "--variant=minbase"
_INCLUDE = "--include=systemd,systemd-sysv,dbus,python3,procps,openssl"
_LIBRARIES = "--include=base-files,python3,libstdc++6,libgcc-s1,zlib1g"
_BOUND = 'mount --bind "$1" "$2/mnt" && shift && root=$1 && shift && exec chroot "$root" "$@"'
_OVERLAID = """
mount -t tmpfs none /mnt && mkdir /mnt/up /mnt/work /mnt/all &&
mount -t overlay none -o "lowerdir=$2,upperdir=/mnt/up,workdir=/mnt/work" /mnt/all &&
mkdir -p /mnt/all/mnt /mnt/all/proc /mnt/all/tmp &&
mount --bind "$1" /mnt/all/mnt && mount -t proc proc /mnt/all/proc && shift 2 && exec chroot /mnt/all "$@"
"""


def root(suite: str, arch: str = "", *, kind: str = "") -> Path:
    """Made when it is not there yet, then kept.

    arch   where that is not this machine's, dpkg runs under qemu
    kind   "minimal": without what the gateway needs; "unpacked": with nothing set up, so that none of its programs had to run
    """
    folder = BUILD / "roots" / "-".join(filter(None, (suite, arch, kind)))
    if not folder.exists():
        if shutil.which("mmdebstrap") is None:
            raise SystemExit("mmdebstrap is missing; install it: sudo apt-get install mmdebstrap")
        how = {"": (_MINIMAL, _INCLUDE), "minimal": (_MINIMAL,), "unpacked": ("--variant=extract", _LIBRARIES)}[kind]
        unfinished = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(unfinished, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run("mmdebstrap", "--mode=root", *((f"--architectures={arch}", "--skip=check/qemu") if arch else ()), *how, suite, str(unfinished))
        unfinished.rename(folder)
    return folder


def beside(suite: str, folder: Path, *words: str, **environment: str) -> str:
    """Runs a program of that Debian, of this machine's kind, with `folder` as its /mnt."""
    return run("unshare", "-m", "sh", "-c", _BOUND, "sh", str(folder), str(root(suite)), *words, **environment)


def thrown_away(layers: Iterable[Path], folder: Path, *words: str, network: bool = True) -> str:
    """The same in a root of one or more layers, the topmost first; what it changes there is gone afterwards."""
    apart = ("unshare", "-m") if network else ("unshare", "-m", "-n")
    return run(*apart, "sh", "-c", _OVERLAID, "sh", str(folder), ":".join(map(str, layers)), *words)


def foreign(target: Target) -> str:
    """Its kind of machine, when this one is of another."""
    return "" if target.arch == run("dpkg", "--print-architecture").strip() else target.arch


def compile_all(target: Target, tree: Path) -> None:
    """Byte code that is believed without a look at its source: dpkg gives files other times, and nobody else writes here.

    One process and no random hashes, so that the same sources give the same bytes.
    """
    options = ("-q", "--invalidation-mode", "unchecked-hash", "-s", "/mnt", "-p", "/")
    beside(target.suite, tree, "python3", "-m", "compileall", *options, f"/mnt/{target.site}", PYTHONHASHSEED="0")
