"""Puts the parts together, runs them, reloads and stops them. The one file that sees all of them."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from concurrent.futures import ThreadPoolExecutor

from gateway.clock import KeptClock
from gateway.config import ConfigErrors, Settings, load
from gateway.config.retable import keep_indices
from gateway.config.secrets import Secrets
from gateway.contract import Clock, ConfigError
from gateway.edges import Edges
from gateway.engine.accept import Acceptance, Route
from gateway.engine.blocks import Blocks
from gateway.engine.cases import Cases
from gateway.engine.devices import Devices
from gateway.engine.inbox import Inbox
from gateway.engine.lane import Lanes
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.replaced import tell_replaced
from gateway.engine.restore import restore
from gateway.engine.restored import begin_epoch
from gateway.engine.snapshot import Snapshots
from gateway.engine.storage import Storage
from gateway.engine.upkeep import Upkeep
from gateway.events.build import EventBuilder
from gateway.feedback.lessons import Lessons
from gateway.front import Front
from gateway.hands import AppHands
from gateway.incidents import Incidents, Rule
from gateway.operators.desk import Desk
from gateway.operators.renewal import Renewal
from gateway.operators.urging import Urging
from gateway.outbox.database import Replaced
from gateway.outbox.lock import NotNow, state_lock
from gateway.outbox.losses import Losses
from gateway.outbox.store import Outbox
from gateway.overview import Overview
from gateway.sdnotify import Notifier, answer_reload
from gateway.stall import Guard
from gateway.telemetry.counts import Counts
from gateway.telemetry.log import OURS
from gateway.telemetry.status import Link, Status
from gateway.telemetry.wear import Wear
from gateway.timekeeping import Followers, Timekeeping
from gateway.trail import Trail
from gateway.unit import Unit
from gateway.web.ingest import Ingest

log = logging.getLogger("lineside")
DRAIN_SECONDS = 3.0
LAST_SEND_SECONDS = 4.0


class App:
    """One gateway. `run` returns after `stop`; raises what the core could not survive."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, notifier: Notifier | None = None) -> None:
        self.settings = settings
        kept = KeptClock(trust=settings.clock.trust, wait_seconds=settings.clock.wait)
        self.clock: Clock = clock or kept
        self.counts = Counts()
        self.status = Status(self.clock)
        buffer = settings.buffer
        self.outbox = Outbox(
            settings.state_dir,
            self.clock,
            max_bytes=buffer.max_megabytes << 20,
            min_free_bytes=buffer.min_free_megabytes << 20,
            keep_days=buffer.keep_events_days,
            reserve_bytes=buffer.reserve_megabytes << 20,
            # A fallback gets what it takes over, also of what a salvaged file does not tell who waits for.
            destinations=[each.name for each in settings.destinations if each.options.fallback_for is None],
        )
        self._builder = EventBuilder(settings.site.urn)
        self.incidents = Incidents(self.clock, self._builder.incident_id, evidence_seconds=settings.incidents.after)
        endurance = settings.disk_endurance_terabytes
        self.wear = Wear(settings.state_dir, self.clock, None if endurance is None else endurance * 1e12)
        self.storage = Storage(settings.site.gateway, settings.state_dir, self.outbox, self.wear, self.incidents, self.clock)
        urging = Urging(lambda: self.edges.senders, self._urge, self.clock)
        self.desk = Desk(self.outbox, self.clock, lambda: self.pipeline.line.watches, urging)
        self.incidents.withhold = self.desk.shelving.why
        self._losses = Losses(self.clock)
        self._unit = Unit(notifier or Notifier(), self.clock, lambda: f"{self.storage.words}{self.status.summary()}")
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()
        self._files = ThreadPoolExecutor(1, thread_name_prefix="files")
        own = clock is None  # one that is given is believed
        self.time = Timekeeping(kept, self.outbox, self.status, self._builder, settings.state_dir, self._files) if own else None
        self._blocks = Blocks(self.settings.state_dir / "blocks", self._files, self.clock, self.counts)
        self._blocks.configure(settings.incidents, settings.tags)
        self._ingest = Ingest(self.counts)
        self.trail = Trail(self.outbox, settings.state_dir, self._files, self.counts, self.clock)
        self.front = Front(AppHands(self), self.trail, self._ingest, self.counts, self.clock, settings.state_dir)
        self._asked_by = ""

    @property
    def page_port(self) -> int:
        """0: it does not listen yet."""
        return self.front.port

    def stop(self) -> None:
        """SIGTERM: end in good order."""
        self._stop.set()

    def ask_reload(self, who: str = "SIGHUP") -> None:
        """Reload as soon as the gateway runs; asked again meanwhile, once more."""
        self._asked_by = who
        self._reload.set()

    async def run(self) -> None:
        with state_lock(self.settings.state_dir):
            try:
                replaced = self._open()
                try:
                    await self._run(replaced)
                finally:
                    await self.outbox.close()
            finally:
                self._files.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> Replaced | None:
        try:
            return self.outbox.open()
        except sqlite3.OperationalError as exc:
            self.outbox.condition.failed(exc)
            remedy = self.outbox.condition.remedy
            raise NotNow(f"the outbox in {self.settings.state_dir} cannot be opened: {exc}; {remedy}") from exc

    async def _run(self, replaced: Replaced | None) -> None:
        line = Line.of(self.settings)
        self._cases = Cases(
            self._builder,
            machines=self.settings.machines,
            history=line.history,
            settings=self.settings.incidents,
            counts=self.counts,
            clock=self.clock,
        )
        routes = [Route.of(destination) for destination in self.settings.destinations]
        self.acceptance = Acceptance(self.outbox, self._cases, routes, self.counts, self._losses.add)
        inboxes: dict[str, Inbox] = {}
        self.devices = Devices(self.status.source, inboxes, self.incidents, lambda: self.pipeline.line.table, self.clock)
        self.devices.configure(self.settings.sources)
        self.pipeline = Pipeline(
            line,
            self.incidents,
            self.acceptance,
            clock=self.clock,
            counts=self.counts,
            progress=self._unit.progress,
            devices=self.devices,
            troubles=[self.storage],
            inboxes=inboxes,
        )
        if self.time is not None:
            await self.time.open()
            self.time.join(
                Followers(
                    self.pipeline,
                    self.acceptance,
                    self.incidents,
                    self._blocks,
                    self.desk.shelving,
                    self._losses,
                    lambda: self.edges.breakers,
                )
            )
        await self.desk.open()
        await begin_epoch(self.outbox, self.incidents, self._builder, routes)
        await self.trail.open()
        self.trail.started(self.settings)
        await restore(
            self.outbox,
            self.incidents,
            self._rules(line),
            forgot=replaced is not None and replaced.salvage.unreadable,
            clock=self.clock,
            counts=self.counts,
        )
        if replaced is not None:
            tell_replaced(replaced, self._builder, self.acceptance, self.clock.now_ns())
        self._retire(line)
        async with asyncio.TaskGroup() as tasks:
            self._put_together(tasks)
            try:
                await self._work(tasks)
            finally:
                await self.front.end()
                self.lanes.close()

    def _put_together(self, tasks: asyncio.TaskGroup) -> None:
        snapshots = Snapshots(self.settings.state_dir / "detectors", lambda: 0 if self.time is None else self.time.put_right_ns)
        self.lanes = Lanes(tasks, snapshots, found=self.pipeline.found, counts=self.counts, files=self._files, clock=self.clock)
        self.pipeline.lane, self.pipeline.keep = self.lanes.get, self._blocks.keep
        self._lessons = Lessons(self.outbox, self.clock, lambda: self.pipeline.line.watches)
        self._renewal = Renewal(self.lanes, self._lessons.renewed)
        self.edges = Edges(
            tasks,
            self.pipeline,
            self.outbox,
            clock=self.clock,
            status=self.status,
            counts=self.counts,
            losses=self._losses,
            secret=Secrets(self.settings.path.parent),
            loading=self._files,
            summarise=self._cases.of_summary,
            learn=self._lessons.wake,
            devices=self.devices,
            ingest=self._ingest,
        )

    async def _work(self, tasks: asyncio.TaskGroup) -> None:
        watches = self.pipeline.line.watches
        self.lanes.build(watches)
        accepting = tasks.create_task(self.acceptance.run(), name="acceptance")
        upkeep = Upkeep(
            self.outbox, self._losses, self.lanes, lambda: self.pipeline.line.watches, wear=self.wear, files=self._files, clock=self.clock
        )
        core = [tasks.create_task(self.pipeline.run(), name="pipeline"), tasks.create_task(upkeep.run(), name="upkeep")]
        await self.lanes.start(watches)
        await self._lessons.apply_all()
        if self.time is not None:
            core.append(tasks.create_task(self.time.run(), name="time"))
        core.append(tasks.create_task(self._lessons.run(), name="lessons"))
        await self.edges.apply(self.settings)
        core.append(tasks.create_task(self.desk.run(self._renewal, self.pipeline.shadow), name="desk"))
        await self.front.open(self.settings, Overview(self))
        self._unit.ready(self.settings)
        core += [tasks.create_task(self.front.run(), name="front"), tasks.create_task(self.trail.run(), name="trail")]
        core.append(tasks.create_task(self._reloads(), name="reloads"))
        core.append(tasks.create_task(upkeep.check(), name="outbox check"))
        core.append(tasks.create_task(Guard(self.counts).run(), name="stall guard"))
        await self._stop.wait()
        await self._shut_down(core, accepting)

    async def reload(self) -> bool:
        """Validate, then change only what changed. False: refused, with the reason in the log; what runs stays as it is."""
        async with self.pipeline.changing:
            return await self._changed()

    async def _changed(self) -> bool:
        self._unit.reloading()
        await self.lanes.save(self.pipeline.line.watches)
        try:
            settings = await self._load()
            line = Line.of(settings, self.pipeline.line)
            await self.lanes.prepare(line.watches)
        except (ConfigErrors, ConfigError) as exc:
            for why in exc.problems if isinstance(exc, ConfigErrors) else [exc]:
                log.error("reload refused", extra={"fields": {"why": str(why)}})
            self.trail.note("reload refused", who=self._asked_by, name=str(self.settings.path))
            self._unit.refused()
            return False
        line.table.adopt(self.pipeline.line.table)  # readings went on while detectors were built
        old, before = self.settings, self.pipeline.line
        self.settings, self.pipeline.line = settings, line
        self._adopt(settings, line)
        self.devices.configure(settings.sources)
        self.pipeline.shadow.keep(line.watches)
        await self.lanes.start(line.watches)
        await self._lessons.apply_all()
        self._retire(line)
        self.pipeline.look_again(before)
        await self.edges.apply(settings)
        await self.front.open(settings, Overview(self))
        self.trail.reloaded(old, settings, self._asked_by)
        log.info("reloaded", extra={"fields": {"file": str(settings.path)}})
        self._unit.ready(self.settings)
        return True

    async def _urge(self, name: str) -> Link | str:
        async with self.pipeline.changing:
            return await self.edges.urge(name, self.settings)

    async def _load(self) -> Settings:
        new = await asyncio.get_running_loop().run_in_executor(self._files, load, self.settings.path)
        if (new.site, new.state_dir) != (self.settings.site, self.settings.state_dir):
            raise ConfigError("site and state_dir stand in every event and file of a running gateway; restart it to change them")
        return keep_indices(new, self.settings)

    def _adopt(self, settings: Settings, line: Line) -> None:
        """What is not a source, a watch or a destination."""
        logging.getLogger(OURS).setLevel(settings.log_level.upper())
        buffer = settings.buffer
        self.outbox.max_bytes, self.outbox.min_free_bytes = buffer.max_megabytes << 20, buffer.min_free_megabytes << 20
        self.outbox.keep_days = buffer.keep_events_days
        self.outbox.keep_aside(buffer.reserve_megabytes << 20)
        self.incidents.evidence_seconds = settings.incidents.after
        if self.time is not None:
            self.time.clock.trust, self.time.clock.wait_seconds = settings.clock.trust, settings.clock.wait
        self._cases.configure(settings.machines, line.history, settings.incidents)
        self._blocks.configure(settings.incidents, settings.tags)
        self.acceptance.routes = [Route.of(destination) for destination in settings.destinations]

    def _retire(self, line: Line) -> None:
        for change in self.incidents.retire(self._rules(line)):
            self.acceptance.change(change)

    def _rules(self, line: Line) -> dict[str, Rule]:
        own = [self.devices.rule, self.storage.rule, *([self.time.rule] if self.time is not None else [])]
        return {**line.rules, **{rule.detector: rule for rule in own}}

    async def _reloads(self) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            answer_reload(await self.reload())

    async def _shut_down(self, core: list[asyncio.Task[None]], accepting: asyncio.Task[None]) -> None:
        """Sources stop, the queue drains, what was found is committed, states are saved, then a last send."""
        self._unit.stopping()
        for task in core:
            task.cancel()
        await asyncio.wait(core)
        await self.edges.stop_sources(list(self.edges.sources))
        await self.lanes.stop()
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.acceptance.commit()
                self.trail.note("gateway stopped")
                await self.trail.flush()
                await self.desk.close(self.pipeline.shadow)
                await self.outbox.tidy(self._losses, 0)
        except TimeoutError:
            log.error("the last findings were not written", extra={"fields": {"why": self.outbox.refused or "no time"}})
        accepting.cancel()
        await self.lanes.save(self.pipeline.line.watches)
        # What cannot be read cannot be sent either.
        await self.edges.last_send(0.0 if self.outbox.condition.state in ("read_only", "failing") else LAST_SEND_SECONDS)
        await self.front.close()
        if self.time is not None:
            await self.time.close()
        log.info("stopped")
