"""NAB: one threshold for all series, beside what one would take instead.

    python -m benchmarks.analytics.nab --data nab --json nab.json

The threshold of each profile is the best one for these series unless ``--threshold`` gives it; NAB does the same, and it flatters
every detector. ``--split`` shows how much: the threshold is chosen on one half of the series and scored on the other, both ways.
``--contributions`` leaves out one member of the bank at a time.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.analytics import members, nab_check, nab_data, references
from benchmarks.analytics.episodes import per_channel_week
from benchmarks.analytics.measure import Measure
from benchmarks.analytics.nab_scorer import PROFILES, Floats, Score, Series, Sheet
from benchmarks.analytics.run import Named, Unfit, ours

QUIET = "three_quarters"
"""Not a profile of NAB's: the standard score at the highest threshold that hits three windows in four."""

Figures = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    try:
        if options.check and (apart := nab_check.apart(options.check, options.data)) > nab_check.AGREES:
            print(f"nab: the scorers disagree by {apart:.3f} on random scores", file=sys.stderr)
            return 1
        found = run(options)
    except (nab_data.Absent, Unfit) as exc:
        print(f"nab: {exc}", file=sys.stderr)
        return 2
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return 0


def run(options: argparse.Namespace) -> Figures:
    """All that was asked for, told as it is found."""
    series = nab_data.read(options.data)
    detectors = _detectors(options)
    print(f"{len(series)} series, {sum(len(one.value) for one in series)} rows, {sum(len(one.spans) for one in series)} windows")
    scores = {}
    found: Figures = {}
    _head()
    for detector in detectors:
        scores[detector.name] = detector.run(series)
        found[detector.name] = figures(series, scores[detector.name], options.threshold, options.join_hours)
        _tell(detector.name, found[detector.name])
    if options.split:
        found["split"] = {name: splits(series, column) for name, column in scores.items()}
        _tell_splits(found["split"], found)
    return found


def figures(series: Sequence[Series], scores: Sequence[Floats], threshold: float | None = None, join_hours: float = 0.0) -> Figures:
    """Per profile score, threshold (null: silence is best), windows hit and false episodes; see QUIET for the fourth."""
    sheet = Sheet(series)

    def entry(profile: str, at: float | None) -> Figures:
        return _entry(sheet.score(scores, PROFILES[profile], at), lambda limit: per_channel_week(series, scores, limit, join_hours))

    found = {profile: entry(profile, threshold) for profile in PROFILES}
    if threshold is None and sheet.windows:
        found[QUIET] = entry("standard", sheet.hitting(scores, math.ceil(0.75 * sheet.windows)))
    return found


def splits(series: Sequence[Series], scores: Sequence[Floats]) -> Figures:
    """Threshold from one half, score on the other: series by name in turn, and groups (directories) in turn."""
    groups = sorted({one.name.partition("/")[0] for one in series})
    by_name = [number % 2 for number in range(len(series))]
    by_group = [groups.index(one.name.partition("/")[0]) % 2 for one in series]
    return {
        f"{kind}_{side}": _half(series, scores, [part == side for part in parts])
        for kind, parts in (("names", by_name), ("groups", by_group))
        for side in (0, 1)
    }


def _half(series: Sequence[Series], scores: Sequence[Floats], chosen: list[bool]) -> Figures:
    def take(wanted: bool) -> tuple[list[Series], list[Floats]]:
        rows = [number for number, one in enumerate(chosen) if one is wanted]
        return [series[number] for number in rows], [scores[number] for number in rows]

    (learn, learn_scores), (test, test_scores) = take(True), take(False)
    if not learn or not test:
        raise Unfit("too few series to split")
    choice, judge, found = Sheet(learn), Sheet(test), {}
    for name, profile in PROFILES.items():
        limit = choice.score(learn_scores, profile).threshold
        found[name] = _entry(judge.score(test_scores, profile, limit), lambda at: per_channel_week(test, test_scores, at))
    return found


