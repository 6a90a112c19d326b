"""Senders on one outbox with scripted receivers, and a clock to turn: for tests of how events are delivered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from gateway.contract import SENT, Event, NotConnected, Outcome, UplinkOptions
from gateway.outbox import tally
from gateway.outbox.append import Addressed
from gateway.outbox.sender import Sender
from gateway.outbox.store import Outbox
from gateway.outbox.summary import Group
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Status
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs import event


class Receiver:
    """The contract's `Uplink` with a script: `answer` says what comes of each event."""

    def __init__(self) -> None:
        self.got: list[str] = []
        self.calls: list[list[str]] = []
        self.answer: Callable[[Event], Outcome] = lambda event: SENT
        self.reachable = True
        self.hangs = False
        self.waits = 0
        self.open = 0

    async def connect(self) -> None:
        if not self.reachable:
            raise NotConnected("crm.example", "connection refused")
        self.open += 1

    async def send(self, events: Sequence[Event]) -> list[Outcome]:
        if self.hangs:
            self.waits += 1
            await asyncio.Event().wait()
        self.calls.append([event.id for event in events])
        outcomes = [self.answer(event) for event in events]
        self.got += [e.id for e, o in zip(events, outcomes, strict=True) if o == SENT]
        return outcomes

    async def close(self) -> None:
        self.open -= 1


class Bench:
    """Senders on one outbox."""

    def __init__(self, outbox: Outbox, clock: FakeClock) -> None:
        self.outbox, self.clock = outbox, clock
        self.status, self.counts = Status(clock), Counts()
        self.loading = ThreadPoolExecutor(1)

    @asynccontextmanager
    async def sending(self, name: str, receiver: Receiver, *, has_fallback: bool = False, **options: Any) -> AsyncIterator[Sender]:
        link = self.status.add("destination", name)
        sender = Sender(
            name,
            lambda: receiver,
            self.outbox,
            link=link,
            status=self.status,
            counts=self.counts,
            clock=self.clock,
            options=UplinkOptions.model_construct(**{**dict(UplinkOptions(batch=10, timeout="1s")), **options}),
            summarise=summary_of,
            loading=self.loading,
            has_fallback=has_fallback,
        )
        task = asyncio.create_task(sender.run())
        try:
            yield sender
            if task.done():
                task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def append(self, *numbers: int, to: tuple[str, ...] = ("crm",)) -> None:
        await self.outbox.append([], [Addressed(event(n), to) for n in numbers])

    async def append_of(self, *machines: str, first: int = 0) -> list[str]:
        """One event of each, numbered from `first`; returns the ids."""
        made = [msgspec.structs.replace(event(n), partitionkey=machine) for n, machine in enumerate(machines, first)]
        await self.outbox.append([], [Addressed(each, ("crm",)) for each in made])
        return [each.id for each in made]

    async def until(self, condition: Callable[[], bool], *, tick: float = 0.0) -> None:
        """Let the tasks run, and the clock by `tick` seconds each time, until it is so."""
        async with asyncio.timeout(5):
            while not condition():
                await self.clock.advance(tick)
                await asyncio.sleep(0.002)

    async def backlog(self, destination: str = "crm") -> dict[str, int]:
        return (await self.outbox.run(tally.backlog))[destination]


def summary_of(group: Group) -> Event:
    """Stands for a group; its id says for which."""
    data = {"count": group.count, "by_type": group.by_type, "by_severity": group.by_severity, "incidents": group.incidents}
    return msgspec.structs.replace(
        event(0),
        id=f"sum-{group.machine}-{group.count}-{max(group.sequences)}",
        type="io.lineside.gateway.events_summarised.v1",
        partitionkey=group.machine,
        severity=group.worst,
        data=msgspec.json.encode(data),
    )
