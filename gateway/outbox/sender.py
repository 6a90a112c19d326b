"""Moves events from the outbox to one destination. One task per destination; a hung receiver stops only its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from gateway.contract import Clock, Event, NotConnected, Outcome, OutcomeKind, Uplink
from gateway.outbox.aside import ASIDE_SECONDS, Aside
from gateway.outbox.breaker import Breaker
from gateway.outbox.store import Outbox
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Link, Status

log = logging.getLogger("lineside")

_IDLE_SECONDS = 5.0
_QUIET_SECONDS = 60.0


class Sender:
    """Lease, send, settle, in order of sequence. Connects when it starts, so that a wrong address shows before an event waits.

    build     makes the uplink; called again after the connection was lost, so no state of a broken client survives
    loading   executor for `build`, which imports the uplink's library
    timeout   of the uplink; the sender gives up on one that does not keep it after three times that and five seconds
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
        batch: int,
        timeout: float,
        loading: Executor,
    ) -> None:
        self.name, self._build, self._loading, self._outbox = name, build, loading, outbox
        self._link, self._status, self._counts, self._clock = link, status, counts, clock
        self._batch, self._deadline = batch, 3 * timeout + 5
        self.breaker = Breaker(clock)
        self._aside = Aside(clock)
        self._uplink: Uplink | None = None
        self._cursor = 0
        self._settling: asyncio.Task[None] | None = None
        self._refused, self._told = 0, float("-inf")

    async def run(self) -> None:
        """For ever, until cancelled."""
        self._wake = self._outbox.subscribe()
        self._cursor = 0
        try:
            while True:
                events = await self._next()
                if wait := self.breaker.wait_seconds():
                    await self._clock.sleep(wait)
                    continue
                if self.breaker.state == "half-open":
                    events = events[:1]
                await self._deliver(events)
        finally:
            self._outbox.unsubscribe(self._wake)
            await self._disconnect()

    async def drain(self, deadline_seconds: float) -> None:
        """The last send before a stop: try until empty, a failure, or the deadline."""
        try:
            async with asyncio.timeout(deadline_seconds):
                while not self.breaker.wait_seconds() and (events := await self._lease()):
                    await self._deliver(events)
        except TimeoutError:
            return
        finally:
            await self._settled()
            await self._disconnect()

    async def _next(self) -> Sequence[Event]:
        while True:
            self._wake.clear()
            events = await self._lease()
            if events:
                return events
            await self._again()
            if events := await self._lease():
                return events
            if self._uplink is None and not self.breaker.wait_seconds():
                await self._greet()
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _greet(self) -> None:
        """Connect while nothing waits."""
        try:
            await self._connected()
        except (NotConnected, TimeoutError, OSError) as exc:
            self._failed(exc)
        else:
            self._status.up(self._link)

    async def _lease(self) -> Sequence[Event]:
        """What goes next: one probe while the breaker is half-open, one event of a machine on trial, else a batch."""
        if self.breaker.state == "half-open" and (probe := await self._probe()):
            return probe
        while machine := self._aside.on_trial():
            await self._settled()
            if oldest := await self._outbox.lease(self.name, 0, 1, only=machine):
                return oldest
            self._passed(machine)
        return await self._outbox.lease(self.name, self._cursor, self._batch, without=self._aside.left_out)

    async def _probe(self) -> Sequence[Event]:
        """The oldest event; after a failed probe that of another machine, because the event itself may be the trouble."""
        if probe := await self._outbox.lease(self.name, self._cursor, 1, without=self._aside.suspects):
            return probe
        self._aside.all_doubted()
        return await self._outbox.lease(self.name, self._cursor, 1, without=self._aside.left_out)

    async def _deliver(self, events: Sequence[Event]) -> None:
        outcomes = await self._send(events)
        if outcomes is None:
            return
        kinds = {outcome.kind for outcome in outcomes}
        for kind in kinds:
            self._counts.add("deliveries", sum(o.kind is kind for o in outcomes), destination=self.name, outcome=kind.value)
        self._tell_parked([outcome for outcome in outcomes if outcome.kind is OutcomeKind.PARK])
        await self._settled()
        # The next batch is sent while this one's outcome goes to disk; if that is lost, the same ids are sent again.
        self._settling = self._outbox.settle(self.name, events, outcomes)
        self._cursor = events[-1].sequence
        await self._conclude(events[0].partitionkey, outcomes, waits=bool(kinds & {OutcomeKind.RETRY, OutcomeKind.HOLD}))

    async def _conclude(self, machine: str, outcomes: Sequence[Outcome], *, waits: bool) -> None:
        """What the answers tell of the receiver, and of the machine whose event was sent alone."""
        probing, on_trial = self.breaker.state == "half-open", machine in self._aside.left_out
        if waits or probing or on_trial:
            await self._again()
        if not waits:
            self.breaker.succeeded()
            self._passed(machine)
            self._status.up(self._link)
            self._link.why = self._aside.why
        elif on_trial and outcomes[0].kind is OutcomeKind.RETRY:
            self._set_aside(machine, outcomes[0].reason)
        else:
            if probing and outcomes[0].kind is OutcomeKind.RETRY:
                self._aside.doubt(machine)
            self._back_off(outcomes)

    def _set_aside(self, machine: str, why: str) -> None:
        if self._aside.failed(machine):
            facts = {"destination": self.name, "machine": machine, "why": why, "retry_seconds": ASIDE_SECONDS}
            log.warning("set aside", extra={"fields": facts})
        if self._link.state == "up":
            self._link.why = self._aside.why

    def _passed(self, machine: str) -> None:
        if self._aside.passed(machine):
            log.info("taken up again", extra={"fields": {"destination": self.name, "machine": machine}})

    def _tell_parked(self, parked: Sequence[Outcome]) -> None:
        """At once, then once a minute at most: a receiver that refuses everything must not fill the journal."""
        self._refused += len(parked)
        if parked and self._clock.monotonic() - self._told >= _QUIET_SECONDS:
            log.warning("parked", extra={"fields": {"destination": self.name, "events": self._refused, "why": parked[0].reason}})
            self._refused, self._told = 0, self._clock.monotonic()

    async def _again(self) -> None:
        """From the oldest on."""
        await self._settled()
        self._cursor = 0

    async def _send(self, events: Sequence[Event]) -> list[Outcome] | None:
        """None: nothing was taken; the breaker knows."""
        try:
            uplink = await self._connected()
            # The uplink keeps its own timeout; this is for the one that does not.
            async with asyncio.timeout(self._deadline):
                outcomes = await uplink.send(events)
        except (NotConnected, TimeoutError, OSError) as exc:
            self._failed(exc)
            await self._disconnect()
            await self._again()
            return None
        if len(outcomes) != len(events):
            raise RuntimeError(f"uplink {self.name} gave {len(outcomes)} outcomes for {len(events)} events")
        return outcomes

    def _failed(self, exc: NotConnected | OSError) -> None:
        hung = NotConnected(self.name, f"no answer within {self._deadline:g} s")
        self._status.down(self._link, hung if isinstance(exc, TimeoutError) else exc, self.breaker.failed())

    def _back_off(self, outcomes: Sequence[Outcome]) -> None:
        waiting = [o for o in outcomes if o.kind in (OutcomeKind.RETRY, OutcomeKind.HOLD)]
        worst = max(waiting, key=lambda o: (o.kind is OutcomeKind.HOLD, o.after_seconds))
        pause = self.breaker.held if worst.kind is OutcomeKind.HOLD else self.breaker.failed
        self._status.down(self._link, NotConnected(self.name, worst.reason), pause(worst.after_seconds))

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
