"""What the image of a gateway carries, and the tools that read it there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "firmware-config"
Done = subprocess.CompletedProcess[str]
Tool = Callable[..., Done]


@pytest.fixture
def firmware() -> Path:
    return FOLDER


@pytest.fixture
def installed() -> Callable[[str], str]:
    """Where a program of Debian is; skips where it is not installed, which CI does not allow."""

    def find(program: str) -> str:
        path = shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin:/lib/systemd")
        if path is None:
            assert not os.environ.get("CI"), f"{program} is missing; .ci/run installs it"
            pytest.skip(f"{program} is not installed")
        return path

    return find


@pytest.fixture
def tool(installed: Callable[[str], str]) -> Tool:
    """Runs a program of Debian, all its output in `stdout`."""

    def run(program: str, *arguments: str | Path, within: tuple[str, ...] = (), text: str | None = None, **env: str) -> Done:
        return subprocess.run(
            [*within, installed(program), *map(str, arguments)],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=30,
            check=False,
            env=os.environ | env,
        )

    return run
