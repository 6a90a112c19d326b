"""One place where verdicts take effect, whoever brought them: a destination, or the command line beside the running gateway."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from gateway.contract import Clock, Detector, Label, Teachable, Tunable
from gateway.engine.watch import Watch
from gateway.feedback import tuning
from gateway.feedback.factors import Move, Place
from gateway.feedback.study import Bounds, Studied, study
from gateway.outbox.store import Outbox

log = logging.getLogger("lineside")
POLL_SECONDS = 2.0
"""How soon the running gateway notices what a command wrote."""


class Lessons:
    """Reads labels that are new, moves factors, tells detectors.

    watches   those of the running configuration, asked for each time
    """

    def __init__(self, outbox: Outbox, clock: Clock, watches: Callable[[], Sequence[Watch]], *, poll_seconds: float = POLL_SECONDS) -> None:
        self._outbox, self._clock, self._watches, self._poll_seconds = outbox, clock, watches, poll_seconds
        self._work = asyncio.Event()
        self._told: dict[str, tuple[Watch, dict[Place, float]]] = {}
        self._in_vain: set[str] = set()

    def wake(self) -> None:
        """Verdicts came in: do not wait for the next look."""
        self._work.set()

    def renewed(self, watch: Watch) -> None:
        """Its detector was built anew and knows no factor."""
        self._told.pop(watch.name, None)
        self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            timer = loop.call_later(self._poll_seconds, self._work.set)
            await self._work.wait()
            timer.cancel()
            self._work.clear()
            self._take(await self._outbox.insist(self._study()))

    async def apply_all(self) -> None:
        """After a start or a reload, before the detectors see anything: their factors as they are. A disk that refuses to
        write keeps nobody from starting; `run` tries again.
        """
        try:
            self._take(await self._outbox.run(self._study()))
        except sqlite3.OperationalError as exc:
            log.warning("thresholds are as configured for now", extra={"fields": {"why": str(exc)}})

    def _study(self) -> Callable[[sqlite3.Connection], Studied]:
        watches = self._watches()
        wait = any(watch.detector is None and watch.settings.options.feedback for watch in watches)
        return partial(study, bounds=self._bounds(watches), learn=not wait, now_ns=self._clock.now_ns())

    def _bounds(self, watches: Sequence[Watch]) -> Bounds:
        """Of the detectors that are built; whether one can be tuned is not known before."""
        built = [watch for watch in watches if watch.detector is not None]
        for watch in built:
            if watch.settings.options.feedback and not isinstance(watch.detector, Tunable) and watch.name not in self._in_vain:
                self._in_vain.add(watch.name)
                why = f"verdicts do not move thresholds of {watch.settings.plugin.name}; they are counted, no more"
                log.warning("feedback has no effect", extra={"fields": {"watch": watch.name, "why": why}})
        return {watch.name: watch.settings.options.feedback if isinstance(watch.detector, Tunable) else None for watch in built}

    def _take(self, studied: Studied) -> None:
        for moved in studied.moves:
            _tell(moved)
        watches = {watch.name: watch for watch in self._watches()}
        self._told = {name: told for name, told in self._told.items() if name in watches}
        for watch in watches.values():
            self._tune(watch, studied)
        for name, label in studied.lessons:
            if name in watches:
                watches[name].tell(partial(_teach, label=label))
        if studied.more:
            self._work.set()

    def _tune(self, watch: Watch, studied: Studied) -> None:
        """Tell what it was not told; a detector that was built anew knows nothing yet."""
        known, told = self._told.get(watch.name, (watch, {}))
        told = told if known is watch else {}
        for place, stored in studied.factors.items():
            factor = tuning.within(stored, watch.settings.options.feedback)
            if place.detector == watch.name and told.get(place, 1.0) != factor:
                watch.tell(partial(_tune, place=place, factor=factor))
                told[place] = factor
        self._told[watch.name] = watch, told


def _tune(detector: Detector, *, place: Place, factor: float) -> None:
    if isinstance(detector, Tunable):
        detector.tune(place.machine, place.condition, factor)


def _teach(detector: Detector, *, label: Label) -> None:
    if isinstance(detector, Teachable):
        detector.teach(label)


def _tell(moved: Move) -> None:
    facts = {"watch": moved.place.detector, "machine": moved.place.machine, "condition": moved.place.condition}
    facts |= {"before": f"{moved.before:.4g}", "after": f"{moved.after:.4g}", "who": moved.who, "why": moved.why}
    log.info("threshold moved", extra={"fields": facts})
