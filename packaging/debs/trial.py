"""Tries packages of this machine's kind in a Debian of their own that is thrown away."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from debs.root import thrown_away
from debs.target import ROOT, Target


def trial(target: Target, debs: Iterable[Path]) -> None:
    """Raises SystemExit."""
    with tempfile.TemporaryDirectory(prefix="lineside-trial-") as folder:
        for path in [*debs, ROOT / "packaging/trial.sh"]:
            shutil.copy(path, folder)
        sys.stdout.write(f"{target}:\n{thrown_away(target.suite, Path(folder), 'sh', '/mnt/trial.sh')}")
