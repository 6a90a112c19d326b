"""Alarm episodes: what an operator would have been called for, rather than rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.analytics.nab_scorer import Floats, Series

HOUR_NS = 3_600_000_000_000
WEEK_NS = 7 * 24 * HOUR_NS


def false_episodes(series: Series, score: Floats, threshold: float, join_hours: float = 0.0) -> tuple[int, float]:
    """(episodes, weeks) outside the windows and after the probation.

    An episode is an unbroken run of rows whose score reaches the threshold: no allowance is made for alarms that flap, unless one
    within `join_hours` of the last counts as the same. One that began inside a window is not false. A row stands for the series'
    median interval, so a hole in a recording is no quiet time.
    """
    counted = np.ones(len(score), dtype=bool)
    counted[: series.probation] = False
    for first, last in series.spans:
        counted[first : last + 1] = False
    alarm = score >= threshold
    alarm[: series.probation] = False
    rows = np.flatnonzero(alarm)
    begins = rows[(np.diff(rows, prepend=-2) > 1) & (np.diff(series.t_ns[rows], prepend=-WEEK_NS) > join_hours * HOUR_NS)]
    interval = float(np.median(np.diff(series.t_ns))) if len(series.t_ns) > 1 else 0.0
    return int(counted[begins].sum()), float(counted.sum()) * interval / WEEK_NS


def per_channel_week(series: Sequence[Series], scores: Sequence[Floats], threshold: float, join_hours: float = 0.0) -> float:
    """False episodes of all series by the weeks of all series."""
    counts = [false_episodes(one, score, threshold, join_hours) for one, score in zip(series, scores, strict=True)]
    weeks = sum(some for _, some in counts)
    return sum(count for count, _ in counts) / weeks if weeks else 0.0
