"""`lineside clock`, which the gateway's sandbox has to have run by another unit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli import main
from gateway.clock import signs


def test_it_says_what_the_kernel_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for told, code, said in ((True, 0, "synchronised\n"), (False, 1, "not synchronised, as far as the kernel was told\n")):
        monkeypatch.setattr(signs, "synchronised", lambda told=told: told)
        done = CliRunner().invoke(main, ["clock"])
        assert (done.exit_code, done.stdout) == (code, said)


def test_the_mark_is_made_when_the_kernel_says_so_also_of_a_clock_that_was_never_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """chrony slews a clock that is nearly right: nothing is set, so nothing wakes whoever waits for that."""
    answers = iter([False, False, True])
    slept: list[bool] = []
    monkeypatch.setattr(signs, "synchronised", lambda: next(answers))
    monkeypatch.setattr(time, "sleep", lambda _: slept.append((tmp_path / "mark").exists()))
    assert CliRunner().invoke(main, ["clock", "--mark", str(tmp_path / "mark")]).exit_code == 0
    assert slept == [False, False]
    assert (tmp_path / "mark").exists()


def test_a_mark_that_cannot_be_made_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(signs, "synchronised", lambda: True)
    done = CliRunner().invoke(main, ["clock", "--mark", str(tmp_path / "missing/mark")])
    assert done.exit_code == 2
    assert "cannot be made" in done.stderr
