"""docs/sensitivity.md shows what the command prints. LINESIDE_WRITE_DOCS=1 writes it there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/sensitivity.md"
EXAMPLE = "docs/examples/sensitivity"
COMMAND = [
    *("backtest", f"{EXAMPLE}/usual.yaml", "tests/data/nab/machine_temperature_system_failure.csv"),
    *("--labels", "tests/data/nab/windows.json", "--against", f"{EXAMPLE}/calm.yaml"),
]
_BLOCK = re.compile(r"```console\n.*?```\n", re.DOTALL)


@pytest.mark.timeout(180)
def test_the_example_is_what_the_command_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    writes = bool(os.environ.get("LINESIDE_WRITE_DOCS"))
    result = CliRunner().invoke(main, COMMAND if writes else COMMAND[:-2])  # a second configuration would take as long again
    assert result.exit_code == 0, result.output
    printed = "".join(line.rstrip() + "\n" for line in result.stdout.splitlines())
    shell = f"$ lineside {' '.join(COMMAND[:3])} \\\n    {' '.join(COMMAND[3:])}\n"
    block = f"```console\n{shell}{printed}```\n"
    text = PAGE.read_text(encoding="utf-8")
    if writes:
        PAGE.write_text(_BLOCK.sub(lambda _: block, text, count=1), encoding="utf-8")
        return
    assert shell in text
    assert f"usual.yaml\n{printed}" in text
