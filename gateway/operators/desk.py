"""Where commands that were given beside the running gateway arrive, and what is kept of watches on trial goes to disk."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial

from gateway.contract import Clock
from gateway.engine.shadow import Shadow
from gateway.engine.watch import Watch
from gateway.operators.progress import Progress
from gateway.operators.renewal import NOT_DONE, Renewal, ready
from gateway.operators.shelving import Shelving
from gateway.operators.urging import Urging
from gateway.outbox import requests, shadow, shelves
from gateway.outbox.requests import Request
from gateway.outbox.shadow import ShadowAlarm
from gateway.outbox.shelves import Shelf
from gateway.outbox.store import Outbox

log = logging.getLogger("lineside")
POLL_SECONDS = 2.0
"""How soon the running gateway notices what a command wrote."""


class Desk:
    """Looks every two seconds.

    watches   those of the running configuration, asked for each time
    """

    def __init__(self, outbox: Outbox, clock: Clock, watches: Callable[[], Sequence[Watch]], urging: Urging) -> None:
        self._outbox, self._clock, self._watches, self._urging = outbox, clock, watches, urging
        self.shelving, self.progress = Shelving(clock), Progress(clock)

    async def open(self) -> None:
        """Before the first incident: the shelves as they are. A disk that refuses keeps nobody from starting."""
        try:
            self.shelving.take(await self._outbox.run(partial(shelves.those, now_ns=self._clock.now_ns())))
        except sqlite3.OperationalError as exc:
            log.warning("shelves are not known for now", extra={"fields": {"why": str(exc)}})

    async def run(self, renewal: Renewal, trial: Shadow) -> None:
        """Until cancelled."""
        while True:
            await self.look(renewal, trial)
            await self._clock.sleep(POLL_SECONDS)

    async def close(self, trial: Shadow) -> None:
        """At the end: what watches on trial found since the last look."""
        await self._outbox.insist(partial(shadow.keep, alarms=trial.take()))

    async def look(self, renewal: Renewal, trial: Shadow) -> None:
        """Once."""
        leaps = self.shelving.leaps
        here, asked = await self._outbox.insist(partial(_turn, alarms=trial.take(), now_ns=self._clock.now_ns()))
        if leaps == self.shelving.leaps:  # else they end by the time before
            self.shelving.take(here)
        for request in asked:
            await self._serve(request, renewal)
        self.progress.look(self._watches())

    async def _serve(self, request: Request, renewal: Renewal) -> None:
        of_destination = request.what == requests.TRY
        if not of_destination and not ready(request, self._watches()):
            return
        if request.answer == requests.BEGUN:
            answer = f"{NOT_DONE}the gateway ended while it did this; look whether it runs, and ask again"
        else:
            await self._outbox.insist(partial(requests.begin, request=request))
            answer = await (self._urging.do(request) if of_destination else renewal.do(request, self._watches()))
        await self._outbox.insist(partial(requests.answer, request=request, text=answer, now_ns=self._clock.now_ns()))
        facts = {"what": request.name, "who": request.who, "why": request.why, "answer": answer}
        log.info(request.what, extra={"fields": facts})


def _turn(connection: sqlite3.Connection, alarms: Sequence[ShadowAlarm], now_ns: int) -> tuple[list[Shelf], list[Request]]:
    shadow.keep(connection, alarms)
    shelves.expire(connection, now_ns)
    return shelves.those(connection, now_ns), requests.pending(connection)
