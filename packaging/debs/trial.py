"""Tries packages in a Debian of their own that is thrown away."""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from debs.root import thrown_away
from debs.run import run
from debs.target import ROOT, Target

_BINFMT = Path("/proc/sys/fs/binfmt_misc")


def trial(target: Target, debs: Iterable[Path]) -> None:
    """Those of this machine's kind, by packaging/trial.sh. Raises SystemExit."""
    _run(target, debs, "trial.sh")


def emulated(target: Target, debs: Iterable[Path]) -> None:
    """Those of another kind, by packaging/emulated.sh under qemu: that they import and answer, not how fast. Raises SystemExit."""
    if not (_BINFMT / "status").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", str(_BINFMT))
    if not (_BINFMT / "qemu-aarch64").exists():
        if shutil.which("update-binfmts") is None:
            raise SystemExit("qemu is missing; install it: sudo apt-get install qemu-user-static binfmt-support")
        run("update-binfmts", "--enable", "qemu-aarch64")
    _run(target, debs, "emulated.sh")


def _run(target: Target, debs: Iterable[Path], script: str) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lineside-trial-") as folder:
        for path in [*debs, ROOT / "packaging" / script]:
            shutil.copy(path, folder)
        told = thrown_away(target, Path(folder), "sh", f"/mnt/{script}")
    sys.stdout.write(f"{target}:\n{told}  {time.monotonic() - started:.0f} s\n")
