"""The project's own NAB scorer, against the definition taken row by row, and against the reference scorer where that is at hand."""

import csv
import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.analytics import nab
from benchmarks.analytics.episodes import WEEK_NS, false_episodes
from benchmarks.analytics.nab_scorer import PROFILES, Profile, Series, Sheet, earned

# The benchmark's files and a scorer that is not ours, see `nab_check.apart`.
RECORDINGS, REFERENCE = os.environ.get("LINESIDE_NAB"), os.environ.get("LINESIDE_NAB_SCORER")
FIVE_MINUTES = 300_000_000_000


def series(rows: int, *spans: tuple[int, int], name: str = "a/b.csv") -> Series:
    return Series(name, np.arange(rows, dtype=np.int64) * FIVE_MINUTES, np.zeros(rows), spans)


def by_hand(one: Series, alarms: np.ndarray, profile: Profile) -> float:
    """The definition, row by row."""
    total = 0.0
    for first, last in one.spans:
        rows = [row for row in range(max(first, one.probation), last + 1) if alarms[row]]
        best = earned(np.array([(rows[0] - last - 1) / (last - first + 1)]))[0] / earned(np.array([-1.0]))[0] if rows else None
        total += -profile.missed if best is None else profile.found * best
    for row in range(one.probation, len(alarms)):
        if not alarms[row] or any(first <= row <= last for first, last in one.spans):
            continue
        past = [(first, last) for first, last in one.spans if last < row]
        total += profile.false * (earned(np.array([(row - past[-1][1]) / (past[-1][1] - past[-1][0])]))[0] if past else -1.0)
    null, perfect = -profile.missed * len(one.spans), profile.found * len(one.spans)
    return 100 * (total - null) / (perfect - null)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_threshold_scores_what_the_definition_says(profile: str) -> None:
    one = series(900, (250, 320), (500, 540))
    score = np.random.default_rng(3).random(900).round(2)
    found = Sheet([one]).score([score], PROFILES[profile], 0.97)
    assert found.score == pytest.approx(by_hand(one, score >= 0.97, PROFILES[profile]))


@pytest.mark.parametrize("profile", PROFILES)
def test_no_threshold_is_better_than_the_best_one(profile: str) -> None:
    one = series(900, (250, 320), (500, 540))
    score = np.random.default_rng(4).random(900).round(2)
    score[255] = score[510] = 1.5
    sheet = Sheet([one])
    best = sheet.score([score], PROFILES[profile])
    assert best.score == pytest.approx(max(sheet.score([score], PROFILES[profile], limit).score for limit in np.unique(score)))
    assert best.score == pytest.approx(sheet.score([score], PROFILES[profile], best.threshold).score)


def test_a_perfect_detector_and_a_silent_one() -> None:
    one, perfect = series(900, (250, 320)), np.zeros(900)
    perfect[250] = 1.0
    assert Sheet([one]).score([perfect], PROFILES["standard"]).score == pytest.approx(100.0)
    silent = Sheet([one]).score([np.zeros(900)], PROFILES["standard"])
    assert (silent.score, silent.threshold, silent.windows_hit) == (0.0, math.inf, 0)


def test_the_threshold_that_hits_so_many_windows() -> None:
    one, score = series(900, (250, 320), (500, 540)), np.zeros(900)
    score[[260, 510]] = 3.0, 2.0
    assert [Sheet([one]).hitting([score], count) for count in (1, 2)] == [3.0, 2.0]


def test_an_episode_is_a_run_outside_the_windows() -> None:
    one, score = series(900, (250, 320)), np.zeros(900)
    score[[10, 200, 201, 203, 300, 318, 319, 320, 321, 322, 600]] = 1.0  # 10: probation; 318 to 322: began inside
    episodes, weeks = false_episodes(one, score, 1.0)
    assert episodes == 3
    assert weeks == pytest.approx((900 - 135 - 71) * FIVE_MINUTES / WEEK_NS)
    assert false_episodes(one, score, 1.0, join_hours=1.0)[0] == 2


def test_a_folder_of_the_same_shape(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = folder(tmp_path)
    assert (
        nab.main(["--data", str(tmp_path), "--detector", "random", "--detector", "always", "--split", "--json", str(tmp_path / "j")]) == 0
    )
    found = json.loads((tmp_path / "j").read_text())
    assert found["always"]["standard"]["windows"] == len(names)
    assert found["random"]["low_FN"].keys() >= {"score", "threshold", "windows_hit", "windows", "false_episodes_per_channel_week"}
    assert found["split"]["random"].keys() == {"names_0", "names_1", "groups_0", "groups_1"}
    assert "4 series, 800 rows, 4 windows" in capsys.readouterr().out


def test_a_folder_of_another_shape_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert nab.main(["--data", str(tmp_path)]) == 2
    assert "labels/combined_windows.json" in capsys.readouterr().err


def folder(path: Path) -> list[str]:
    names = [f"{group}/{name}.csv" for group in ("one", "two") for name in ("a", "b")]
    stamps = [str(np.datetime64("2024-01-01T00:00:00") + 300 * row).replace("T", " ") for row in range(200)]
    for name in names:
        (path / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        with (path / "data" / name).open("w", newline="") as file:
            csv.writer(file).writerows([("timestamp", "value"), *((stamp, row % 7) for row, stamp in enumerate(stamps))])
    (path / "labels").mkdir()
    windows = {name: [[stamps[100] + ".000000", stamps[120] + ".000000"]] for name in names}
    (path / "labels" / "combined_windows.json").write_text(json.dumps(windows))
    return names


@pytest.mark.skipif(not (RECORDINGS and REFERENCE), reason="LINESIDE_NAB and LINESIDE_NAB_SCORER do not say where they are")
def test_agrees_with_the_reference_scorer() -> None:
    assert nab.main(["--data", str(RECORDINGS), "--detector", "always", "--check", str(REFERENCE)]) == 0


def test_a_scorer_that_disagrees_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder(tmp_path)
    other = tmp_path / "other.py"
    other.write_text(
        "load_windows = lambda path: {}\n"
        "def score_corpus(series, windows, threshold=None):\n"
        "    return {name: {'score': 50.0} for name in ('standard', 'low_FP', 'low_FN')}\n"
    )
    assert nab.main(["--data", str(tmp_path), "--detector", "always", "--check", str(other)]) == 1
    assert "disagree" in capsys.readouterr().err
