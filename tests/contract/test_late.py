"""A module without what it imports and does not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = """
LOADED = True
def double(x): return 2 * x
class Table:
    rows = 3
"""
LIGHT = """
from heavy import Table, double
import heavy
def use(x): return double(x) + Table.rows
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    (tmp_path / "heavy.py").write_text(HEAVY)
    (tmp_path / "light.py").write_text(LIGHT)
    return tmp_path


def run(library: Path, lines: str) -> str:
    program = f"import sys\nsys.path.insert(0, {str(library)!r})\nfrom gateway.contract import import_without\n{lines}"
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


def test_what_is_left_out_is_imported_when_it_is_used(library: Path) -> None:
    said = run(
        library,
        'light = import_without("light", ("heavy",))\nprint("heavy" in sys.modules)\nprint(light.use(4), sys.modules["heavy"].LOADED)',
    )
    assert said.splitlines() == ["False", "11 True"]


def test_who_imports_it_afterwards_gets_it_and_what_is_there_already_stays(library: Path) -> None:
    assert run(library, 'import_without("light", ("heavy",))\nimport heavy\nprint(heavy.LOADED)') == "True"
    assert run(library, 'import heavy\nprint(import_without("light", ("heavy",)).double is heavy.double)') == "True"


def test_a_module_that_cannot_be_imported_leaves_nothing_behind(library: Path) -> None:
    (library / "broken.py").write_text("import heavy\nimport no_such_module\n")
    said = run(
        library, 'try:\n    import_without("broken", ("heavy",))\nexcept ImportError as exc:\n    print(exc.name, "heavy" in sys.modules)'
    )
    assert said == "no_such_module False"
