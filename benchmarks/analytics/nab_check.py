"""Our scorer against another one, on random scores: with ties and without, with the best threshold and with a given one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from benchmarks.analytics import nab_data
from benchmarks.analytics.nab_scorer import PROFILES, Sheet

AGREES = 0.01
SEED = 7
GIVEN = 0.9


def apart(tool: Path, folder: Path) -> float:
    """The largest difference between the two in any profile. `tool` has `score_corpus(series, windows, threshold)`, where `series`
    is ``{name: (stamps, scores)}``, and `load_windows(path)`. Raises Absent."""
    spec = importlib.util.spec_from_file_location("nab_reference", tool)
    if not tool.is_file() or spec is None or spec.loader is None:
        raise nab_data.Absent(f"{tool} is no scorer")
    reference = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(reference)
    series, windows = nab_data.read(folder), reference.load_windows(folder / "labels" / "combined_windows.json")
    sheet, rng, worst = Sheet(series), np.random.default_rng(SEED), 0.0
    for digits in (2, 9):
        scores = [rng.random(len(one.value)).round(digits) for one in series]
        stamps = [[str(at) for at in one.t_ns.view("datetime64[ns]").astype("datetime64[s]")] for one in series]
        table = {
            one.name: ([stamp.replace("T", " ") for stamp in column], score.tolist())
            for one, column, score in zip(series, stamps, scores, strict=True)
        }
        for threshold in (None, GIVEN):
            theirs = reference.score_corpus(table, windows, threshold)
            differences = [abs(sheet.score(scores, PROFILES[name], threshold).score - theirs[name]["score"]) for name in PROFILES]
            worst = max(worst, *differences)
    return worst
