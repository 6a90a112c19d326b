"""Tries packages in a Debian of their own that is thrown away."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from debs.bundle import bundle
from debs.debian import missing
from debs.release import Release
from debs.root import foreign, root, thrown_away
from debs.run import run
from debs.target import PREFIX, ROOT, Target

_BINFMT = Path("/proc/sys/fs/binfmt_misc")
_QEMU = "qemu-aarch64-static"


def trial(target: Target, debs: Iterable[Path]) -> None:
    """Those of this machine's kind, by packaging/trial.sh. Raises SystemExit."""
    _run(target, [*debs, *_scripts("trial.sh")], lambda folder: _installed(target, folder, "trial.sh"))


def airgapped(target: Target, debs: Iterable[Path], release: Release) -> None:
    """A signed bundle, by packaging/airgapped.sh in a minimal Debian without a network. Raises SystemExit."""
    with tempfile.TemporaryDirectory(prefix="lineside-bundle-") as folder:
        key, public = Path(folder) / "release.pem", Path(folder) / "release.pub"
        run("openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key))
        run("openssl", "pkey", "-in", str(key), "-pubout", "-out", str(public))
        path = bundle(debs, target, release, key, Path(folder), debian=missing(target))
        layers = [root(target.suite, kind="minimal")]
        files = [path, public, *_scripts("airgapped.sh")]
        _run(target, files, lambda folder: thrown_away(layers, folder, "sh", "/mnt/airgapped.sh", network=False))


def emulated(target: Target, debs: Iterable[Path]) -> None:
    """Those of another kind under qemu: that they are installed, load and answer, not how fast. Raises SystemExit.

    By packaging/emulated.sh; where the kernel does not hand their programs to qemu, unpacked and by packaging/imported.py alone.
    """
    files = [*debs, *_scripts("emulated.sh", "imported.py")]
    if registered():
        _run(target, files, lambda folder: _installed(target, folder, "emulated.sh"))
    else:
        sys.stdout.write("binfmt_misc is not to be had here: unpacked, not installed\n")
        _run(target, files, lambda folder: _unpacked(target, folder))


def registered() -> bool:
    """Whether the kernel hands arm64 programs to qemu; tries to bring that about. Raises SystemExit when there is no qemu."""
    if shutil.which(_QEMU) is None:
        raise SystemExit("qemu is missing; install it: sudo apt-get install qemu-user-static binfmt-support")
    with suppress(SystemExit):
        if not (_BINFMT / "status").exists():
            run("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT))
        if not (_BINFMT / "qemu-aarch64").exists() and shutil.which("update-binfmts"):
            run("update-binfmts", "--enable", "qemu-aarch64")
    return (_BINFMT / "qemu-aarch64").exists()


def _installed(target: Target, folder: Path, script: str) -> str:
    return thrown_away([root(target.suite, foreign(target))], folder, "sh", f"/mnt/{script}")


def _unpacked(target: Target, folder: Path) -> str:
    """One program of the other kind, and qemu named as what runs it: it must start no other."""
    tree = folder / "tree"
    for deb in folder.glob("*.deb"):
        run("dpkg-deb", "-x", str(deb), str(tree))
    shutil.copy(str(shutil.which(_QEMU)), folder)
    layers = [tree, root(target.suite, target.arch, kind="unpacked")]
    return thrown_away(layers, folder, f"/mnt/{_QEMU}", f"/{PREFIX}/bin/python3", "-I", "/mnt/imported.py")


def _scripts(*names: str) -> list[Path]:
    return [ROOT / "packaging" / name for name in names]


def _run(target: Target, files: Iterable[Path], work: Callable[[Path], str]) -> None:
    """`work`: in a folder with these files; gives what it said."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lineside-trial-") as folder:
        for path in files:
            shutil.copy(path, folder)
        told = work(Path(folder))
    sys.stdout.write(f"{target}:\n{told}  {time.monotonic() - started:.0f} s\n")
