"""`make faults` in CI tries a row that failed once more, alone: with rows of its own, each in a process as there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig import report
from rig.result import Result
from rig.table import Row

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ROWS = """\
from pathlib import Path
from rig.table import row

TRIES = Path(__file__).with_name("tries")


@row(1, "always", expected="it holds")
async def always(run):
    TRIES.open("a").write(f"1 x{run.count} ")
    run.check(False, "it never holds")


@row(2, "at first", expected="it holds")
async def at_first(run):
    TRIES.open("a").write(f"2 x{run.count} ")
    assert TRIES.read_text().count("2 ") > 1, "not yet"


@row(3, "never", expected="it holds")
async def never(run):
    TRIES.open("a").write(f"3 x{run.count} ")
"""


@pytest.fixture
def faults(tmp_path: Path) -> Callable[..., tuple[int, str, str]]:
    """The program among these rows alone: its exit code, what it said, and which rows were tried in which order."""
    folder = tmp_path / "tests" / "faults"
    (folder / "rows").mkdir(parents=True)
    (folder / "rows" / "of_the_test.py").write_text(ROWS)
    for name in ("rig", "__main__.py"):
        (folder / name).symlink_to(HERE / name)

    def run(*words: str) -> tuple[int, str, str]:
        words = (sys.executable, str(folder), "--seed", "1", *words)
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=env)
        assert done.stderr == ""
        return done.returncode, done.stdout, (folder / "rows" / "tries").read_text().strip()

    return run


def found(folder: Path, key: str) -> dict[str, Any]:
    return dict(json.loads((folder / "build" / "faults" / f"row-{key}.json").read_text()))


def test_a_row_that_failed_is_tried_once_more_and_the_second_try_counts(faults: Any, tmp_path: Path) -> None:
    code, said, tried = faults("--ci", "--row", "2", "--row", "3", "--count", "7")
    assert (code, tried) == (0, "2 x7 3 x7 2 x7")
    assert said.count("2 again, alone") == 1
    assert said.splitlines()[-1] == "2 of 2 passed"
    assert found(tmp_path, "2")["problems"] == []


def test_failed_twice_it_has_failed_and_is_not_tried_a_third_time(faults: Any, tmp_path: Path) -> None:
    code, said, tried = faults("--ci", "--row", "1", "--row", "3")
    assert (code, tried) == (1, "1 x1 3 x1 1 x1")
    assert said.splitlines()[-1] == "1 of 2 passed; failed: 1"
    assert found(tmp_path, "1")["problems"] == ["it never holds"]


def test_outside_of_ci_the_first_try_counts(faults: Any) -> None:
    code, said, tried = faults("--row", "2")
    assert (code, tried) == (1, "2 x1")
    assert "again" not in said


def test_what_is_known_to_fail_is_not_tried_again_and_holds_nobody_up(faults: Any, tmp_path: Path) -> None:
    known = Result("1", "always", "it holds", "C", 1, 1, problems=["it never holds"])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "reliability.md").write_text(
        report.document([known], [Row("1", "always", "it holds", "C", 1, 1, True, 9, (), lambda _: None)])
    )  # type: ignore[arg-type,return-value]
    code, said, tried = faults("--ci", "--row", "1")
    assert (code, tried) == (0, "1 x1")
    assert said.splitlines()[-1] == "0 of 1 passed; failed: 1"
