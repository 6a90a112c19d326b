"""Any folder of the same shape will do; what is absent is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.vibration import cwru, femto, ims
from benchmarks.vibration.product import Absent
from gateway.testkit.rigs.vibration import BPFI, BPFO, RATE_HZ, RPM, bursts, noise

HEAD = "file,fault,diameter_in,fault_bearing,load_hp,rpm,fs_hz,samples,sensor,source_path\n"


def test_cwru_counts_right_open_and_silent_and_what_is_healthy(tmp_path: Path) -> None:
    n = 36_000
    records = {
        "a": ("OR", bursts(1, BPFO, n)),
        "b": ("IR", bursts(1, BPFI, n, modulation=0.7)),
        "c": ("B", noise(1, n)),
        "d": ("normal", noise(2, n)),
    }
    lines = [f"{name},{fault},,{'' if fault == 'normal' else 'drive end'},0,1797,12000,{n},DE,\n" for name, (fault, _) in records.items()]
    (tmp_path / "index.csv").write_text(HEAD + "".join(lines))
    for name, (_, samples) in records.items():
        np.savez(tmp_path / f"{name}.npz", x=samples, fs=RATE_HZ, rpm=RPM)
    found = cwru.run(tmp_path, tmp_path / "nothing")
    assert {key: found[key] for key in ("faults", "right", "wrong", "open", "silent", "false_on_healthy", "healthy")} == {
        "faults": 3,
        "right": 2,
        "wrong": 0,
        "open": 0,
        "silent": 1,
        "false_on_healthy": 0,
        "healthy": 3,  # whole, and two pieces
    }
    assert [row["verdict"] for row in found["rows"]] == ["right", "right", "silent"]
    assert [measure.met for measure in cwru.measures(found)][1:] == ["aim", "no", "aim", "aim"]


def series(path: Path, columns: np.ndarray, names: list[str]) -> None:
    rows = [f"{i},2004.02.12.10.32.39,{','.join(f'{value:.6f}' for value in row)}" for i, row in enumerate(columns)]
    path.write_text("\n".join([f",Datetime,{','.join(names)}", *rows]) + "\n")


def test_ims_says_when_bearing_1_is_told_and_what_the_restart_tells(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    first = np.exp(random.normal(-2, 0.02, (400, 4)))
    first[157:] *= [1.2, 1.15, 1.25, 1.2]
    second = np.exp(random.normal(-2, 0.02, (400, 4)))
    second[300:, 0] *= 1.5
    names = [f"Bearing {i}" for i in range(1, 5)]
    series(tmp_path / "1st_test_10min_meanabs.csv", first, names)
    series(tmp_path / "2nd_test_10min_meanabs.csv", second, names)
    found = ims.run(tmp_path)
    assert (found["restart_alarms"], found["alarms_before_restart"], found["others_before"]) == (0, 0, 0)
    assert 15 < found["lead_hours"] <= 16.6


def test_femto_counts_what_lasts_as_lead_and_what_ends_as_false(tmp_path: Path) -> None:
    level = np.exp(np.random.default_rng(2).normal(-1, 0.02, 600))
    level[200:260] *= 1.5
    level[500:] *= 1.5
    rows = "".join(f"{i},{i / 6:.3f},{value:.6f},{0.3:.6f}\n" for i, value in enumerate(level))
    (tmp_path / "Bearing9_1_features.csv").write_text(f"snapshot,minute,h_rms,v_rms\n{rows}")
    found = femto.run(tmp_path)["Bearing9_1"]
    assert found["false_alarms"] == 1
    assert 15 < found["lead_minutes"] < 16.6
    assert found["first"] == ["h_rms"]


def test_what_is_absent_is_said(tmp_path: Path) -> None:
    for run in (lambda: cwru.run(tmp_path, tmp_path), lambda: ims.run(tmp_path), lambda: femto.run(tmp_path)):
        with pytest.raises(Absent, match="is not there"):
            run()
