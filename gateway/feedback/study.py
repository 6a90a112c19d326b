"""What comes of verdicts, in one transaction: factors, audit, and the mark that says how far was learnt."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import NamedTuple

from gateway.contract import Judgement, Label
from gateway.contract.options import FeedbackOptions
from gateway.feedback import tuning
from gateway.feedback.factors import Move, Place, factors, move, reverted
from gateway.outbox import labels
from gateway.outbox.labels import LabelRow

AT_ONCE = 500
"""Labels per transaction."""
_JUDGEMENTS = {judgement.value: judgement for judgement in Judgement}

Bounds = Mapping[str, FeedbackOptions | None]
"""By detector, of those whose thresholds can be moved; None: they may not."""


class Studied(NamedTuple):
    """Factors as they are now, what changed, what is to be taught to which detector, and whether more waits."""

    factors: dict[Place, float]
    moves: list[Move]
    lessons: list[tuple[str, Label]]
    more: bool


def study(connection: sqlite3.Connection, bounds: Bounds, *, learn: bool, now_ns: int) -> Studied:
    """Clip what the bounds of today do not allow, then learn from labels nobody has learnt from; done twice it does nothing more.

    learn   False: labels wait, because not every detector is there yet
    """
    now = factors(connection)
    moves = [clip for place, factor in now.items() if (clip := _clip(place, factor, bounds)) is not None]
    for clip in moves:
        move(connection, clip, now_ns=now_ns)
        now[clip.place] = clip.after
    rows = labels.unlearnt(connection, AT_ONCE if learn else 0)
    for row in rows:
        moved = _moved(connection, row, now, bounds)
        if moved is not None:
            move(connection, moved, now_ns=now_ns, label=row.number)
            now[moved.place] = moved.after
            moves.append(moved)
    if rows:
        labels.learnt(connection, rows[-1].number)
    lessons = [lesson for row in rows if (lesson := _lesson(connection, row)) is not None]
    return Studied(now, moves, lessons, len(rows) == AT_ONCE)


def _clip(place: Place, factor: float, bounds: Bounds) -> Move | None:
    if place.detector not in bounds:
        return None
    options = bounds[place.detector]
    allowed = tuning.within(factor, options)
    why = "verdicts may not move it any more" if options is None else f"bound at_most: {options.at_most:g}"
    return Move(place, factor, allowed, "configuration", why) if allowed != factor else None


def _moved(connection: sqlite3.Connection, row: LabelRow, now: Mapping[Place, float], bounds: Bounds) -> Move | None:
    options, judgement = bounds.get(row.detector), _JUDGEMENTS.get(row.judgement)
    place = Place(row.detector, row.machine, row.condition)
    if options is None or judgement is None or row.number <= reverted(connection, place):
        return None
    factor, stood = now.get(place, 1.0), _JUDGEMENTS.get(labels.before(connection, row))
    after = tuning.moved(factor, judgement, options, instead_of=stood)
    who = f"{row.by} ({row.origin})" if row.by else row.origin
    return Move(place, factor, after, who, f"{row.judgement} of {row.incident}") if after != factor else None


def _lesson(connection: sqlite3.Connection, row: LabelRow) -> tuple[str, Label] | None:
    """None for an incident that is not known, or not any more: nobody could say which stretch of time is meant."""
    found, judgement = labels.meant(connection, row.incident), _JUDGEMENTS.get(row.judgement)
    if found is None or judgement is None or not row.detector:
        return None
    label = Label(machine=row.machine, condition=row.condition, judgement=judgement, since_ns=found.since_ns, until_ns=found.until_ns)
    return row.detector, label
