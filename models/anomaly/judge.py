"""From z to an alarm: hysteresis, one alarm an episode, its kind and severity, and a new level that is accepted in time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.anomaly import tail
from models.anomaly.columns import (
    ACTIVE,
    BEGAN,
    BELOW,
    CALLED,
    CALM,
    HIGHEST,
    IN_ALARM,
    JUDGED,
    KIND,
    MID,
    MOVED,
    POWER_LONG,
    RAISED,
    SEVERITY,
    SHORT,
    SLOW,
    SPREAD,
    TOLD,
    USUAL,
    WIDTH,
    Columns,
)
from models.anomaly.residuals import Residuals
from models.anomaly.rounds import span
from models.anomaly.settings import (
    AGAIN,
    BACK,
    CALM_READINGS,
    CONTEXT,
    DRIFT,
    FAR,
    LEVEL,
    LONG,
    NONE,
    PATTERN,
    POWER,
    PRESENT,
    RAISE,
    READING,
    RELAPSE,
    SEASON,
    SHIFT,
    SPIKE,
    STRONGER,
    SUBSPACE,
    VARIANCE,
    Settings,
)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.intp]
Times = NDArray[np.int64]

_SUDDEN = 1.0  # score of a single reading below which it is usual
_JUMP = 2.0  # score of a single reading from which an alarm begins as a spike
_STAYS = 3.0  # unusual readings in a row that are no spike
_LONGEST = 12.0  # judged readings of a spike: what did not come to rest by then is something else
_NOISY, _LOUD = 0.25, 0.5  # mean square of which the average explains less is noise, if the member says so with this score
_CAME = 0.5  # of the present average is in the long one already: it came slowly
_PASSING = 3.0  # judged readings that are a spike, whatever the averages say
_BAND = 3.0  # score of the deviation that is the band's edge: one reading in a thousand


@dataclass(frozen=True, slots=True)
class Sums:
    """Of n readings.

    scores     float64[7, n]  -log10 p of each member, times its weight
    z          float64[n]     their sum, see `CHANCES` and `MEMBER_MOST`, in typical peaks; strength: all of it
    limit      float64[n]     z from which it is an alarm
    """

    scores: Floats
    z: Floats
    strength: Floats
    limit: Floats


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Of n readings.

    kind       int8[n]  what is shown, NONE if nothing
    severity   int8[n]  0 none, 1 beyond the limit, 2 with a reading FAR times the band away
    changed    bool[n]  to be told
    began      bool[n]  shown from this reading on
    accepted   bool[n]  over because its level became the usual one
    """

    kind: NDArray[np.int8]
    severity: NDArray[np.int8]
    changed: Flags
    began: Flags
    accepted: Flags


def judge(
    c: Columns, settings: Settings, row: Places, t_ns: Times, now: Floats, times: Times, found: Residuals, sums: Sums, warm: Flags
) -> Verdicts:
    """Update the alarms of these tags: in `c.alarm`, and in `now` and `times` (in place)."""
    alarm, scores, z, limit = c.alarm[:, span(row)].copy(), sums.scores, sums.z, sums.limit
    usual = scores[READING] < _SUDDEN
    now[CALM] = np.where(usual, np.maximum(now[CALM], 0.0) + 1.0, np.minimum(now[CALM], 0.0) - 1.0)
    if not (alarm[ACTIVE].any() or (z >= limit).any()):
        untold = alarm[TOLD] == 0
        if untold.any():
            now[IN_ALARM] = 0.0  # what an accepted level has left there
        if not (warm & untold).any():
            return _nothing(len(row))
    was, shown = alarm[ACTIVE] == 1, alarm[KIND].copy()
    beyond = (z >= limit) & (_largest(now, found) >= settings.at_least)
    passed = (shown == SPIKE) & (now[CALM] >= CALM_READINGS) & (now[IN_ALARM] <= _LONGEST)
    now[BELOW] = np.where(was & (z < BACK * limit), now[BELOW] + (t_ns - times[JUDGED]) * 1e-9, 0.0)
    active = np.where(warm, beyond | (was & (now[BELOW] < settings.smooth)), was) & ~passed
    now[BELOW] *= active  # what is not in alarm has no count, judged alone or in company
    begins = active & ~was
    fresh = (t_ns - times[CALLED] >= int(AGAIN * settings.memory * 1e9)) | (times[CALLED] == 0)
    strong = active & beyond & (fresh & begins | (sums.strength >= STRONGER * now[HIGHEST]))
    now[IN_ALARM] = np.where(active, np.where(begins, 1.0, now[IN_ALARM] + warm), 0.0)
    told = active & ((shown > NONE) | strong | (now[IN_ALARM] >= RELAPSE))
    kind = np.where(told, _kinds(shown, found, scores, now), NONE).astype(np.int8)
    severity = np.where(told, np.maximum(alarm[SEVERITY], 1 + (np.abs(found.rest) >= FAR * now[WIDTH])), 0).astype(np.int8)
    times[BEGAN] = np.where(begins, t_ns, times[BEGAN])
    highest = np.where(shown > NONE, np.maximum(now[HIGHEST], sums.strength), sums.strength)
    now[HIGHEST] = np.where(told, highest, now[HIGHEST])
    if passed.any():
        _forget_spike(now, np.flatnonzero(passed))
    accepted = np.zeros(len(row), dtype=np.bool_)
    if active.any():
        stays = np.flatnonzero(active & warm & (t_ns - times[BEGAN] >= int(settings.accept_after * 1e9)))
        accepted[stays] = True
        adopt(now, stays, SLOW)
        active[stays], kind[stays], severity[stays] = False, NONE, 0
    changed = warm & ((kind != shown) | (severity != alarm[SEVERITY]) | (alarm[TOLD] == 0))
    began = (kind > NONE) & (shown == NONE)
    alarm[KIND], alarm[SEVERITY], alarm[ACTIVE] = kind, severity, active
    alarm[TOLD] |= changed
    c.alarm[:, row] = alarm
    if began.any():
        times[CALLED] = np.where(began, t_ns, times[CALLED])
        now[RAISED] += RAISE * began
        c.began(row[began], t_ns[began])
    return Verdicts(kind, severity, changed, began, accepted)


