"""The edges of the line: one supervised task per source and per destination, started, kept and stopped by name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from gateway.config.settings import DestinationSettings, Settings, SourceSettings
from gateway.contract import Clock, SecretRef, Source, SourceContext, Uplink, UplinkContext
from gateway.engine.inbox import Inbox
from gateway.engine.pipeline import Pipeline
from gateway.engine.pump import run_source
from gateway.outbox.sender import Sender
from gateway.outbox.store import Outbox
from gateway.supervisor import supervise
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Link, Status


class Edges:
    """Knows which sources and destinations run, and with which settings, so that a reload touches only what changed.

    loading   executor for importing protocol libraries: not the loop, not asyncio's default one
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        pipeline: Pipeline,
        outbox: Outbox,
        *,
        clock: Clock,
        status: Status,
        counts: Counts,
        secret: Callable[[SecretRef], str],
        loading: Executor,
    ) -> None:
        self._tasks, self._pipeline, self._outbox = tasks, pipeline, outbox
        self._clock, self._status, self._counts, self._secret, self._loading = clock, status, counts, secret, loading
        self.sources: dict[str, tuple[SourceSettings, asyncio.Task[None], Link, Inbox]] = {}
        self.senders: dict[str, tuple[DestinationSettings, asyncio.Task[None], Link, Sender]] = {}

    async def apply(self, settings: Settings) -> None:
        """Stop what is gone or changed, start what is new; the rest is not touched."""
        sources = {source.machine: source for source in settings.sources}
        destinations = {destination.name: destination for destination in settings.destinations}
        for name in [name for name, running in self.sources.items() if sources.get(name) != running[0]]:
            await self.stop_source(name)
        for name in [name for name, running in self.senders.items() if destinations.get(name) != running[0]]:
            await self.stop_sender(name)
        for source in settings.sources:
            if source.machine not in self.sources:
                self._start_source(source, settings.state_dir)
        for destination in settings.destinations:
            if destination.name not in self.senders:
                self._start_sender(destination, settings)

    async def stop_sources(self) -> None:
        for name in list(self.sources):
            await self.stop_source(name)

    async def stop_senders(self, deadline_seconds: float) -> None:
        """Stop, then one last send for what is still waiting."""
        senders = [running[3] for running in self.senders.values()]
        for name in list(self.senders):
            await self.stop_sender(name)
        await asyncio.gather(*(sender.drain(deadline_seconds) for sender in senders))

    async def stop_source(self, name: str) -> None:
        _, task, link, inbox = self.sources.pop(name)
        await _ended(task)
        self._pipeline.flush()
        if self._pipeline.inboxes.get(name) is inbox:
            del self._pipeline.inboxes[name]
        self._status.remove(link)

    async def stop_sender(self, name: str) -> None:
        _, task, link, _ = self.senders.pop(name)
        await _ended(task)
        self._status.remove(link)

    def _start_source(self, source: SourceSettings, state_dir: Path) -> None:
        name = source.machine
        link = self._status.add("source", name)

        def dropped(reason: str, count: int) -> None:
            self._counts.add("readings_dropped", count, source=name, reason=reason)

        inbox = Inbox(source.options.when_full, wake=self._pipeline.wake, dropped=dropped)
        self._pipeline.inboxes[name] = inbox
        context = SourceContext(
            name=name,
            tags=source.tags,
            records=source.records,
            clock=self._clock,
            state_dir=state_dir / "sources" / name,
            secret=self._secret,
            dropped=dropped,
        )
        build: Callable[[], Source] = partial(source.plugin.build, source.options, context)
        run = run_source(build, inbox, link, clock=self._clock, status=self._status, loading=self._loading)
        self.sources[name] = (source, self._tasks.create_task(run, name=f"source {name}"), link, inbox)

    def _start_sender(self, destination: DestinationSettings, settings: Settings) -> None:
        name, options = destination.name, destination.options
        link = self._status.add("destination", name)
        context = UplinkContext(
            name=name, source=settings.site.urn, clock=self._clock, state_dir=settings.state_dir / "uplinks" / name, secret=self._secret
        )
        build: Callable[[], Uplink] = partial(destination.plugin.build, options, context)
        sender = Sender(
            name,
            build,
            self._outbox,
            link=link,
            status=self._status,
            counts=self._counts,
            clock=self._clock,
            batch=options.batch,
            timeout=options.timeout,
        )
        run = supervise(link, sender.run, self._clock, self._status)
        self.senders[name] = (destination, self._tasks.create_task(run, name=f"destination {name}"), link, sender)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
