"""Moves events from the outbox to one destination. One task per destination; a hung receiver stops only its own."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial

from gateway.contract import Clock, Event, NotConnected, Outcome, OutcomeKind, Severity, Uplink, UplinkOptions
from gateway.outbox import fallback, lease, memory
from gateway.outbox.breaker import WELL, Breaker, Memory
from gateway.outbox.drift import Drift
from gateway.outbox.store import Outbox
from gateway.outbox.summary import Summarise
from gateway.outbox.throttle import Throttle
from gateway.outbox.trials import Trials
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import CLOCK_RETRY_SECONDS, Link, Status

log = logging.getLogger("lineside")

_IDLE_SECONDS = 5.0
_QUIET_SECONDS = 60.0
_TAKEN = (OutcomeKind.SENT, OutcomeKind.DUPLICATE)


class Sender:
    """Lease, send, settle. Connects when it starts, so that a wrong address shows before an event waits.

    build         makes the uplink; called again after the connection was lost, so no state of a broken client survives
    loading       executor for `build`, which imports the uplink's library
    has_fallback  another destination takes over what waits here while this one is down
    options       its `timeout` is the uplink's; the sender gives up on one that does not keep it after three times that and five seconds
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], Uplink],
        outbox: Outbox,
        *,
        link: Link,
        status: Status,
        counts: Counts,
        clock: Clock,
        options: UplinkOptions,
        summarise: Summarise,
        loading: Executor,
        has_fallback: bool = False,
        anew: bool = False,
    ) -> None:
        self.name, self._build, self._loading, self._outbox = name, build, loading, outbox
        self._link, self._status, self._counts, self._clock, self._options = link, status, counts, clock, options
        self._deadline, self.has_fallback = 3 * options.timeout + 5, has_fallback
        self.breaker = Breaker(clock, options.retry)
        self._mark = random.randrange(2, 1 << 62) if has_fallback else 0
        self.throttle = Throttle(name, outbox, clock, options, summarise, mark=self._mark)
        self._trials, self._drift = Trials(name, outbox, clock), Drift(clock)
        self._uplink: Uplink | None = None
        self._settling: asyncio.Task[None] | None = None
        self._refused, self._told = 0, float("-inf")
        self._recalled, self._anew = False, anew
        self._unreachable = False
        self._gone = False
        self._wake = asyncio.Event()
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at = 0.0

    async def run(self) -> None:
        """For ever, until cancelled."""
        self._wake = self._outbox.subscribe()
        try:
            await self._recall()
            while True:
                # Waited for before anything is leased: what is leased may already count as tried.
                if wait := self.breaker.wait_seconds():
                    await self._clock.sleep(wait)
                elif events := await self._next():
                    await self._deliver(events)
        finally:
            self._silence()
            self._outbox.unsubscribe(self._wake)
            await self._disconnect()

    @property
    def held_back(self) -> bool:
        """It waits for something to be over at the receiver, or may, because what it did before the restart is not known yet."""
        return not self._recalled or not self.breaker.well or bool(self._trials.why)

    def lost(self) -> None:
        """Told by the uplink: its connection is gone."""
        self._gone = self._uplink is not None
        self._wake.set()

    async def drain(self, deadline_seconds: float) -> None:
        """The last send before a stop: try until empty, a failure, or the deadline. What cannot be noted until then is sent again later."""
        try:
            async with asyncio.timeout(deadline_seconds):
                while not self.breaker.wait_seconds() and (events := await self._lease()):
                    await self._deliver(events)
                await self._settled()
        except TimeoutError:
            return
        finally:
            if self._settling is not None:
                self._settling.cancel()
            await self._disconnect()

    async def _recall(self) -> None:
        """Breaker, budget and what was set aside, as they were before a restart."""
        if self._recalled:
            return
        known, aside = await self._outbox.insist(self._remembered)
        self.breaker.recall(known)
        self._trials.recall(aside)
        await self.throttle.recall()
        if not self.breaker.well:
            self._status.down(self._link, NotConnected(self.name, known.why or "as before the restart"), self.breaker.wait_seconds())
        await self.throttle.came_back()
        self._recalled = True

    def _remembered(self, connection: sqlite3.Connection) -> tuple[Memory, list[memory.SetAside]]:
        if self._anew:
            memory.keep_breaker(connection, self.name, WELL)
            memory.due(connection, self.name)
        return memory.breaker(connection, self.name), memory.aside(connection, self.name)

    async def _next(self) -> list[Event]:
        """What to send now; nothing when a wait has begun meanwhile."""
        while not self.breaker.wait_seconds():
            self._wake.clear()
            if self._gone:
                await self._disconnect()
                await self._failed(NotConnected(self.name, "connection lost"))
                continue
            await self._take_over()
            if events := await self._lease():
                return await self._lingered(events)
            await self._settled()
            if self._uplink is None:
                await self._greet()
            if not self.breaker.wait_seconds():
                await self._idle(min(_IDLE_SECONDS, self.throttle.wait_seconds()))
        return []

    async def _idle(self, seconds: float) -> None:
        """Until something was stored, at most so long. An alarm that rings earlier is left as it is: a task for each wake-up costs more."""
        due = self._clock.monotonic() + seconds
        if self._alarm is None or self._alarm.done() or self._alarm_at > due:
            self._silence()
            self._alarm, self._alarm_at = asyncio.create_task(self._ring(seconds)), due
        await self._wake.wait()

    async def _ring(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._wake.set()

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    async def _lingered(self, events: list[Event]) -> list[Event]:
        """A batch that is not full waits for more, unless something in it is critical."""
        until = self._clock.monotonic() + self._options.linger
        while self._lingers(events) and (left := until - self._clock.monotonic()) > 0:
            self._wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return events
            events = await self._lease() or events
        return events

    def _lingers(self, events: list[Event]) -> bool:
        if len(events) >= self._options.batch or self.breaker.state != "closed" or self._trials.due:
            return False
        return not any(event.severity >= Severity.CRITICAL for event in events)

    async def _greet(self) -> None:
        """Connect while nothing waits."""
        try:
            await self._connected()
        except (NotConnected, TimeoutError, OSError) as exc:
            await self._failed(exc)
        else:
            self._status.up(self._link)
            self._link.why = self._trials.why
            if self._unreachable:  # that was all: what was wrong with an answer only another answer can put right
                await self._succeeded()

    async def _take_over(self) -> None:
        first = self._options.fallback_for
        if first is None or self._uplink is None:
            return
        after_ns, now_ns = int(self._options.fallback_after * 1e9), self._clock.now_ns()
        step = partial(fallback.take_over, first=first, second=self.name, after_ns=after_ns, now_ns=now_ns, well=self.breaker.well)
        moved = 0
        while count := await self._outbox.insist(step):
            moved += count
        if moved:
            log.warning("taken over", extra={"fields": {"destination": self.name, "from": first, "events": moved}})

    async def _lease(self) -> list[Event]:
        """What goes next: one probe while the breaker is half-open, one event of a machine on trial, else a batch."""
        wanted = await self.throttle.wanted(self._options.batch)
        if wanted is None:
            return []
        if self.breaker.state == "half-open":
            return await self._trials.probe(wanted, self._drift.suspected)
        if self._trials.due:
            await self._settled()
            if oldest := await self._trials.next(wanted):
                return oldest
        events = await self._outbox.lease(self.name, wanted)
        if self.throttle.draining and wanted.backlog and not events:
            self.throttle.backlog_empty()
        return await self.throttle.fits(events)

    async def _deliver(self, events: Sequence[Event]) -> None:
        outcomes = await self._send(events)
        if outcomes is None:
            return
        outcomes = self._drift.judge(outcomes)
        kinds = {outcome.kind for outcome in outcomes}
        for kind in kinds:
            self._counts.add("deliveries", sum(o.kind is kind for o in outcomes), destination=self.name, outcome=kind.value)
        self._tell_parked([outcome for outcome in outcomes if outcome.kind is OutcomeKind.PARK])
        filled = self.throttle.sent([event for event, outcome in zip(events, outcomes, strict=True) if outcome.kind in _TAKEN])
        await self._settled()
        # The next batch is sent while this one's outcome goes to disk; if that is lost, the same ids are sent again.
        self._settling = self._outbox.settle(self.name, events, outcomes, filled, self._mark)
        await self._conclude(events[0].partitionkey, outcomes, waits=bool(kinds & {OutcomeKind.RETRY, OutcomeKind.HOLD}))

    async def _conclude(self, machine: str, outcomes: Sequence[Outcome], *, waits: bool) -> None:
        """What the answers tell of the receiver, and of the machine whose event was sent alone."""
        probing, on_trial = self.breaker.state == "half-open", self._trials.tried(machine)
        if waits or probing or on_trial:
            await self._settled()
        if not waits:
            self._status.up(self._link)
            await self._succeeded()
            await self._trials.passed(machine)
            self._link.why = self._trials.why
        elif on_trial and not probing and outcomes[0].kind is OutcomeKind.RETRY:
            await self._trials.failed(machine, outcomes[0].reason)
            if self._link.state == "up":
                self._link.why = self._trials.why
        else:
            if probing and (outcomes[0].kind is OutcomeKind.RETRY or self._drift.suspected):
                self._trials.doubt(machine)
            await self._back_off(outcomes)

    async def _succeeded(self) -> None:
        if not self.breaker.well:
            self.breaker.succeeded()
            await self._remember()
            await self.throttle.came_back()

    def _tell_parked(self, parked: Sequence[Outcome]) -> None:
        """At once, then once a minute at most: a receiver that refuses everything must not fill the journal."""
        self._refused += len(parked)
        if parked and self._clock.monotonic() - self._told >= _QUIET_SECONDS:
            log.warning("parked", extra={"fields": {"destination": self.name, "events": self._refused, "why": parked[0].reason}})
            self._refused, self._told = 0, self._clock.monotonic()

    async def _send(self, events: Sequence[Event]) -> list[Outcome] | None:
        """None: nothing was taken, or nobody knows; the breaker does."""
        sequences, sending = [event.sequence for event in events], False
        try:
            uplink = await self._connected()
            sending = True
            # The uplink keeps its own timeout; this is for the one that does not.
            async with asyncio.timeout(self._deadline):
                outcomes = await uplink.send(events)
        except asyncio.CancelledError:
            if sending:  # whoever is the fallback after a reload or restart must not get them too
                self._outbox.submit(partial(lease.doubt, destination=self.name, sequences=sequences))
            elif self._mark:
                self._outbox.submit(partial(lease.untried, destination=self.name, sequences=sequences, mark=self._mark))
            raise
        except (NotConnected, TimeoutError, OSError) as exc:
            if sending and not isinstance(exc, NotConnected):
                await self._outbox.insist(partial(lease.doubt, destination=self.name, sequences=sequences))
            elif self._mark:
                await self._outbox.insist(partial(lease.untried, destination=self.name, sequences=sequences, mark=self._mark))
            await self._failed(exc)
            await self._disconnect()
            await self._settled()
            return None
        if len(outcomes) != len(events):
            raise RuntimeError(f"uplink {self.name} gave {len(outcomes)} outcomes for {len(events)} events")
        return outcomes

    async def _failed(self, exc: NotConnected | OSError) -> None:
        if self._status.blames_clock(exc):  # no failure of the receiver, and over as soon as the clock is right
            self._status.down(self._link, exc, CLOCK_RETRY_SECONDS)
            await self._clock.sleep(CLOCK_RETRY_SECONDS)
            return
        known = NotConnected(self.name, f"no answer within {self._deadline:g} s") if isinstance(exc, TimeoutError) else exc
        self._unreachable = isinstance(known, NotConnected) and not self.breaker.holding
        self._status.down(self._link, known, self.breaker.failed(str(known)[:300]))
        await self._remember()

    async def _back_off(self, outcomes: Sequence[Outcome]) -> None:
        self._unreachable = False
        waiting = [o for o in outcomes if o.kind in (OutcomeKind.RETRY, OutcomeKind.HOLD)]
        worst = max(waiting, key=lambda o: (o.kind is OutcomeKind.HOLD, o.after_seconds))
        pause = self.breaker.held if worst.kind is OutcomeKind.HOLD else self.breaker.failed
        self._status.down(self._link, NotConnected(self.name, worst.reason), pause(worst.reason[:300], worst.after_seconds))
        await self._remember()

    async def _remember(self) -> None:
        known = self.breaker.memory()
        await self._outbox.insist(partial(memory.keep_breaker, destination=self.name, memory=known))

    async def _connected(self) -> Uplink:
        if self._uplink is None:
            uplink = await asyncio.get_running_loop().run_in_executor(self._loading, self._build)
            try:
                async with asyncio.timeout(self._deadline):
                    await uplink.connect()
            except BaseException:
                await uplink.close()
                raise
            self._uplink = uplink
        return self._uplink

    async def _settled(self) -> None:
        if self._settling is not None:
            settling, self._settling = self._settling, None
            await settling

    async def _disconnect(self) -> None:
        if self._uplink is not None:
            uplink, self._uplink = self._uplink, None
            await uplink.close()
        self._gone = False
