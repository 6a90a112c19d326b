"""`lineside run` that cannot run says why in one sentence, with exit code 2; the rest of the exit codes: tests/app/test_daemon.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

Lineside = Callable[..., Result]
Config = Callable[[str], str]


def test_every_problem_of_a_bad_file_is_told(lineside: Lineside, tmp_path: Path) -> None:
    (tmp_path / "lineside.yaml").write_text("version: 2\nsite: {enterprise: acme, site: dresden}\nwach: []\n", encoding="utf-8")
    result = lineside("run", "lineside.yaml")
    assert result.exit_code == 2
    assert result.stdout == ""
    places = [line.split(": ")[0] for line in result.stderr.splitlines() if line.startswith("lineside.yaml:")]
    assert places == ["lineside.yaml:1:10", "lineside.yaml:2:7", "lineside.yaml:3:1"]
    assert result.stderr.endswith("\n3 problems; nothing was started\n")


@pytest.mark.parametrize(("state_dir", "why"), [("/proc/lineside", "No such file or directory"), ("lineside.yaml", "File exists")])
def test_a_state_folder_that_cannot_be_used(lineside: Lineside, config: Config, state_dir: str, why: str) -> None:
    result = lineside("run", config(state_dir))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"lineside: the state folder {state_dir} cannot be used: {why}\n"
