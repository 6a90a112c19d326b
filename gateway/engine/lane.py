"""Slow detectors compute beside the pipeline; all watches are started, saved and ended from here."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from math import inf, isfinite

from gateway.contract import Batch, Clock, Detector, Finding, Frame, Json, RationedWatchOptions, StateError, Waveform
from gateway.engine.ration import Ration
from gateway.engine.snapshot import Pace, Snapshots
from gateway.engine.watch import Watch, build_detector
from gateway.telemetry.counts import Counts

log = logging.getLogger("lineside")
QUEUE = 64
"""Items a slow detector may be behind, of each of its machines; beyond, its oldest are dropped and counted."""
BLOCKS = 2
"""Blocks of each of its fast channels, if these are more."""
_BEFORE = ".before"
"""No watch has such a name."""


class SlowLane:
    """Runs one slow detector beside the pipeline, on the analysis thread, behind a short queue.

    A frame of many rows is given to it in slices, between which the others have their turn; what is beyond its ration is skipped.

    skipped   rows, so far
    """

    def __init__(
        self,
        watch: Watch,
        executor: Executor,
        *,
        build: Callable[[], Detector],
        found: Callable[[Watch, list[Finding]], None],
        dropped: Callable[[str, str], None],
        ration: Ration,
    ) -> None:
        self.watch, self._executor, self._build, self._found, self._dropped = watch, executor, build, found, dropped
        self.ration, self.skipped = ration, 0
        self._queue: deque[Batch | Frame | Waveform] = deque()
        self._work, self._busy = asyncio.Event(), False
        # Channels of one machine give their blocks at the same moment: each has a place, and one for the next.
        self._most = max(QUEUE * watch.machines, BLOCKS * watch.channels)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being looked at."""
        return not self._queue and not self._busy

    def put(self, item: Batch | Frame | Waveform) -> None:
        if len(self._queue) >= self._most:
            self._queue.popleft()
            self._dropped(self.watch.name, type(item).__name__.lower())
        self._queue.append(item)
        self._work.set()

    def leap(self, tag: int, delta_ns: int, after_ns: int) -> None:
        """The times of this tag's machine leapt. The detector hears of it before it looks at what waits, so that goes along, if it is newer
        than `after_ns`: what is older was told by the clock of now.
        """
        self._queue = deque(self.watch.moved(item, tag, delta_ns, after_ns) for item in self._queue)

    async def run(self) -> None:
        """Build the detector, then work until cancelled."""
        loop = asyncio.get_running_loop()
        if self.watch.detector is None:
            self.watch.ready(await loop.run_in_executor(self._executor, self._build))
        while True:
            while self._queue:
                item, self._busy = self._queue.popleft(), True
                for part in self.ration.slices(item) if isinstance(item, Frame) else (item,):
                    findings = await loop.run_in_executor(self._executor, self._look, part, self.watch.told)
                    if findings:
                        self._found(self.watch, findings)
            self._busy = False
            self._work.clear()
            await self._work.wait()

    def _look(self, part: Batch | Frame | Waveform, told: int) -> list[Finding]:
        """On the analysis thread."""
        rows = len(part.t_ns) if isinstance(part, Frame) else 1
        if self.ration.left() or not isinstance(part, Frame):
            return self.ration.measured(partial(self.watch.process, part, told), rows)
        self.skipped += rows
        self.watch.skip(part)
        return []

    def standing(self) -> dict[str, Json]:
        """For the status: how far behind it is, and what it used and left out."""
        return {
            "watch": self.watch.name,
            "behind": len(self._queue),
            "computed_seconds": round(self.ration.seconds, 3),
            "budget_seconds": self.ration.per_second if isfinite(self.ration.per_second) else None,
            "rows_skipped": self.skipped,
        }

    async def dump(self) -> bytes | None:
        """The detector's state, taken between two items."""
        if self.watch.detector is None:
            return None
        return await asyncio.get_running_loop().run_in_executor(self._executor, self.watch.dump)


