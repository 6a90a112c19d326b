"""How far the watches have learnt: asked now and then, on the thread that computes, and told in the log when they know something."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from gateway.contract import Clock, Detector, Learner, Learning
from gateway.engine.watch import Watch

log = logging.getLogger("lineside")
ASK_SECONDS = 5.0
SHARE_OF_TIME = 200
"""Asking takes at most one part of so many of a watch's time, however many tags it has."""
_MOST_NAMED = 3


@dataclass(frozen=True)
class Learnt:
    """One watch, when it was asked last.

    share   the lowest of all
    still   how many are not known yet
    alarms  that began in the last seven days, shown or not
    """

    things: tuple[Learning, ...]
    share: float
    still: int
    alarms: int

    @staticmethod
    def of(things: Iterable[Learning]) -> Learnt:
        found = tuple(things)
        shares = [thing.share for thing in found]
        still = sum(share < 1 for share in shares)
        return Learnt(found, min(shares, default=1.0), still, sum(thing.alarms for thing in found))


@dataclass
class _Asked:
    watch: Watch
    due: float = 0.0
    waits: bool = False
    learnt: Learnt | None = None


class Progress:
    """Of all watches whose detector is a `Learner`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._asked: dict[str, _Asked] = {}
        self._heard: deque[tuple[_Asked, Learnt, float]] = deque()

    def of(self, name: str) -> Learnt | None:
        """None: it does not learn, or was not asked yet."""
        asked = self._asked.get(name)
        return asked.learnt if asked else None

    def look(self, watches: Iterable[Watch]) -> None:
        """Ask those that are due, and take what was answered."""
        now = self._clock.monotonic()
        known, self._asked = self._asked, {}
        for watch in watches:
            if isinstance(watch.detector, Learner):
                asked = known.get(watch.name)
                self._asked[watch.name] = asked if asked is not None and asked.watch is watch else _Asked(watch)
        for asked in self._asked.values():
            if now >= asked.due and not asked.waits:
                asked.waits = True
                asked.watch.tell(partial(self._hear, asked))
        while self._heard:
            self._take(*self._heard.popleft(), now)

    def _hear(self, asked: _Asked, detector: Detector) -> None:
        """On the detector's thread."""
        started = time.perf_counter()
        learnt = Learnt.of(detector.learning() if isinstance(detector, Learner) else ())
        self._heard.append((asked, learnt, time.perf_counter() - started))

    def _take(self, asked: _Asked, learnt: Learnt, spent: float, now: float) -> None:
        before, asked.learnt, asked.waits = asked.learnt, learnt, False
        asked.due = now + max(ASK_SECONDS, SHARE_OF_TIME * spent)
        if before is None or not before.still:
            return
        unknown = {_name(thing) for thing in before.things if thing.share < 1}
        known = [name for thing in learnt.things if thing.share >= 1 and (name := _name(thing)) in unknown]
        if known:
            more = f" and {len(known) - _MOST_NAMED:,} more" if len(known) > _MOST_NAMED else ""
            knows = f"{', '.join(known[:_MOST_NAMED])}{more}"
            log.info("learnt", extra={"fields": {"watch": asked.watch.name, "knows": knows, "still_learning": learnt.still}})


def _name(thing: Learning) -> str:
    """
    >>> _name(Learning(machine="press-07", tag="oil", state="idle")), _name(Learning(machine="press-07"))
    ('press-07/oil (idle)', 'press-07')
    """
    path = f"{thing.machine}/{thing.tag}" if thing.tag else thing.machine
    return f"{path} ({thing.state})" if thing.state else path
