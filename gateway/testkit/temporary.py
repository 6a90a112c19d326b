"""Folders of servers and rigs: under one of this process, which is gone when it ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path


def folder(of: str = "") -> Path:
    """A new one; `of` what it is, to be seen in its name."""
    return Path(tempfile.mkdtemp(prefix=f"{of}-" if of else None, dir=_root()))


@cache
def _root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="lineside-test-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root
