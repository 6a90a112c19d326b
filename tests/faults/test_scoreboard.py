"""The scoreboard itself: its rows are declared soundly, and what README.md says is what docs/reliability.md holds."""

from __future__ import annotations

import doctest
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from rig import report
from rig.catalogue import NAMES
from rig.daemon import of_unit
from rig.result import Result
from rig.run import Run
from rig.table import Row, load
from rows.life import in_the_lab

ROOT = Path(__file__).parents[2]


async def nothing(_run: object) -> None: ...


def a_row(key: str, needs: tuple[str, ...] = ()) -> Row:
    return Row(key, "a fault", "it holds", "C", 1, 1, True, 10.0, needs, nothing)


def a_result(key: str, **found: object) -> Result:
    return Result(key=key, fault="a fault", expected="it holds", kind="C", count=3, seed=1, **found)  # type: ignore[arg-type]


def test_every_row_is_of_a_known_fault_and_says_what_has_to_hold() -> None:
    rows = load()
    assert {row.number for row in rows} <= set(NAMES)
    assert all(row.expected and row.fault and row.kind in ("C", "N") and row.night >= row.count for row in rows)


def test_the_daemon_has_the_environment_of_the_shipped_unit() -> None:
    environment = of_unit()
    assert {"GLIBC_TUNABLES", "OMP_NUM_THREADS"} <= set(environment)
    assert "LINESIDE_BOOT_ID" not in environment  # what stands for %b only systemd knows


def test_a_row_whose_program_is_missing_says_so() -> None:
    assert "no-such-program missing" in a_row("7", ("no-such-program",)).missing()
    assert a_row("7", ("sh",)).missing() == ""


def test_what_failed_did_not_run_or_has_no_row_is_listed() -> None:
    results = [
        a_result("1", stored=5, delivered=5),
        a_result("2", problems=["3 lost silently"], silently=3),
        a_result("3", skipped="nbdkit missing"),
    ]
    text = report.document(results, [a_row("1"), a_row("2"), a_row("3"), a_row("4")])
    assert "| 1 | a fault | 3 |" in text
    assert "- **2** a fault: 3 lost silently" in text
    assert "- **3** a fault: nbdkit missing" in text
    assert "- **4** a fault: not run yet" in text
    assert f"- **48** {NAMES[48]}: there is no row for it yet" in text


def test_no_path_of_a_machine_gets_into_the_document() -> None:
    told = a_result("1", problems=[f"no file /tmp/lineside-row-1-ab12/outbox.db\nat all, by {ROOT}/gateway/app.py"])
    text = report.document([told], [a_row("1")])
    assert "lineside-row" not in text
    assert str(ROOT) not in text
    assert "by gateway/app.py" in text


def test_readme_says_what_the_document_holds() -> None:
    results = report.read()
    if not results:
        pytest.skip("make faults has not been run yet")
    said = (ROOT / "README.md").read_text(encoding="utf-8").partition(report.BEGIN)[2].partition(report.END)[0]
    assert said == report.sentence(results)
    assert said in report.DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["rig.ledger", "rows.neighbours"])
def test_examples_in_docstrings_hold(name: str) -> None:
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted
    assert not found.failed


async def test_the_checks_that_a_row_hands_to_pytest_are_counted(tmp_path: Path) -> None:
    """As rows 45 and 47 do with the lab's; pytest says the number only when it is not told twice to be quiet."""
    run = Run(a_row("47"), count=1, seed=1, folder=tmp_path)
    await in_the_lab(run, "../../faults/test_ledger.py")
    assert run.result.problems == []
    assert run.result.count > 3


def test_rows_can_be_listed() -> None:
    done = subprocess.run([sys.executable, "tests/faults", "--list"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert len(done.stdout.splitlines()) == len(load())
