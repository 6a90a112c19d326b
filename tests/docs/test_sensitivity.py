"""docs/sensitivity.md shows what the command prints. LINESIDE_WRITE_DOCS=1 writes it there (`make test-long`)."""

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
RECORDING = "tests/data/nab/machine_temperature_system_failure.csv"
COMMAND = [
    *("backtest", f"{EXAMPLE}/usual.yaml", RECORDING),
    *("--labels", "tests/data/nab/windows.json", "--against", f"{EXAMPLE}/calm.yaml"),
]
LABELLED = "2013-12-16 0"
_BLOCK = re.compile(r"```console\n.*?```\n", re.DOTALL)


@pytest.mark.long
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


def test_the_example_has_the_lines_that_the_command_prints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Some hours of the recording: titles, watches and tags, whatever the figures are."""
    monkeypatch.chdir(ROOT)
    hours = tmp_path / Path(RECORDING).name  # the labels name it
    header, *rows = Path(RECORDING).read_text(encoding="utf-8").splitlines(keepends=True)
    hours.write_text(header + "".join(row for row in rows if row.startswith(LABELLED)), encoding="utf-8")
    result = CliRunner().invoke(main, [str(hours) if part == RECORDING else part for part in COMMAND])
    assert result.exit_code == 0, result.output
    (block,) = _BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert [_words(line) for line in result.stdout.splitlines()] == [_words(line) for line in block.splitlines()[3:-1]]


def _words(line: str) -> list[str]:
    """Cells that hold no figure."""
    return [cell for cell in re.split(r" {2,}", line.strip()) if not re.fullmatch(r"-|[+-]?[\d.,/]+( (s|min|h|d))?", cell)]