class Lanes:
    """The watches of the running configuration: builds their detectors, runs the slow ones, keeps their states on disk.

    found   what a slow detector noticed, called in the loop
    files   executor for the disk
    """

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        snapshots: Snapshots,
        *,
        found: Callable[[Watch, list[Finding]], None],
        counts: Counts,
        files: Executor,
        clock: Clock,
    ) -> None:
        self._tasks, self._snapshots, self._found, self._counts, self._files = tasks, snapshots, found, counts, files
        self._clock = clock
        self._analysis = ThreadPoolExecutor(1, thread_name_prefix="analysis")
        self._running: dict[str, tuple[SlowLane, asyncio.Task[None]]] = {}
        self._refused = False
        self._pace = Pace(clock)

    def get(self, name: str) -> SlowLane | None:
        """The lane of a slow watch."""
        running = self._running.get(name)
        return running[0] if running else None

    def standing(self) -> Iterator[dict[str, Json]]:
        """Of each slow watch: see `SlowLane.standing`."""
        for lane, _ in self._running.values():
            yield lane.standing()

    def build(self, watches: Iterable[Watch]) -> None:
        """Detectors of fast watches that have none yet; raises ConfigError when one cannot be built."""
        for watch in watches:
            if not watch.slow and watch.detector is None:
                watch.ready(build_detector(watch, self._snapshots))

    async def prepare(self, watches: Iterable[Watch]) -> None:
        """Before a reload takes effect: detectors of all watches that have none yet, slow ones on the analysis thread.

        raises ConfigError   one cannot be built; what runs is untouched
        """
        self.build(watches)
        for watch in watches:
            lane = self.get(watch.name)
            building = lane is not None and lane.watch is watch
            if watch.slow and watch.detector is None and not building:
                build = partial(build_detector, watch, self._snapshots)
                watch.ready(await asyncio.get_running_loop().run_in_executor(self._analysis, build))

    async def start(self, watches: Iterable[Watch]) -> None:
        """Lanes of slow watches: those that are not among `watches` any more end, new ones begin."""
        wanted = {watch.name: watch for watch in watches if watch.slow}
        await self._end([name for name, (lane, _) in self._running.items() if wanted.get(name) is not lane.watch])
        for name, watch in wanted.items():
            if name not in self._running:
                build = partial(build_detector, watch, self._snapshots)
                ration = Ration(_per_second(watch), self._clock)
                lane = SlowLane(watch, self._analysis, build=build, found=self._found, dropped=self._dropped, ration=ration)
                self._running[name] = lane, self._tasks.create_task(lane.run(), name=f"watch {name}")

    async def save(self, watches: Iterable[Watch], *, all_of_them: bool = True) -> None:
        """Every detector's state to disk, or those that are due. A disk that refuses keeps the old states; it is told once."""
        for watch in watches:
            if not (all_of_them or self._pace.due(watch.name, spoke=watch.spoke or bool(watch.leapt))):
                continue
            watch.spoke, leapt = False, set(watch.leapt)  # before its state is taken: what it says from now on is not in it
            try:
                state, put_right_ns = await self._dump(watch)
                await self._keep(watch.name, state, put_right_ns)
                watch.leapt -= leapt if state is not None else set()
            except OSError as exc:
                watch.spoke = True
                if not self._refused:
                    log.error("detector states cannot be saved", extra={"fields": {"why": exc.strerror, "watch": watch.name}})
                self._refused = True
                return
        self._refused = False

    async def change(self, watch: Watch, word: Callable[[Detector], None]) -> None:
        """Have it told to the detector on its thread. The state of before is kept beside, once; that of after is on disk when this returns.

        raises OSError   the disk is full or refuses
        """
        await self._keep(f"{watch.name}{_BEFORE}", *await self._dump(watch))
        watch.tell(word)
        await self._keep(watch.name, *await self._dump(watch))

    async def go_back(self, watch: Watch) -> None:
        """To the state of before the last change; done again, to the one of after it. The detector is built anew, as after a start.

        raises StateError   there is none, or it does not fit
        raises OSError      the disk is full or refuses
        """
        loop = asyncio.get_running_loop()
        before = await loop.run_in_executor(self._files, self._snapshots.load, f"{watch.name}{_BEFORE}")
        if before is None:
            raise StateError("has no state of before: it was not told to forget or to adopt anything")
        then_ns = self._snapshots.ahead_ns(f"{watch.name}{_BEFORE}") + self._snapshots.put_right_ns()
        build = partial(_continued, watch, before)
        detector = await loop.run_in_executor(self._analysis, build) if watch.slow else build()
        await self._keep(f"{watch.name}{_BEFORE}", *await self._dump(watch))
        await self._keep(watch.name, before, then_ns)
        watch.detector = detector
        watch.went_back(then_ns - self._snapshots.put_right_ns())

    async def _dump(self, watch: Watch) -> tuple[bytes | None, int]:
        """And by what clock it goes: one that leaps meanwhile is told to it again by the next start, rather than never."""
        lane, put_right_ns = self.get(watch.name), self._snapshots.put_right_ns() + watch.ahead_ns
        return await lane.dump() if lane else watch.dump(), put_right_ns

    async def _keep(self, name: str, state: bytes | None, put_right_ns: int) -> None:
        if state is not None and self._pace.changed(name, state):
            await asyncio.get_running_loop().run_in_executor(self._files, self._snapshots.save, name, state, put_right_ns)
            self._pace.saved(name, state)

    async def stop(self) -> None:
        """End the slow ones; what they were behind is not looked at."""
        tasks = [task for _, task in self._running.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def close(self) -> None:
        """End the analysis thread; called last."""
        self._analysis.shutdown(wait=False, cancel_futures=True)

    async def _end(self, names: list[str]) -> None:
        ended = [self._running.pop(name)[1] for name in names]
        for task in ended:
            task.cancel()
        if ended:
            await asyncio.wait(ended)

    def _dropped(self, name: str, shape: str) -> None:
        self._counts.add("analysis_dropped", 1, watch=name, shape=shape)


def _per_second(watch: Watch) -> float:
    options = watch.settings.options
    return options.budget if isinstance(options, RationedWatchOptions) else inf


def _continued(watch: Watch, state: bytes) -> Detector:
    """A new detector with this state; raises StateError when it does not fit."""
    detector = watch.settings.plugin.build(watch.settings.options, watch.context)
    detector.load(state)
    return detector