def _entry(score: Score, episodes: Callable[[float], float]) -> Figures:
    limit = score.threshold
    return {
        "score": None if math.isnan(score.score) else round(score.score, 2),
        "threshold": limit if math.isfinite(limit) else None,
        "windows_hit": score.windows_hit,
        "windows": score.windows,
        "false_episodes_per_channel_week": round(episodes(limit), 4),
        "false_rows": score.false_rows,
    }


def measures(found: Figures) -> list[Measure]:
    """Beside the targets; the third one at the threshold that hits three windows in four."""
    bank, other = found[members.BANK], found.get("ewma_z", {})
    standard, low, calm = bank["standard"], bank["low_FP"], bank.get(QUIET)
    hit = f"{standard['windows_hit']} of {standard['windows']} windows hit"
    plain = {name: f"EWMA |z| {other[name]['score']:.1f}" for name in PROFILES if name in other}
    rows = [
        Measure("NAB standard, one threshold", standard["score"], ">=", 70, 77, "", "75.7 contextOSE", plain.get("standard", "–"), hit),
        Measure("NAB low FP", low["score"], ">=", 63, 73, "", "71.9 contextOSE", plain.get("low_FP", "–")),
    ]
    if calm:
        name = "false alarm episodes per channel-week, three windows in four hit"
        plainly = f"EWMA |z| {other[QUIET]['false_episodes_per_channel_week']:.2f}" if other else "–"
        rows.append(Measure(name, calm["false_episodes_per_channel_week"], "<=", 0.35, 0.1, "", "0.22 CAD-OSE, whole corpus", plainly))
    return rows


def _detectors(options: argparse.Namespace) -> list[Named]:
    names = options.detector or [members.BANK, *(one.name for one in references.ALL)]
    known = {one.name: one for one in references.ALL}
    detectors = [known.get(name) or ours(name) for name in names]
    left_out = members.NAMES if options.contributions else options.leave_out
    return detectors + [members.without(member) for member in left_out]


def _head() -> None:
    print(f"{'':32}{'standard':>9}{'low_FP':>9}{'low_FN':>9}   windows hit   false episodes per channel-week: standard, {QUIET}")


def _tell(name: str, found: Figures) -> None:
    standard, quiet = found["standard"], found.get(QUIET)
    scores = "".join(f"{_shown(found[profile]['score']):>9}" for profile in PROFILES)
    calm = f", {quiet['false_episodes_per_channel_week']:.2f}" if quiet else ""
    hit = f"{standard['windows_hit']}/{standard['windows']}"
    print(f"{name:32}{scores}   {hit:>11}   {standard['false_episodes_per_channel_week']:.2f}{calm}", flush=True)


def _tell_splits(split: Figures, found: Figures) -> None:
    print(f"\nthreshold from one half, score on the other:\n{'':32}{'set':>10}{'standard':>9}{'low_FP':>9}{'low_FN':>9}")
    for name, halves in split.items():
        for half, entry in ({"all": found[name]} | halves).items():
            print(f"{name:32}{half:>10}" + "".join(f"{_shown(entry[profile]['score']):>9}" for profile in PROFILES))


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.1f}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.analytics.nab", description="Numenta Anomaly Benchmark, version 1.1")
    parser.add_argument("--data", type=Path, required=True, help="folder with data/<group>/<name>.csv and labels/combined_windows.json")
    parser.add_argument("--threshold", type=float, help="of all series and profiles; default: the best one of each profile")
    parser.add_argument("--detector", action="append", metavar="NAME", help="of the product or of the references; default: anomaly and all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--check", type=Path, metavar="FILE", help="first compare our scorer with this one's `score_corpus`")
    parser.add_argument("--join-hours", type=float, default=0.0, help="alarms this close are one episode; default: only unbroken runs are")
    parser.add_argument("--split", action="store_true", help="choose the threshold on one half of the series, score the other")
    parser.add_argument("--leave-out", action="append", default=[], metavar="MEMBER", help="also the bank without this member")
    parser.add_argument("--contributions", action="store_true", help="also the bank without each of its members in turn")
    return parser


if __name__ == "__main__":
    sys.exit(main())