def _nothing(n: int) -> Verdicts:
    """The usual case."""
    none, no = np.zeros(n, dtype=np.int8), np.zeros(n, dtype=np.bool_)
    return Verdicts(none, none, no, no, no)


def _forget_spike(now: Floats, at: Places) -> None:
    """A spike that passed is over: what it left in the averages would keep the alarm for as long as they are; `now` in place."""
    now[MID, at] = now[SLOW, at] = now[MOVED, at] = 0.0
    now[SHORT, at] = now[POWER_LONG, at]


def adopt(now: Floats, at: Places, average: int) -> None:
    """The present level, by the row of `now` that averages it, is the usual one; `now` in place."""
    now[USUAL, at] += now[average, at]
    now[MID, at] = now[SLOW, at] = now[MOVED, at] = 0.0
    now[HIGHEST, at] = 0.0


def band(c: Columns, row: Places, kind: NDArray[np.int8]) -> Floats:
    """Half width of what 999 of 1,000 readings keep to, float64[n]: of single readings for a spike, else of their average."""
    single = tail.deviation(tail.Tail(*c.tail[:, READING, row]), _BAND)
    average = tail.deviation(tail.Tail(*c.tail[:, LONG, row]), _BAND)
    return np.where((kind == NONE) | (kind == SPIKE) | (kind >= VARIANCE), single, average)


def _largest(now: Floats, found: Residuals) -> Floats:
    """The deviation in engineering units, however it shows."""
    largest: Floats = np.maximum(np.maximum(np.abs(found.rest), np.abs(now[MID])), np.maximum(np.abs(now[SLOW]), np.sqrt(now[SHORT])))
    return largest


def _kinds(shown: NDArray[np.int8], found: Residuals, scores: Floats, now: Floats) -> NDArray[np.intp]:
    """What kind it is. It begins as a spike where a single reading says so, and is more than that when the readings stay away."""
    level = np.maximum(np.maximum(scores[PRESENT], scores[LONG]), scores[SHIFT])
    pattern = np.maximum(scores[CONTEXT], scores[SUBSPACE])
    lasts = now[IN_ALARM] > _PASSING
    single = np.where(lasts, -1.0, scores[READING])
    # What moved away and stays there is a level; what is as often above as below and louder than usual is not.
    louder = np.where(now[MID] ** 2 < _NOISY * now[SHORT], 2 * scores[POWER], 0.0)
    level = np.where(louder >= 2 * _LOUD, 0.0, level)
    strongest = np.argmax(np.stack([single, level, louder, pattern]), axis=0)
    slow = np.where((shown == NONE) & (scores[READING] < _JUMP) & (np.abs(now[SLOW]) > _CAME * np.abs(now[MID])), DRIFT, LEVEL)
    kind = np.choose(strongest, [np.full(len(shown), SPIKE), slow, np.full(len(shown), VARIANCE), np.full(len(shown), PATTERN)])
    away = (np.abs(found.moved) < np.sqrt(now[SPREAD])) & (np.abs(found.rest) > 2 * np.abs(found.moved))
    kind = np.where((kind <= DRIFT) & away, SEASON, kind)
    kind = np.where((shown == NONE) & ~lasts & (scores[READING] >= _JUMP) & (kind != SEASON), SPIKE, kind)
    passing = (shown == SPIKE) & (~lasts | ((now[CALM] > -_STAYS) & (now[IN_ALARM] <= _LONGEST)))
    return np.where((shown > SPIKE) | passing, shown, kind)
