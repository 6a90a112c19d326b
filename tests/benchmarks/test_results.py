"""RESULTS.md: a whole run writes it, a later run of some replaces their figures and no others."""

from __future__ import annotations

import pytest

from benchmarks.__main__ import replaced, whole
from benchmarks.result import Result, Target


def found(scenario: str, seconds: float) -> Result:
    return Result(scenario, (Target("start", seconds, "<=", 2.0, "s"),), {"tags": 7}, "a peer")


def test_a_later_run_replaces_its_own_figures_and_says_so() -> None:
    text = whole("a machine", [found("start → READY", 9.0), found("stop", 1.0)])
    assert "| start → READY | start 9 s (≤ 2) | **no** | a peer |" in text
    later = replaced(text, [found("start → READY", 1.5)])
    assert "| start → READY | start 1.5 s (≤ 2) | yes | a peer |" in later
    assert later.count("later, alone") == 1
    assert "start 9 s" not in later
    assert len(later.splitlines()) == len(text.splitlines())
    assert found("stop", 1.0).row() in later


def test_what_no_whole_run_has_measured_has_no_place() -> None:
    with pytest.raises(SystemExit, match="run all scenarios"):
        replaced(whole("a machine", [found("stop", 1.0)]), [found("start", 1.0)])
