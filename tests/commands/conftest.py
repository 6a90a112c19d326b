"""The command as a user types it, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.cli import main

CONFIG = """
version: 1
site: {{enterprise: acme, site: dresden, gateway: dresden-press-01}}
machines:
  press-07:
    source: {{modbus: "tcp://127.0.0.1:9"}}
    tags: {{oil_temperature: {{at: 40011, as: float32}}}}
watch:
  - limit: {{on: press-07/oil_temperature, high: 70}}
deliver:
  crm: {{https: "http://127.0.0.1:9/"}}
gateway: {{page: off, state_dir: {state_dir}}}
"""


@pytest.fixture
def lineside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """In this process, which is quick."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments, prog_name="lineside")


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """In a process of its own, which a `run` that starts needs: it takes over log and signals."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from gateway.cli import main; main(prog_name='lineside')", *arguments]
        env = {name: value for name, value in os.environ.items() if not name.startswith(("LINESIDE_", "NOTIFY_", "CREDENTIALS_"))}
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=30, check=False)

    return run


@pytest.fixture
def config(tmp_path: Path) -> Callable[[str], str]:
    """A valid file with this state folder; its name."""

    def write(state_dir: str) -> str:
        (tmp_path / "lineside.yaml").write_text(CONFIG.format(state_dir=state_dir), encoding="utf-8")
        return "lineside.yaml"

    return write
