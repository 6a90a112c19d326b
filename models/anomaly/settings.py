"""What the engineer sets, in seconds, and what is fixed."""

from __future__ import annotations

from dataclasses import dataclass

NONE, SPIKE, SHIFT = 0, 1, 2
WEEK = 604_800.0
LEAST_LIMIT = 3.0  # standard deviations (or steps of the resolution): less is never an anomaly, whatever the history says
BACK = 0.75  # of the limit: inside it, an alarm is over
FAR = 2.0  # times the limit: an error rather than a warning
PAUSE = 10.0  # intervals without a reading are a pause, if longer than `gap`
FORGET = 3.0  # memories without a reading: nothing known of the tag holds any more
SETTLE = 5.0  # times `smooth` after a pause until the present level can be trusted
CLIP = 3.0  # standard deviations a deviation counts in the spread, at most: one bad start must not blind for a day
RIPE = 30  # readings before the spread is good enough to count deviations in it
REFRESH = 64  # readings between two looks at a tag's tails
FIRST_REFRESH = 16  # and until the first one after the warm-up: tags that started together take turns
RAREST = 1e-2  # a limit is never lower than what one reading in a hundred exceeds


@dataclass(frozen=True, slots=True)
class Settings:
    """`AnomalyOptions` in seconds."""

    false_alarms_per_week: float = 1.0
    memory: float = 86_400.0
    smooth: float = 10.0
    warm_up: float = 3_600.0
    warm_up_readings: int = 300
    gap: float = 600.0
    accept_after: float = 86_400.0
    at_least: float = 0.0
