"""The edges of the line: one supervised task per source and per destination, started, kept and stopped by name."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.config.secrets import references
from gateway.config.settings import DestinationSettings, Settings, SourceSettings
from gateway.contract import Clock, Event, LinesideError, SecretRef, Source, SourceContext, Uplink, UplinkContext, Usage
from gateway.engine.admit import Admission
from gateway.engine.devices import Devices
from gateway.engine.inbox import Inbox
from gateway.engine.order import Reorder
from gateway.engine.pipeline import Pipeline
from gateway.engine.pump import run_source
from gateway.feedback.edge import run_feedback
from gateway.outbox import tally
from gateway.outbox.breaker import Breaker
from gateway.outbox.losses import Filled, Gap, Losses
from gateway.outbox.sender import Sender
from gateway.outbox.store import Outbox
from gateway.outbox.summary import Group
from gateway.supervisor import supervise
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Link, LinkState, Status
from gateway.web.ingest import Door, Ingest

if TYPE_CHECKING:
    from gateway.isolate.source import IsolatedSource

log = logging.getLogger("lineside")
_PATIENCE_SECONDS = 2.0
_ROUNDS = 3


class Edges:
    """Knows which sources and destinations run, and with which settings, so that a reload touches only what changed.

    loading    executor for importing protocol libraries: not the loop, not asyncio's default one
    summarise  makes the event that stands for what is over a destination's budget
    learn      told when verdicts came in
    devices    told what sources say of their devices
    ingest     where sources take what is posted to them
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
        losses: Losses,
        secret: Callable[[SecretRef], str],
        loading: Executor,
        summarise: Callable[[str, Group], Event],
        learn: Callable[[], None],
        devices: Devices,
        ingest: Ingest,
    ) -> None:
        self._devices = devices
        self._tasks, self._pipeline, self._outbox = tasks, pipeline, outbox
        self._clock, self._status, self._counts, self._losses = clock, status, counts, losses
        self._secret, self._loading, self._summarise, self._learn, self._ingest = secret, loading, summarise, learn, ingest
        self.sources: dict[str, tuple[SourceSettings, asyncio.Task[None], Link, Inbox]] = {}
        self.senders: dict[str, tuple[DestinationSettings, asyncio.Task[None], Link, Sender]] = {}
        self._verdicts: dict[str, asyncio.Task[None]] = {}

    @property
    def breakers(self) -> list[Breaker]:
        """Of the destinations."""
        return [sender.breaker for _, _, _, sender in self.senders.values()]

    async def apply(self, settings: Settings) -> None:
        """Stop what is gone or changed, start what is new; the rest is not touched."""
        sources = {source.machine: source for source in settings.sources}
        destinations = {destination.name: destination for destination in settings.destinations}
        await self.stop_sources([name for name, running in self.sources.items() if sources.get(name) != running[0]])
        backed = _backed(settings)
        before = {name: _asks(destination) for name, (destination, *_) in self.senders.items()}
        await self.stop_senders(
            [
                name
                for name, (destination, _, _, sender) in self.senders.items()
                if destinations.get(name) != destination or sender.has_fallback != (name in backed)
            ]
        )
        self._ingest.keep({name for name, source in sources.items() if source.plugin.receives})
        for source in settings.sources:
            if source.machine not in self.sources:
                self._start_source(source, settings.state_dir)
        for destination in settings.destinations:
            if destination.name not in self.senders:
                self._start_sender(destination, settings, anew=before.get(destination.name, _asks(destination)) != _asks(destination))
        await self._tell_orphaned(destinations)

    async def urge(self, name: str, settings: Settings) -> Link | str:
        """Begin anew with a destination that waits for something that may be over; as if its options had changed. A text: it does not,
        or only for its budget, which is in that text.
        """
        if name not in self.senders:
            return ""
        destination, _, link, sender = self.senders[name]
        if not sender.held_back and link.state != "down":
            return sender.throttle.why or sender.throttle.machines
        await self.stop_senders([name])
        self._start_sender(destination, settings, anew=True)
        return self.senders[name][2]

    async def _tell_orphaned(self, destinations: Iterable[str]) -> None:
        """Nobody sends what waits for a destination that was renamed or removed."""
        names = sorted(destinations)
        found: dict[str, int] = {}
        with suppress(sqlite3.OperationalError):  # a disk that refuses is told elsewhere
            found = await self._outbox.look(lambda connection: tally.orphaned(connection, names))
            if await self._outbox.look(tally.configured) != names:
                await self._outbox.run(lambda connection: tally.note_configured(connection, names))
        for name, waiting in found.items():
            facts = {"destination": name, "events": waiting, "remedy": f"lineside outbox move {name} NEW"}
            log.warning("events wait for a destination that is not configured", extra={"fields": facts})

    async def stop_sources(self, names: Iterable[str]) -> None:
        """End them side by side; what they have already given is processed."""
        stopped = {name: self.sources.pop(name) for name in names}
        await _end([task for _, task, _, _ in stopped.values()])
        for name, (_, _, link, _) in stopped.items():
            if link.state == "down":
                self._losses.gap(Gap(name, link.since_ns, self._clock.now_ns()))
            self._pipeline.end(name)
            self._status.remove(link)

    async def stop_senders(self, names: Iterable[str]) -> list[Sender]:
        """End them side by side; returns what they were."""
        names = list(names)
        stopped = [self.senders.pop(name) for name in names]
        await _end([*(task for _, task, _, _ in stopped), *(self._verdicts.pop(name) for name in names)])
        for _, _, link, _ in stopped:
            self._status.remove(link)
        return [sender for _, _, _, sender in stopped]

    async def last_send(self, deadline_seconds: float) -> None:
        """End all senders, then try once more to deliver what still waits."""
        senders = await self.stop_senders(list(self.senders))
        for result in await asyncio.gather(*(sender.drain(deadline_seconds) for sender in senders), return_exceptions=True):
            if isinstance(result, Exception):
                unforeseen = None if isinstance(result, LinesideError) else result
                log.error("last send failed", extra={"fields": {"why": str(result)}}, exc_info=unforeseen)

    def _start_source(self, source: SourceSettings, state_dir: Path) -> None:
        name = source.machine
        link = self._status.add("source", name)

        def dropped(what: str, reason: str, count: int) -> None:
            self._counts.add(f"{what}_dropped", count, source=name, reason=reason)
            self._losses.add(what, name, reason, count)

        def skipped(count: int) -> None:
            self._counts.add("polls_skipped", count, source=name)

        def took(count: int) -> None:
            self._counts.add("readings_received", count, source=name)

        def filled(from_ns: int, to_ns: int, count: int) -> None:
            self._losses.fill(Filled(name, from_ns, to_ns, count))

        link.changed = partial(self._source_changed, source, link)
        seconds = source.options.reorder
        reorder = Reorder(self._clock, seconds) if seconds else None
        admit = Admission(source.tags, source.records).check
        inbox = Inbox(source.options.when_full, wake=self._pipeline.wake, took=took, dropped=dropped, reorder=reorder, admit=admit)
        self._pipeline.inboxes[name] = inbox
        door = self._ingest.door(name) if source.plugin.receives else Door()
        context = SourceContext(
            name=name,
            tags=source.tags,
            records=source.records,
            clock=self._clock,
            state_dir=state_dir / "sources" / name,
            pki=state_dir / "pki",
            secret=self._secret,
            dropped=partial(dropped, "readings"),
            skipped=skipped,
            filled=filled,
            health=partial(self._devices.told, name),
            serve=door.serve,
        )
        build: Callable[[], Source] = partial(source.plugin.build, source.options, context)
        alone = self._isolated(source, context) if source.isolated else None
        run = run_source((lambda: alone) if alone else build, inbox, link, clock=self._clock, status=self._status, loading=self._loading)
        run = alone.around(run) if alone else run
        self.sources[name] = (source, self._tasks.create_task(run, name=f"source {name}"), link, inbox)

    def _isolated(self, source: SourceSettings, context: SourceContext) -> IsolatedSource:
        from gateway.isolate.source import IsolatedSource, Isolation

        assert source.isolated is not None  # noqa: S101  asked before
        options = source.options
        models = (options, *(tag.options for tag in source.tags), *(record.options for record in source.records))
        isolation = Isolation(
            plugin=source.isolated,
            megabytes=options.isolated_megabytes,
            silent_seconds=options.isolated_silence,
            secrets=tuple(ref for model in models for _, ref in references(model)),
        )

        def ended(reason: str) -> None:
            self._counts.add("source_processes_ended", 1, source=source.machine, reason=reason)

        return IsolatedSource(options, context, isolation, ended=ended)

    def _source_changed(self, source: SourceSettings, link: Link, before: LinkState, since_ns: int) -> None:
        """What a source could not read while it was away stands in the ledger."""
        if link.state == "down":
            self._losses.gap(Gap(source.machine, link.since_ns))
        elif before == "down":
            seconds, period = (link.since_ns - since_ns) / 1e9, getattr(source.options, "poll_seconds", None)
            count = int(len(source.tags) * seconds / period) if period else None
            self._losses.gap(Gap(source.machine, since_ns, link.since_ns, count))

    def _start_sender(self, destination: DestinationSettings, settings: Settings, *, anew: bool = False) -> None:
        name, options = destination.name, destination.options
        link = self._status.add("destination", name)

        def used(usage: Usage) -> None:
            sender.throttle.told(usage)

        context = UplinkContext(
            name=name,
            source=settings.site.urn,
            clock=self._clock,
            state_dir=settings.state_dir / "uplinks" / name,
            secret=self._secret,
            used=used,
            lost=lambda: sender.lost(),
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
            options=options,
            summarise=partial(self._summarise, name),
            loading=self._loading,
            has_fallback=name in _backed(settings),
            anew=anew,
        )
        run = supervise(link, sender.run, self._clock, self._status)
        self.senders[name] = (destination, self._tasks.create_task(run, name=f"destination {name}"), link, sender)
        self._verdicts[name] = self._tasks.create_task(self._bring_verdicts(destination, context), name=f"verdicts of {name}")

    async def _bring_verdicts(self, destination: DestinationSettings, context: UplinkContext) -> None:
        """As long as the destination gives any."""
        name, loop = destination.name, asyncio.get_running_loop()
        try:
            brings = await loop.run_in_executor(self._loading, destination.plugin.feedback, destination.options, context)
        except (LinesideError, ImportError) as exc:
            log.error("verdicts cannot be taken", extra={"fields": {"destination": name, "why": str(exc)}})
            return
        if brings is None:
            return
        link = self._status.add("feedback", name)
        try:
            await run_feedback(
                lambda: brings,
                self._outbox,
                name,
                link,
                clock=self._clock,
                status=self._status,
                counts=self._counts,
                wake=self._learn,
                loading=self._loading,
            )
        finally:
            self._status.remove(link)


def _asks(destination: DestinationSettings) -> tuple[object, ...]:
    """Whom it asks, and as whom."""
    return destination.plugin.name, destination.options, destination.secrets


def _backed(settings: Settings) -> set[str | None]:
    """Destinations that have a fallback."""
    return {destination.options.fallback_for for destination in settings.destinations}


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancel, and again whoever hangs in its own tidying up; who hangs for good is left behind, for the others' sake."""
    waiting: Iterable[asyncio.Task[None]] = tasks
    for _ in range(_ROUNDS):
        if not waiting:
            return
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_PATIENCE_SECONDS)
        for task in waiting:
            log.warning("does not end", extra={"fields": {"task": task.get_name(), "waited_seconds": _PATIENCE_SECONDS}})
