"""Starts a program, and says what it said when it failed."""

from __future__ import annotations

import os
import subprocess


def run(*words: str, **environment: str) -> str:
    """Its output. Raises SystemExit."""
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C.UTF-8", **environment})
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout
