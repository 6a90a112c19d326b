"""Puts the parts together, runs them, reloads and stops them. The one file that sees all of them."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import IO

from gateway.clock import SystemClock
from gateway.config import ConfigErrors, Settings, load, render
from gateway.config.retable import keep_indices
from gateway.config.secrets import Secrets
from gateway.contract import Clock, ConfigError, Severity
from gateway.edges import Edges
from gateway.engine.accept import Acceptance, Route
from gateway.engine.line import Line
from gateway.engine.pipeline import Pipeline
from gateway.engine.snapshot import Snapshots
from gateway.engine.watch import SlowLane, Watch, build_detector
from gateway.events.build import EventBuilder, rfc3339
from gateway.incidents import Incident, Incidents
from gateway.outbox import operations
from gateway.outbox.database import Replaced
from gateway.outbox.store import Outbox
from gateway.overview import Overview
from gateway.sdnotify import Notifier
from gateway.telemetry.counts import Counts
from gateway.telemetry.status import Status
from gateway.web import PageServer

log = logging.getLogger("lineside")
SNAPSHOT_SECONDS = 60.0
DRAIN_SECONDS = 3.0
LAST_SEND_SECONDS = 4.0
_KEEP_CLOSED_NS = 90 * 86_400_000_000_000


class App:
    """One gateway. `run` returns after `stop`; raises what the core could not survive."""

    def __init__(self, settings: Settings, *, clock: Clock | None = None, notifier: Notifier | None = None) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.counts = Counts()
        self.status = Status(self.clock)
        self.outbox = Outbox(
            settings.state_dir, self.clock, max_bytes=settings.buffer.max_megabytes << 20, keep_days=settings.buffer.keep_events_days
        )
        self._builder = EventBuilder(settings.site.urn)
        self.incidents = Incidents(self.clock, self._builder.incident_id, evidence_seconds=settings.incidents.after)
        self._snapshots = Snapshots(settings.state_dir / "detectors")
        self._notifier = notifier or Notifier()
        self._fed = 0.0
        self._stop = asyncio.Event()
        self._analysis = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._files = ThreadPoolExecutor(1, thread_name_prefix="files")
        self._lanes: dict[str, asyncio.Task[None]] = {}
        self.page_port = 0

    def stop(self) -> None:
        """SIGTERM: end in good order."""
        self._stop.set()

    async def run(self) -> None:
        lock = self._lock()
        try:
            replaced = self.outbox.open()
            try:
                await self._run(replaced)
            finally:
                await self.outbox.close()
        finally:
            lock.close()
            self._analysis.shutdown(wait=False, cancel_futures=True)
            self._files.shutdown(wait=False, cancel_futures=True)

    async def _run(self, replaced: Replaced | None) -> None:
        line = Line.of(self.settings)
        self._acceptance = Acceptance(
            self.outbox,
            self._builder,
            machines=self.settings.machines,
            history=line.history,
            settings=self.settings.incidents,
            routes=[Route.of(destination) for destination in self.settings.destinations],
            counts=self.counts,
            clock=self.clock,
        )
        self.pipeline = Pipeline(line, self.incidents, self._acceptance, clock=self.clock, counts=self.counts, progress=self._progress)
        await self._restore(replaced)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            self.edges = Edges(
                tasks,
                self.pipeline,
                self.outbox,
                clock=self.clock,
                status=self.status,
                counts=self.counts,
                secret=Secrets(self.settings.path.parent),
                loading=self._files,
            )
            core = [
                tasks.create_task(self.pipeline.run(), name="pipeline"),
                tasks.create_task(self._acceptance.run(), name="acceptance"),
                tasks.create_task(self._housekeeping(), name="housekeeping"),
            ]
            self._start_watches()
            await self.edges.apply(self.settings)
            page = await self._start_page()
            self._tell_ready()
            await self._stop.wait()
            await self._shut_down(core)
            if page is not None:
                await page.stop()

    async def reload(self) -> bool:
        """SIGHUP: validate, then change only what changed. False: the file has errors, and the running one stays."""
        self._notifier.send("RELOADING=1", f"MONOTONIC_USEC={int(self.clock.monotonic() * 1e6)}")
        try:
            settings = await asyncio.get_running_loop().run_in_executor(self._files, load, self.settings.path)
        except ConfigErrors as exc:
            log.error("reload refused", extra={"fields": {"errors": len(exc.problems), "details": render(exc.problems)}})
            self._notifier.send("READY=1", f"STATUS=reload refused: {len(exc.problems)} errors in the configuration")
            return False
        settings = keep_indices(settings, self.settings)
        await self.save_snapshots()
        line = Line.of(settings, self.pipeline.line)
        for watch in self.pipeline.line.watches:
            if watch not in line.watches and watch.name in self._lanes:
                self._lanes.pop(watch.name).cancel()
                self.pipeline.lanes.pop(watch.name, None)
        self.settings, self.pipeline.line = settings, line
        self._acceptance.machines, self._acceptance.history = settings.machines, line.history
        self._acceptance.settings = settings.incidents
        self._acceptance.routes = [Route.of(destination) for destination in settings.destinations]
        self._start_watches()
        for change in self.incidents.retire({watch.name: watch.rule for watch in line.watches}):
            self._acceptance.change(change)
        await self.edges.apply(settings)
        log.info("reloaded", extra={"fields": {"file": str(settings.path)}})
        self._tell_ready()
        return True

    async def save_snapshots(self) -> None:
        """Every detector's state to disk."""
        loop = asyncio.get_running_loop()
        for watch in self.pipeline.line.watches:
            lane = self.pipeline.lanes.get(watch.name)
            state = await lane.dump() if lane else watch.detector.dump() if watch.detector else None
            if state is not None:
                await loop.run_in_executor(self._files, self._snapshots.save, watch.name, state)

    def _start_watches(self) -> None:
        for watch in self.pipeline.line.watches:
            if watch.slow and watch.name not in self._lanes:
                self._start_lane(watch)
            elif not watch.slow and watch.detector is None:
                watch.ready(build_detector(watch, self._snapshots))

    def _start_lane(self, watch: Watch) -> None:
        lane = SlowLane(
            watch,
            self._analysis,
            build=partial(build_detector, watch, self._snapshots),
            found=self.pipeline.found,
            dropped=lambda name, shape: self.counts.add("analysis_dropped", 1, watch=name, shape=shape),
        )
        self.pipeline.lanes[watch.name] = lane
        self._lanes[watch.name] = self._tasks.create_task(lane.run(), name=f"watch {watch.name}")

    async def _restore(self, replaced: Replaced | None) -> None:
        rows = await self.outbox.run(operations.open_incidents)
        rules = {watch.name: watch.rule for watch in self.pipeline.line.watches}
        self.incidents.restore([Incident.load(row) for row in rows], rules)
        for change in self.incidents.retire(rules):
            self._acceptance.change(change)
        if replaced is not None:
            log.error("outbox damaged, set aside", extra={"fields": {"file": replaced.set_aside, "why": replaced.problem}})
            now_ns = self.clock.now_ns()
            facts = {
                "title": f"{self.settings.site.gateway}: the outbox was damaged and replaced",
                "at": rfc3339(now_ns),
                "set_aside": replaced.set_aside,
                "problem": replaced.problem[:1000],
            }
            self._acceptance.event(self._builder.of_gateway("outbox_replaced", facts, severity=Severity.ERROR, now_ns=now_ns))

    async def _start_page(self) -> PageServer | None:
        web = self.settings.web
        if web is None:
            return None
        page = PageServer(Overview(self), web.host, web.port)
        try:
            self.page_port = await page.start()
        except OSError as exc:
            # The line goes on without its window.
            log.error("page cannot listen", extra={"fields": {"host": web.host, "port": web.port, "why": exc.strerror}})
            return None
        log.info("page", extra={"fields": {"url": f"http://{web.host}:{self.page_port}/"}})
        return page

    async def _housekeeping(self) -> None:
        while True:
            await self.clock.sleep(SNAPSHOT_SECONDS)
            await self.save_snapshots()
            await self.outbox.enforce_retention()
            before = self.clock.now_ns() - _KEEP_CLOSED_NS
            await self.outbox.run(partial(operations.forget_incidents, closed_before_ns=before))

    async def _shut_down(self, core: list[asyncio.Task[None]]) -> None:
        """Sources stop, the queue drains, what was found is committed, states are saved, then a last send."""
        self._notifier.send("STOPPING=1", "STATUS=stopping")
        log.info("stopping")
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                await self.edges.stop_sources()
        except TimeoutError:
            log.warning("sources did not stop in time")
        for task in (*core, *self._lanes.values()):
            task.cancel()
        await asyncio.wait([*core, *self._lanes.values()])
        self.pipeline.flush()
        await self._acceptance.commit()
        await self.save_snapshots()
        await self.edges.stop_senders(LAST_SEND_SECONDS)
        log.info("stopped")

    def _progress(self) -> None:
        """The watchdog is fed by the pipeline's progress, not by a timer."""
        every, now = self._notifier.watchdog_seconds, self.clock.monotonic()
        if every is not None and now - self._fed >= every:
            self._fed = now
            self._notifier.send("WATCHDOG=1")

    def _tell_ready(self) -> None:
        tags = sum(len(source.tags) for source in self.settings.sources)
        text = f"{len(self.settings.sources)} sources, {tags} tags, {len(self.settings.watches)} watches"
        log.info("ready", extra={"fields": {"gateway": self.settings.site.gateway, "sources": len(self.settings.sources), "tags": tags}})
        self._notifier.send("READY=1", f"STATUS={text}")

    def _lock(self) -> IO[str]:
        """One gateway per state folder; raises ConfigError when another one holds it."""
        folder = self.settings.state_dir
        try:
            folder.mkdir(parents=True, exist_ok=True)
            file = (folder / "lock").open("a+")
        except OSError as exc:
            raise ConfigError(f"the state folder {folder} cannot be used: {exc.strerror}") from exc
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            file.close()
            raise ConfigError(f"another gateway runs with the state folder {folder}") from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file
