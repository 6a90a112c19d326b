"""Each folder of `cases` is a configuration with errors; `expected.txt` is what `lineside check` says of it, to the letter."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

CASES = Path(__file__).parent / "cases"
Lineside = Callable[..., Result]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("case", sorted(CASES.iterdir()), ids=lambda case: case.name)
def test_every_error_is_named_with_its_place(case: Path, folder: Path, lineside: Lineside) -> None:
    put(case, folder)
    result = lineside("check", "lineside.yaml")
    assert result.output == (case / "expected.txt").read_text(encoding="utf-8")
    assert result.exit_code == 2
    assert result.stdout == ""


def some(cases: list[Path]) -> list[Any]:
    """Every fifth; the others are long."""
    return [pytest.param(case, id=case.name, marks=[pytest.mark.long] if number % 5 else []) for number, case in enumerate(cases)]


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("case", some(sorted(CASES.iterdir())))
def test_run_says_the_same_and_starts_nothing(case: Path, folder: Path, lineside: Lineside) -> None:
    put(case, folder)
    before = sorted(folder.rglob("*"))
    result = lineside("run", "lineside.yaml")
    told = (case / "expected.txt").read_text(encoding="utf-8").rstrip("\n")
    assert result.output == f"{told}; nothing was started\n"
    assert result.exit_code == 2
    assert sorted(folder.rglob("*")) == before


def test_problems_are_in_the_order_of_the_file(folder: Path, lineside: Lineside) -> None:
    put(CASES / "many_errors_at_once", folder)
    problems = [json.loads(line) for line in lineside("check", "--json", "lineside.yaml").stdout.splitlines()]
    places = [(problem["file"], problem["line"], problem["column"]) for problem in problems]
    assert places == sorted(places)
    assert len(problems) >= 8
    assert {problem["file"] for problem in problems} == {"lineside.yaml", "press-07.csv"}


def test_what_is_written_down_as_a_secret_is_never_repeated(folder: Path, lineside: Lineside) -> None:
    put(CASES / "secret_written_down", folder)
    assert (folder / "lineside.yaml").read_text().count("hunter2") == 6
    for arguments in (("check",), ("check", "--json"), ("run",)):
        assert "hunter2" not in lineside(*arguments, "lineside.yaml").output


def put(case: Path, folder: Path) -> None:
    """A copy; secrets get the mode they need, which Git does not keep."""
    shutil.copytree(case, folder, dirs_exist_ok=True)
    for file in (folder / "secrets").glob("*"):
        file.chmod(0o644 if file.name.startswith("open") else 0o600)
