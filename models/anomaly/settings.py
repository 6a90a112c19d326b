"""What the engineer sets, in seconds, and what is fixed, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

NONE, SPIKE, LEVEL, DRIFT, VARIANCE, PATTERN, SEASON = range(7)
KINDS = ("usual", "spike", "level", "drift", "variance", "pattern", "season broken")

MEMBERS = ("reading", "present", "long", "level", "variance", "context", "subspace")
READING, PRESENT, LONG, SHIFT, POWER, CONTEXT, SUBSPACE = range(7)
WEIGHTS = (1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25)
"""Three scales of one deviation count fully, what looks at something else by half, and by a quarter where it mostly repeats the others."""

WEEK = 604_800.0
BACK = 0.75  # of the limit: below it, an alarm is over
FAR = 5.0  # times the half width of the band of single readings: an error rather than a warning
PAUSE = 10.0  # intervals without a reading are a pause, if longer than `gap`
FORGET = 3.0  # memories without a reading: nothing known of the tag holds any more
SETTLE, SETTLE_READINGS = 5.0, 12.0  # times `smooth`, and readings, after a pause until the present level can be trusted
CLIP = 4.0  # spreads a deviation counts in what is learnt of spread and season: one bad start must not blind for a day
RIPE = 30  # readings before the spread is good enough to clip by
LEVEL_SHARE = 0.75  # of `memory`: time constant of the usual level; what is slower than a day it follows
HISTORY = 14.0  # memories that a history of deviations looks back: two weeks hold each day of the week twice
HISTORY_READINGS = 5000.0  # that it holds at least: fewer do not know one in a thousand
BLOCK = 0.5  # of `memory`: peaks are counted once in it
CHANCES = 144.0  # readings in a block up to which a member's score counts in full: half a day of one every five minutes
AGAIN = 1.0  # of `memory` after an alarm: what comes back sooner is the same episode
RAISE, LOWER = 0.2, 3.0  # an alarm raises the tag's limit by this share, which fades over so many memories: who cries often is heard less
MEMBER_MOST = 4.0  # one in ten thousand: what a member counts at most, no history knows what is rarer
WEEKLY = 1 / 14  # alarms a block at which that holds, one a week by default; with fewer wanted, a member counts as many digits more
SURE = 3.0  # times the limit by scores unbounded is an alarm all the same: nothing is so usual for a tag that it may hide anything
SHORTEST = (6.0, 36.0)  # readings that `present` and `long` average at least
LONG_SMOOTH = 4.0  # times `smooth`: time constant of `long`
EVERY = 0.09  # of `smooth`: readings that come faster and are in the band are not judged one by one
CALM_READINGS = 3.0  # usual readings in a row that end a spike, whatever the averages still say
RELAPSE = 48.0  # judged readings after which an alarm that came back is told, however soon
STRONGER = 2.0  # times the episode's peak: told at once, however soon
FIRST_READINGS, FIRST_REFRESH, REFRESH = 200, 8, 64  # histories are fitted every 8 readings at first, then every 64; tags take turns
FRESH, SELDOM = 300.0, 2.0  # seconds that a fit is fresh enough: 64 readings that come faster wait until 64 times up to 2 to the 2
LEAST = 20  # readings before the first fit
TRUSTED = 12.0  # values of one half hour that weigh as much as the assumption that it is like the others; also of one weekday
STRONGEST = 30.0  # scores end here: no history tells 1e-30 from 1e-300
LARGEST = 1e150  # squares must stay finite


@dataclass(frozen=True, slots=True)
class Settings:
    """`AnomalyOptions` in seconds."""

    false_alarms_per_week: float = 1.0
    memory: float = 86_400.0
    smooth: float = 10.0
    warm_up: float = 3_600.0
    warm_up_readings: int = 300
    gap: float = 600.0
    accept_after: float = 64_800.0
    together: float = 60.0
    at_least: float = 0.0
    weights: tuple[float, ...] = WEIGHTS
