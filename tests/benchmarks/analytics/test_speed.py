"""The speed benchmark counts what it says, and the table sets it beside its targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.analytics import nab, speed
from benchmarks.analytics.__main__ import SUITE


def test_figures_and_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert speed.main(["--tags", "50", "--samples", "5000", "--json", str(tmp_path / "s.json")]) == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert (found["anomaly"]["tags"], found["anomaly"]["samples"]) == (50, 5000)
    assert found["anomaly"]["state_bytes_per_tag"] > 100
    rows = [measure.row() for measure in speed.measures(found)]
    assert ["µs/sample" in rows[0], "memory per tag" in rows[1]] == [True, True]
    assert json.loads(capsys.readouterr().out) == found


def test_what_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert SUITE.main(["nab", "--data", str(tmp_path)]) == 0
    assert "| measure |" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        SUITE.main(["nib", "--data", str(tmp_path)])


def test_rows_of_nab() -> None:
    entry = {"score": 71.0, "windows_hit": 44, "windows": 56, "false_episodes_per_channel_week": 0.4}
    found = {"anomaly": dict.fromkeys(("standard", "low_FP", "low_FN", "three_quarters"), entry)}
    assert [measure.met for measure in nab.measures(found)] == ["must", "must", "no"]
